"""Writes to Notion, each of which happens once."""
