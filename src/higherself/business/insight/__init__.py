"""What the facts of a business mean: who is worth a call, what it costs, when there is time. Pure."""
