"""A Notion API server in memory for tests, benchmarks and the offline demo."""
