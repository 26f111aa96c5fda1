"""Where features meet."""
