"""End-to-end flows: what a business does in a day, over real parts, with a picture of how it went."""
