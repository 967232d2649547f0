"""File formats that several datasets read."""
