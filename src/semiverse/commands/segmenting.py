"""What commands have in common that segment images one after the other."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from semiverse.labels import IGNORE, LabelSpace
from semiverse.models import SegmentationModel


def chosen_domain(model: SegmentationModel, domain: str | None) -> str:
    """The domain that images are like; None: the only one that the model knows.

    Raises:
        ValueError: If the model knows several and none is named.
    """
    names = list(model.label_spaces)
    if domain is None and len(names) > 1:
        raise ValueError(
            f"the model knows the domains {', '.join(names)}; expected the one that the images are like: add "
            "--domain NAME"
        )
    return names[0] if domain is None else domain


def read_or_explain(read: Callable[[Path], Tensor], path: Path) -> Tensor | str:
    """An image, or the problem with it."""
    try:
        return read(path)
    except (OSError, ValueError) as error:
        return str(error)


def encode_mask(mask: Tensor, labels: LabelSpace) -> bytes:
    """A mask, (H, W) train ids or ``IGNORE``, as a PNG whose indices are the ids, in the colours of the classes."""
    picture = Image.fromarray(mask.numpy())
    colors = np.zeros((IGNORE + 1, 3), dtype=np.uint8)
    colors[: len(labels)] = labels.palette
    picture.putpalette(colors.ravel().tolist())
    return encoded(picture, "PNG")


def encoded(picture: Image.Image, kind: str, **how: int) -> bytes:
    """A picture as a file of this kind."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **how)
    return buffer.getvalue()
