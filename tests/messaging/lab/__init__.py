"""The fault suite's laboratory: agents in real processes, what is done to them, and what has to hold."""
