"""Label embeddings before training: where they come from, and how they are estimated."""
