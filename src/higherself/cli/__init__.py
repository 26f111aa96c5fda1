"""The command-line edge: parse, call one use case, print."""
