"""The renderer of the synthetic scenes: streets and rooms with exact masks."""
