"""Notion with the rest of the house: rows, knowledge, workflows, and what people decide there."""
