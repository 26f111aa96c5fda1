"""Requests for help: how severe, about what, and what must go to a person."""
