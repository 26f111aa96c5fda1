"""Stand-ins and fixtures, also for authors of providers and skills."""
