"""How an image is segmented."""

import math
from dataclasses import dataclass
from typing import Literal

from semiverse.clustering.superpixels import Kind
from semiverse.labels import IGNORE

_LEAST = {"segments": 1, "channels": 2, "layers": 1, "iterations": 1, "min_labels": 1, "patience": 1, "max_size": 1}


@dataclass(frozen=True)
class Settings:
    """How an image is segmented; the defaults are those of the published code, but for ``max_size``.

    Args:
        superpixels: ``slic``, ``felzenszwalb``, ``grid`` or ``none``, see ``superpixels``.
        segments: Number of superpixels (SLIC and grid).
        compactness: Weight of place against colour (SLIC).
        channels: q, the largest number of clusters, at most 255.
        layers: M, convolutions of 3x3 before the one of 1x1.
        iterations: T, at most.
        min_labels: Stop once there are no more labels than this.
        patience: Stop when the labels have hardly changed in so many iterations after each other; None: never for that.
        tolerance: Share of pixels that "hardly" allows to change in one iteration.
        lr: Learning rate.
        momentum: Momentum.
        max_size: Longer side in pixels to which larger images are reduced first; None: never.
        precision: Type of the convolutions; bfloat16 saves time and memory where the processor has it.
        refined: Answer with one label a superpixel; False: with the label of each pixel.
        bgr: Give the channels in the order of the published code: blue, green, red.

    Raises:
        ValueError: If a value makes no sense.
    """

    superpixels: Kind = "slic"
    segments: int = 10000
    compactness: float = 100.0
    channels: int = 100
    layers: int = 2
    iterations: int = 1000
    min_labels: int = 3
    patience: int | None = None
    tolerance: float = 0.001
    lr: float = 0.1
    momentum: float = 0.9
    max_size: int | None = 1024
    precision: Literal["float32", "bfloat16"] = "float32"
    refined: bool = False
    bgr: bool = False

    def __post_init__(self) -> None:
        for name, lowest in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < lowest:
                raise ValueError(f"{name} is {value}; expected at least {lowest}: correct it")
        if self.channels > IGNORE:
            raise ValueError(f"channels is {self.channels}; expected at most {IGNORE}, as masks hold bytes: lower it")
        for name in ("lr", "compactness"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} is {getattr(self, name)}; expected more than 0: correct it")
        for name in ("momentum", "tolerance"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 or more, below 1: correct it")
