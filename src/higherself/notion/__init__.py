"""Notion as the server sees it: one gateway for every request, typed calls, writes that happen once."""
