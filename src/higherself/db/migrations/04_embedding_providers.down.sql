DROP TABLE embedding_usage, embedding_provider;
