"""Following Notion: what has changed there, what has gone, and who is told."""
