"""The engine: stores the steps of the machine, and does what they ask for."""
