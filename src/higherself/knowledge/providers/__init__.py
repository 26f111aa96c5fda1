"""Adapters that turn texts into vectors, one module for each model's home."""
