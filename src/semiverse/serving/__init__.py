"""A service around a model: images come over HTTP, masks go back."""
