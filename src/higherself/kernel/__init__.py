"""Values and small protocols for everyone; the standard library only."""
