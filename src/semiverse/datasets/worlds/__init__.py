"""Renderers of the synthetic worlds: a scene and its exact mask from a random generator."""
