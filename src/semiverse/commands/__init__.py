"""Commands: one typed function a file, what a user can ask for."""
