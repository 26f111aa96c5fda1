"""The one door to Notion: budget, lanes, pauses, trying again, and what was written by us."""
