"""What a service answers: pictures of a mask, and what is in it as plain values."""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from semiverse.formats.outlines import regions_of
from semiverse.inference.images import encode_mask, encoded
from semiverse.inference.pictures import overlay
from semiverse.inference.predictor import Segmentation
from semiverse.labels import IGNORE


def mask_png(found: Segmentation) -> bytes:
    """Train ids as a PNG with the colours of the classes, byte by byte as ``semiverse predict`` writes it."""
    return encode_mask(found.mask, found.labels)


def overlay_jpeg(image: Tensor, found: Segmentation) -> bytes:
    """The image, (3, H, W) uint8, with its mask laid over it."""
    laid = overlay(image, found.mask, found.labels).permute(1, 2, 0).numpy()
    return encoded(Image.fromarray(laid), "JPEG", quality=90)


def described(found: Segmentation, regions: bool) -> dict[str, Any]:
    """Size, and for each class its share of the pixels and how sure the model is of them.

    Args:
        found: What was found.
        regions: Whether polygons, points (x, y) in pixels, and COCO's run lengths are wanted as well.
    """
    labels, mask = found.labels, found.mask
    counts = torch.bincount(mask.flatten().long(), minlength=IGNORE + 1)
    sums = torch.bincount(mask.flatten().long(), found.confidence.flatten().double(), minlength=IGNORE + 1)
    classes = {
        title: {
            "share": count / mask.numel(),
            "pixels": count,
            "confidence": round(total / count, 4) if count else None,
            "color": list(labels.palette[train_id]),
        }
        for train_id, (title, count, total) in enumerate(
            zip(labels.classes, counts.tolist(), sums.tolist(), strict=False)
        )
    }
    facts: dict[str, Any] = {"height": mask.shape[0], "width": mask.shape[1], "classes": classes}
    return facts | _regions(found) if regions else facts


def _regions(found: Segmentation) -> dict[str, Any]:
    size = (found.mask.shape[0], found.mask.shape[1])
    polygons, runs = [], []
    for region in regions_of(found.mask.numpy(), np.asarray(found.confidence)):
        if region.train_id != IGNORE:
            about = {"class": found.labels.classes[region.train_id], "confidence": region.confidence}
            polygons.append(about | {"points": region.polygon()})
            runs.append(about | {"size": list(size), "counts": region.runs(size)})
    return {"polygons": polygons, "runs": runs}
