"""How often classes occur."""

from collections.abc import Mapping, Sequence

import numpy as np

from semiverse.data import Content
from semiverse.labels import LabelSpace

Frequencies = Mapping[str, tuple[float, int]]
"""Share of all pixels, in [0, 1], and number of images, by class."""


def frequencies(contents: Sequence[Content], labels: LabelSpace) -> Frequencies:
    """Share of all pixels of the masks, ignored ones included, and number of images of each class.

    Empty without a readable mask.
    """
    counted = [content.pixels for content in contents if content.pixels is not None]
    if not counted:
        return {}
    pixels = np.stack(counted)
    shares, images = pixels.sum(axis=0) / max(1, pixels.sum()), (pixels > 0).sum(axis=0)
    return {title: (float(shares[i]), int(images[i])) for i, title in enumerate(labels.classes)}
