"""What can be asked of Notion, and lists of any length."""
