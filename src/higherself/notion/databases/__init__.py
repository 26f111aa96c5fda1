"""The declared databases: what they are to be, what they are, and how both are brought together."""
