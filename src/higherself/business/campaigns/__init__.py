"""Campaigns: who is meant, who may be written to, and what came of it. Pure."""
