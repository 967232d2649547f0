"""Rendered worlds with exact masks, for first runs, tests and adaptation: nothing to download."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from semiverse.data import Record, SegmentationDataset
from semiverse.files import DataProblem
from semiverse.labels import LabelSpace
from semiverse.worlds.furniture import Room
from semiverse.worlds.rooms import render_room
from semiverse.worlds.street_objects import Street
from semiverse.worlds.streets import STYLES, render_street


@functools.lru_cache(maxsize=512)  # 25 MB at the default size
def _scene(path: Path, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Image (3, H, W) and mask (H, W) of a scene, both uint8: a function of these arguments and nothing else."""
    world, split, name = path.parts
    seed = np.random.SeedSequence([int.from_bytes(f"{world}/{split}".encode()), int(name.rpartition("_")[2])])
    rng = np.random.default_rng(seed)
    kind, _, style = world.partition("-")
    image, mask = render_street(style, rng, size) if kind == "streets" else render_room(rng, size)
    return torch.from_numpy(image), torch.from_numpy(mask)


class _World(SegmentationDataset):
    """Scenes that are rendered when they are read; the path of an image or mask names its world, split and number."""

    source = "nothing to download: rendered when read"
    terms = "part of this library (Apache-2.0)"
    image_counts: ClassVar[Mapping[str, int]] = {"train": 200, "val": 50, "test": 50}
    splits = ("train", "val", "test")

    def __init__(self, world: str, images: int, val_images: int, size: tuple[int, int]) -> None:
        super().__init__(Path("synthetic"))
        self.images, self.val_images, self.size = images, val_images, (int(size[0]), int(size[1]))
        self._world, name = world, type(self).__name__
        if min(images, val_images) < 1:
            raise ValueError(f"{name}: images={images}, val_images={val_images}; give at least 1 of each")
        if min(self.size) < 16:
            raise ValueError(
                f"{name}: size={self.size}, expected height and width of at least 16 pixels: ask for larger images"
            )

    def records(self, split: str) -> list[Record]:
        """Names of the scenes of a split.

        Raises:
            ValueError: If there is no such split.
        """
        if split not in self.splits:
            known = ", ".join(self.splits)
            raise DataProblem(f"{type(self).__name__} has no split {split!r}", f"one of {known}", "name one of them")
        count = self.images if split == "train" else self.val_images
        return [Record(path, path) for path in (Path(self._world, split, f"{split}_{i:05d}") for i in range(count))]

    def read_image(self, path: Path) -> Tensor:
        """Render an image, (3, H, W) uint8."""
        return _scene(path, self.size)[0].clone()

    def read_mask(self, path: Path) -> Tensor:
        """Render a mask, (H, W) uint8 train ids; ``IGNORE`` where something of no class stands."""
        return _scene(path, self.size)[1].clone()


class SyntheticStreets(_World):
    """Streets seen from a driving car: textured houses, traffic, people, trees, shadows, weather.

    The styles share classes and kinds of scenes but look different, so that one can be the source and another the
    target of an adaptation; ``game`` looks like the clean, colourful images of a renderer. Bins and boxes on the
    sidewalks are ``IGNORE``.

    Args:
        style: Weather, time of day and camera.
        images: Number of images of train.
        val_images: Number of images of val, and of test.
        size: Height and width in pixels.

    Raises:
        ValueError: If the style is unknown, there are no images, or they are smaller than 16 pixels.
    """

    labels = LabelSpace("streets", tuple(street.name.lower() for street in Street), (
        (70, 130, 180), (90, 70, 70), (128, 64, 128), (232, 132, 214), (107, 142, 35), (20, 20, 142), (220, 20, 60),
        (225, 200, 60)))  # fmt: skip

    def __init__(
        self,
        style: Literal["day", "dusk", "rain", "game"] = "day",
        images: int = 200,
        val_images: int = 50,
        size: tuple[int, int] = (96, 128),
    ) -> None:
        if style not in STYLES:
            expected = f"expected one of {', '.join(STYLES)}: name one of them"
            raise ValueError(f"SyntheticStreets has no style {style!r}; {expected}")
        super().__init__(f"streets-{style}", images, val_images, size)
        self.style = style


class SyntheticRooms(_World):
    """Furnished rooms: papered walls, boards and tiles, lamps and daylight, furniture in front of furniture.

    Pictures belong to the wall and rugs to the floor; boxes are ``IGNORE``.

    Args:
        images: Number of images of train.
        val_images: Number of images of val, and of test.
        size: Height and width in pixels.

    Raises:
        ValueError: If there are no images, or they are smaller than 16 pixels.
    """

    labels = LabelSpace("rooms", tuple(room.name.lower() for room in Room), (
        (174, 164, 148), (134, 96, 62), (226, 226, 236), (84, 160, 228), (150, 62, 34), (238, 158, 44),
        (196, 44, 118), (250, 238, 90), (64, 148, 66)))  # fmt: skip

    def __init__(self, images: int = 200, val_images: int = 50, size: tuple[int, int] = (96, 128)) -> None:
        super().__init__("rooms", images, val_images, size)
