"""Inference: from an image to a mask, one by one or by the folder."""
