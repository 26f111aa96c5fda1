"""PostgreSQL plumbing: server, pool, migrations, named queries, notifications. Knows no feature's tables."""
