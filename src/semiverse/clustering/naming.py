"""From clusters that a person has named to a dataset: a first set of labels without drawing any."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from semiverse.configuration import dump_yaml
from semiverse.files import read_json, write_atomically
from semiverse.labels import LabelSpace, lookup_table

INDEX = "clusters.json"
"""What ``semiverse cluster`` writes beside its masks."""

CONFIG = "dataset.yaml"

Names = Mapping[int, str]
"""Class of each cluster that has one."""


def name_clusters(folder: Path, names: Names | Mapping[str, Names], root: Path | None = None) -> Path:
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
    _clear(root)
    for stem, named in by_image.items():
        source = Path(index["images"][stem]["file"])
        if not source.is_file():
            raise FileNotFoundError(f"{source}: no such file; expected the image that was clustered: put it back")
        shutil.copyfile(source, root / "images" / source.name)
        with Image.open(folder / f"{stem}.png") as mask:
            clusters = np.asarray(mask)
        table = lookup_table({cluster: ids[title] for cluster, title in named.items()})
        Image.fromarray(table[clusters]).save(root / "masks" / f"{stem}.png")
    arguments = {"root": str(root.absolute()), "classes": list(classes)}
    dataset = {"class_path": "Folder", "init_args": arguments}
    domains = {"named": {"dataset": dataset, "train": "all", "val": "all"}}  # validated on what it learns from
    write_atomically(root / CONFIG, dump_yaml({"data": {"domains": domains}}))
    return root


def _clear(root: Path) -> None:
    """Make empty folders for images and masks; what an earlier naming left is removed, nothing else.

    Raises:
        ValueError: If there are files that no naming wrote.
    """
    if root.exists() and any(root.iterdir()) and not (root / CONFIG).is_file():
        raise ValueError(f"{root} holds other files; expected an empty or new folder: choose another one")
    for kind in ("images", "masks"):
        shutil.rmtree(root / kind, ignore_errors=True)
        (root / kind).mkdir(parents=True)


def _by_image(names: Names | Mapping[str, Names], index: Mapping[str, Any]) -> dict[str, dict[int, str]]:
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
