"""Durable delivery: everything that happens later is a message on a topic."""
