"""Divide an image into superpixels, within which all pixels get one label."""

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Kind = Literal["slic", "felzenszwalb", "grid", "none"]


def superpixels(image: Tensor, kind: Kind = "slic", count: int = 10000, compactness: float = 100.0) -> Tensor:
    """Number of the superpixel of each pixel, from 0 without gaps, (H, W) int64.

    Args:
        image: (3, H, W) uint8.
        kind: ``slic``: k-means of colour and place (Achanta et al., 2012), as in the paper; ``felzenszwalb``: a graph
            of neighbours (Felzenszwalb and Huttenlocher, 2004), few large regions along edges; ``grid``: squares, at
            no cost, and close to what SLIC gives with compactness 100; ``none``: every pixel by itself.
        count: About how many (SLIC and grid); the number is not adapted to the image, so superpixels of large images
            are large.
        compactness: Weight of place against colour (SLIC).
    """
    height, width = image.shape[1:]
    if kind == "none" or (count >= height * width and kind != "felzenszwalb"):
        return torch.arange(height * width).view(height, width)
    if kind == "grid":
        side = max(1, round(math.sqrt(height * width / count)))
        across = -(-width // side)
        return (torch.arange(height) // side * across)[:, None] + torch.arange(width) // side
    from skimage.segmentation import felzenszwalb, slic  # takes a moment to import

    pixels = image.permute(1, 2, 0).numpy()
    if kind == "slic":
        found = slic(pixels, n_segments=count, compactness=compactness, start_label=0)
    else:
        # Scale and size that others took for this method; the function's own leave regions of several objects.
        found = felzenszwalb(pixels, scale=32, sigma=0.5, min_size=64)
    return torch.from_numpy(np.unique(found, return_inverse=True)[1].reshape(height, width))
