"""What does the work: skills, and whoever has them."""
