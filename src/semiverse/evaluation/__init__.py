"""Evaluation: what predictions are worth, from counts of pixels."""
