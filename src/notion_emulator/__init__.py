"""A Notion API server for tests, benchmarks and the offline demo (an empty shell in this release)."""
