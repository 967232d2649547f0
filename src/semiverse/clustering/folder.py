"""The folder that a clustering of images fills, and a dataset of the clusters that a person has named."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from semiverse.clustering.results import Cluster, Clusters, describe, draw_borders, draw_sheet, group_clusters
from semiverse.configuration import dump_yaml
from semiverse.data.images import read_image
from semiverse.data.walking import walk
from semiverse.files import Outputs, read_json
from semiverse.inference.images import encode_mask, encoded
from semiverse.inference.pictures import overlay
from semiverse.labels import LabelSpace, lookup_table

INDEX = "clusters.json"
"""What ``semiverse cluster`` writes beside its masks."""
CONFIG = "dataset.yaml"


class ClusterFolder:
    """Masks and pictures of images, and ``clusters.json``, which says what was found; it is written after each image.

    Args:
        folder: Where.
        facts: What the results depend on; an earlier call with the same facts is gone on with.
        overwrite: Begin anew where the folder holds results of other facts.
        images: Files by name that this call clusters: none of them is replaced, nor what no call of the command wrote.
        pictures: Whether pictures are written too.

    Raises:
        ValueError: If it does, and they may not be replaced, or other files would be.
    """

    def __init__(
        self,
        folder: Path,
        facts: dict[str, Any],
        overwrite: bool,
        images: Mapping[str, Path] = MappingProxyType({}),
        pictures: bool = True,
    ) -> None:
        self.folder, self.facts = folder, facts
        self.images: dict[str, Any] = {}
        there = (folder / INDEX).is_file()
        index = read_json(folder / INDEX, "the clusters of an earlier call") if there else {}
        known = index.get("images") if isinstance(index.get("images"), dict) else {}
        files = [INDEX, *(name for stem in known or {} for name in _names(stem, pictures=True))] if known else []
        self.outputs = Outputs(folder, "cluster", images.values(), files)
        self.outputs.refuse_foreign([*(name for stem in images for name in _names(stem, pictures)), INDEX])
        if overwrite or not there:
            return
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
        self.outputs.write(INDEX, json.dumps(index, indent=1) + "\n")

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
            self.outputs.write(f"{stem}{end}", content)
        return [cluster._asdict() for cluster in describe(mask, labels, image)]


def _names(stem: str, pictures: bool) -> list[str]:
    """Files that are written for an image of this name."""
    return [f"{stem}.png", *(f"{stem}{end}" for end in ("_overlay.jpg", "_borders.png", "_sheet.png") if pictures)]


def name_clusters(
    folder: Path, names: Mapping[int, str] | Mapping[str, Mapping[int, str]], root: Path | None = None
) -> Path:
    """Write images and masks that the dataset ``Folder`` reads, and the YAML to train from.

    Clusters that nobody named have no label, and images without a named cluster are left out. Classes are numbered in
    the order in which they are first named.

    Args:
        folder: What ``semiverse cluster`` wrote.
        names: Class of each cluster by the image's name; or class of each cluster, for all images alike, which means
            something where there is one image, or where clusters were grouped.
        root: The folder for the dataset; None: ``named`` in ``folder``.

    Returns:
        The root, with ``images``, ``masks`` and ``dataset.yaml``.

    Raises:
        FileNotFoundError: If the folder has no clusters, or an image is no longer where it was.
        ValueError: If names are of clusters or images that do not exist, there are none, or the root holds other files.
    """
    index = read_json(folder / INDEX, "a folder that `semiverse cluster` wrote")
    by_image = _by_image(names, index)
    given = [named if isinstance(named, Mapping) else {0: named} for named in names.values()]
    classes = tuple(dict.fromkeys(str(title) for named in given for title in named.values() if title is not None))
    if not classes:
        raise ValueError(
            "no cluster is named; expected at least one, such as {0: road}: look at the sheets and add some"
        )
    ids = {title: i for i, title in enumerate(LabelSpace("named", classes).classes)}
    root = root or folder / "named"
    outputs = Outputs(root, "cluster", (Path(index["images"][stem]["file"]) for stem in by_image))
    others = [path for _, path in walk(root).files if not outputs.wrote(path.relative_to(root).as_posix())]
    if others:
        raise ValueError(
            f"{root} holds other files; expected an empty or new folder, or what an earlier naming wrote, and not "
            f"{others[0]}: choose another one"
        )
    outputs.remove([name for name in outputs.names if name.startswith(("images/", "masks/"))])
    for stem, named in by_image.items():
        source = Path(index["images"][stem]["file"])
        if not source.is_file():
            raise FileNotFoundError(f"{source}: no such file; expected the image that was clustered: put it back")
        outputs.write(f"images/{stem}{source.suffix}", source.read_bytes())
        with Image.open(folder / f"{stem}.png") as mask:
            clusters = np.asarray(mask)
        table = lookup_table({cluster: ids[title] for cluster, title in named.items()})
        outputs.write(f"masks/{stem}.png", encoded(Image.fromarray(table[clusters]), "PNG"))
    dataset = {"class_path": "Folder", "init_args": {"root": str(root.absolute()), "classes": list(classes)}}
    domains = {"named": {"dataset": dataset, "train": "all", "val": "all"}}  # validated on what it learns from
    outputs.write(CONFIG, dump_yaml({"data": {"domains": domains}}))
    return root


def _by_image(names: Mapping[Any, Any], index: Mapping[str, Any]) -> dict[str, dict[int, str]]:
    """Named clusters of every image that has any.

    Raises:
        ValueError: If something is named that does not exist.
    """
    known = {stem: {cluster["id"] for cluster in facts["clusters"]} for stem, facts in index["images"].items()}
    flat = {key: value for key, value in names.items() if not isinstance(value, Mapping)}
    if flat and len(flat) < len(names):
        raise ValueError(f"{next(iter(flat))!r} names a cluster beside images; expected one or the other: divide them")
    if flat and len(known) > 1 and "groups" not in index:
        raise ValueError(
            f"clusters are named for all {len(known)} images alike, but cluster 0 of one image has nothing to do with "
            "that of another; expected {image: {cluster: class}}: name them by image, or cluster with --groups"
        )
    chosen: dict[Any, Any] = dict.fromkeys(known, flat) if flat else dict(names)
    result: dict[str, dict[int, str]] = {}
    for stem, named in chosen.items():
        if stem not in known:
            raise ValueError(f"{stem!r} is no image of {INDEX}; expected one of {', '.join(known)}: correct the name")
        everywhere = set().union(*known.values()) if flat else known[stem]
        wrong = [cluster for cluster in named if cluster not in everywhere]
        if wrong:
            raise ValueError(
                f"{stem} has no cluster {wrong[0]!r}; expected one of {', '.join(map(str, sorted(everywhere)))}: "
                "correct the number"
            )
        own = {cluster: str(title) for cluster, title in named.items() if cluster in known[stem] and title is not None}
        result |= {stem: own} if own else {}
    return result
