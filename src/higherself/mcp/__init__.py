"""Assistants at the edge: skills as tools of the Model Context Protocol, over stdio and HTTP.

The SDK is the extra ``mcp``; only `http` can be imported without it.
"""
