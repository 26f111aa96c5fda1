"""What the business knows: documents, their chunks, embeddings of them, and search."""
