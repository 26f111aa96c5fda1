"""Agents elsewhere at the edge: the network as one agent of the Agent2Agent protocol.

The SDK is the extra ``a2a``; only `http` can be imported without it.
"""
