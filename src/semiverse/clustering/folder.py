"""The folder that a clustering of images fills."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from semiverse.clustering import Cluster, Clusters, describe, group_clusters
from semiverse.clustering.naming import INDEX
from semiverse.clustering.results import draw_borders, draw_sheet
from semiverse.data.images import read_image
from semiverse.files import read_json, write_atomically
from semiverse.inference.images import encode_mask, encoded
from semiverse.inference.pictures import overlay
from semiverse.labels import LabelSpace, lookup_table


class ClusterFolder:
    """Masks and pictures of images, and ``clusters.json``, which says what was found; it is written after each image.

    Args:
        folder: Where.
        facts: What the results depend on; an earlier call with the same facts is gone on with.
        overwrite: Begin anew where the folder holds results of other facts.

    Raises:
        ValueError: If it does, and they may not be replaced.
    """

    def __init__(self, folder: Path, facts: dict[str, Any], overwrite: bool) -> None:
        self.folder, self.facts = folder, facts
        self.images: dict[str, Any] = {}
        if overwrite or not (folder / INDEX).is_file():
            return
        index = read_json(folder / INDEX, "the clusters of an earlier call")
        if facts != {name: index.get(name) for name in facts}:
            raise ValueError(
                f"{folder} holds clusters of other settings (see {INDEX}); expected the same, with which the call "
                "would go on, or none: choose another --out, or --overwrite true"
            )
        self.images = index["images"]

    def add(self, stem: str, path: Path, image: Tensor, found: Clusters, pictures: bool) -> None:
        """Write what was found in an image, (3, H, W) uint8."""
        self.images[stem] = {
            "file": str(path.absolute()),
            "size": list(image.shape[1:]),
            "superpixels": found.superpixels,
            "iterations": found.iterations,
            "stopped": found.stopped,
            "clusters": self._write(stem, image, found.mask, found.labels, pictures),
        }
        self.save({})

    def save(self, problems: dict[str, str]) -> None:
        """Write ``clusters.json``."""
        index = self.facts | {"images": self.images, "problems": problems}
        write_atomically(self.folder / INDEX, json.dumps(index, indent=1) + "\n")

    def group(self, count: int, seed: int, pictures: bool) -> Path:
        """Write the same images with one numbering for all into a folder of their own, which is returned."""
        found = {stem: [Cluster(**values) for values in facts["clusters"]] for stem, facts in self.images.items()}
        groups = group_clusters(found, count, seed)
        target = ClusterFolder(self.folder / "groups", self.facts | {"groups": count}, overwrite=True)
        labels = LabelSpace("groups", tuple(str(i) for i in range(count)))
        for stem, facts in self.images.items():
            with Image.open(self.folder / f"{stem}.png") as file:
                mask = torch.from_numpy(lookup_table(groups[stem])[np.asarray(file)])
            image = read_image(Path(facts["file"]))
            target.images[stem] = facts | {"clusters": target._write(stem, image, mask, labels, pictures)}
        target.save({})
        return target.folder

    def _write(
        self, stem: str, image: Tensor, mask: Tensor, labels: LabelSpace, pictures: bool
    ) -> list[dict[str, Any]]:
        """Write an image's mask and pictures; its clusters, as the index says them."""
        files = {".png": encode_mask(mask, labels)}
        if pictures:
            laid = Image.fromarray(overlay(image, mask, labels).permute(1, 2, 0).numpy())
            files["_overlay.jpg"] = encoded(laid, "JPEG", quality=90)
            files["_borders.png"] = encoded(draw_borders(image, mask), "PNG")
            files["_sheet.png"] = encoded(draw_sheet(image, mask, labels), "PNG")
        for end, content in files.items():
            write_atomically(self.folder / f"{stem}{end}", content)
        return [cluster._asdict() for cluster in describe(mask, labels, image)]
