"""A dataset whose masks are what a model is sure of, in the layout of ``Folder``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from semiverse.commands.segmenting import encode_mask, encoded
from semiverse.commands.unlabeled import Source
from semiverse.configuration import describe
from semiverse.data.images import IMAGE_EXTENSIONS, read_image
from semiverse.labels import IGNORE, LabelSpace
from semiverse.predict import Segmentation
from semiverse.resolution import Resolution
from semiverse.run import write_atomically


class PseudoLabelFolder:
    """Writes images and pseudo-labels, and counts.

    A pixel keeps its predicted class or becomes ``IGNORE``. This is where it differs from Zou et al. (ECCV 2018,
    section 4.2), who give it the class whose probability is largest in relation to the class's threshold.

    Args:
        folder: Where to.
        labels: Label space of the masks.
        thresholds: Least confidence of each class in [0, 1]; None keeps nothing of it.
        least: Least share of an image's pixels; an image of which less is kept, or nothing, is left out.
        link: Link to image files instead of copying them.
    """

    def __init__(
        self, folder: Path, labels: LabelSpace, thresholds: Sequence[float | None], least: float, link: bool
    ) -> None:
        self.folder, self.labels, self.thresholds, self.least, self.link = folder, labels, thresholds, least, link
        self.images: dict[str, dict[str, Any]] = {}
        self.left_out: dict[str, dict[str, Any]] = {}
        self._least_sure = torch.full((IGNORE + 1,), torch.inf)
        for i, threshold in enumerate(thresholds):
            self._least_sure[i] = torch.inf if threshold is None else threshold
        self._predicted, self._kept, self._written = torch.zeros(3, IGNORE + 1, dtype=torch.int64)

    def add(self, source: Source, image: Tensor, found: Segmentation) -> None:
        """Write one image, (3, H, W) uint8, and what is kept of its prediction; or note that it is left out.

        Raises:
            OSError: If a file cannot be written.
        """
        mask = torch.where(found.confidence >= self._least_sure[found.mask.long()], found.mask, IGNORE)
        kept = _count(mask)
        self._predicted += _count(found.mask)
        self._kept += kept
        share = int((mask != IGNORE).sum()) / mask.numel()
        facts = {"file": str(source.path), "kept_share": round(share, 6)}
        if share == 0 or share < self.least:
            self.left_out[source.name] = facts
            return
        self._write_image(source, image)
        write_atomically(self.folder / "masks" / f"{source.name}.png", encode_mask(mask, self.labels))
        self._written += kept
        self.images[source.name] = facts

    def _write_image(self, source: Source, image: Tensor) -> None:
        """Copy or link the file; what only its dataset can read, or ``Folder`` would not find, becomes a PNG."""
        path, images = source.path, self.folder / "images"
        if source.read is not read_image or path.suffix.lower() not in IMAGE_EXTENSIONS or not path.is_file():
            pixels = Image.fromarray(image.permute(1, 2, 0).numpy())
            write_atomically(images / f"{source.name}.png", encoded(pixels, "PNG"))
            return
        goal = images / f"{source.name}{path.suffix}"
        if not self.link:
            write_atomically(goal, path.read_bytes())
            return
        try:
            goal.parent.mkdir(parents=True, exist_ok=True)
            goal.symlink_to(path.resolve())
        except OSError as error:
            raise OSError(
                f"{goal} cannot be made a link ({error.strerror}); expected that it can: copy, without --link"
            ) from error

    def class_facts(self) -> dict[str, dict[str, Any]]:
        """Of every class: threshold, pixels predicted as it, the share of them kept, and its pixels in the masks."""
        facts = {}
        for i, (title, threshold) in enumerate(zip(self.labels.classes, self.thresholds, strict=True)):
            predicted, kept = int(self._predicted[i]), int(self._kept[i])
            share = round(kept / predicted, 6) if predicted else None
            facts[title] = {"threshold": threshold, "predicted": predicted, "kept_share": share}
            facts[title]["pixels"] = int(self._written[i])
        return facts

    def configuration(self, domain: str, resolution: Resolution) -> dict[str, Any]:
        """The values by which the dataset is trained on: a domain beside the one that its images are like."""
        arguments = {
            "root": str(self.folder.absolute()),
            "classes": list(self.labels.classes),
            "masks": "palette",
            "palette": [list(color) for color in self.labels.palette],
            "name": self.labels.name,
        }
        values = {"dataset": {"class_path": "Folder", "init_args": arguments}, "train": "all", "val": "all"}
        if resolution != Resolution():
            values["resolution"] = describe(resolution)
        return {"data": {"domains": {f"{domain}_pseudo": values}}}


def _count(mask: Tensor) -> Tensor:
    """Pixels by value, (256,)."""
    return torch.bincount(mask.flatten(), minlength=IGNORE + 1)
