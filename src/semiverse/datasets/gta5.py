"""GTA5 (Playing for Data) with the 19 classes of Cityscapes."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from semiverse.data import Record, SegmentationDataset, list_images, pair, read_indices
from semiverse.formats.cityscapes import CLASSES, SPACE
from semiverse.labels import IGNORE


class GTA5(SegmentationDataset):
    """GTA5 (Richter et al., ECCV 2016): 24966 frames of a computer game, most 1914x1052, with classes of Cityscapes.

    Expects ``images/*.png`` and ``labels/*.png`` of the owner's archives below the root, the labels as palette images
    whose indices are ids of Cityscapes; ids that its benchmark does not evaluate are ignored.
    The only split is ``train``, all frames by number, as adaptation uses it (AdaptSegNet); other divisions are read
    from list files.
    Source: https://download.visinf.tu-darmstadt.de/data/from_games/
    """

    labels = SPACE
    source = "https://download.visinf.tu-darmstadt.de/data/from_games/ (ten archives of images, ten of labels)"
    terms = "research and educational use only"
    image_counts: ClassVar[Mapping[str, int]] = {"train": 24966}
    splits = ("train",)

    def records(self, split: str) -> list[Record]:  # noqa: ARG002  (there is only one)
        """Every frame, by number."""
        masks = self.folder / "labels"
        return pair(list_images(self.folder / "images"), list_images(masks), masks)

    def read_mask(self, path: Path) -> Tensor:
        """Train ids; every index that is not one of the 19 classes becomes ``IGNORE``."""
        ids = dict.fromkeys(range(256), IGNORE) | {label.id: label.train_id for label in CLASSES}
        return read_indices(path, ids, modes=("P",))

    def read(self, record: Record) -> tuple[Tensor, Tensor]:
        """Image (3, H, W) and mask (H, W) of a frame, both uint8; a mask of another size is brought to the image's.

        Some frames of the owner have labels of another size. They show the same picture, and protocols that resize
        image and mask each to 1280x720 never notice; so the nearest label is taken instead of refusing the frame.
        """
        if record.mask is None:
            return super().read(record)
        image, mask = self.read_image(record.image), self.read_mask(record.mask)
        if mask.shape != image.shape[1:]:
            mask = F.interpolate(mask[None, None], size=image.shape[1:], mode="nearest-exact")[0, 0]
        return image, mask
