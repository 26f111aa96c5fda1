"""The community: points for what members do, and what they get for them. Pure."""
