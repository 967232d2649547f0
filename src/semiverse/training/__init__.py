"""Training: one loop, and what it leaves behind."""
