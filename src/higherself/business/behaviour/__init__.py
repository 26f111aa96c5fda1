"""Declarative behaviour of agents: what one does about a message, as a short list of steps.

`said` is what a file may say, `program` decides step by step (pure), `agent` carries it out.
"""
