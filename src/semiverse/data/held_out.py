"""A share of the images for validation, held out of a dataset that nothing divides."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from semiverse.data.alike import Resemblance
from semiverse.data.contents import Content
from semiverse.data.division import divide, group_names
from semiverse.data.pairing import Record, digest
from semiverse.data.records import is_large, with_masks
from semiverse.files import MissingData

SHARE = 0.2
"""Of the images with masks that is held out."""
SEED = 0
"""Of the draw: the same for every training, so that their scores are about the same images."""
PATTERNS = (r"^(.+)/", r"^(.*\D)\d+$")
"""What finds drives, scenes and videos in ids: the sub-folder, or what stands before the number of a frame."""
LEAST_GROUPS = 3
"""With fewer groups a fifth cannot be held out even roughly."""
LARGEST = 0.6
"""Share of all images: what would tie more than these together holds no images apart."""


class HeldOut(NamedTuple):
    """How a dataset divided itself.

    Args:
        train: Images for training.
        val: Images for validation; empty where fewer than two images have masks.
        rule: How they were drawn, in words.
    """

    train: Sequence[Record]
    val: Sequence[Record]
    rule: str

    @property
    def said(self) -> str:
        """The division in one line."""
        if not self.val:
            return f"nothing divides the images and {self.rule}: none is held out for validation"
        return (
            f"nothing divides the images, so {len(self.val)} of {len(self.train) + len(self.val)} are held out for "
            f"validation: {self.rule}"
        )

    @property
    def facts(self) -> dict[str, Any]:
        """What a run keeps about it; of more than 50,000 images no ids, but digests alone."""
        parts = {"train": self.train, "val": self.val}
        digests = {name: digest(record.id for record in records) for name, records in parts.items()}
        if is_large(self.train, self.val):
            return {"rule": self.rule, "sha256": digests}
        ids = {name: [record.id for record in records] for name, records in parts.items()}
        return {"rule": self.rule, "sha256": digests, **ids}


def restored(facts: Mapping[str, Any], records: Sequence[Record], groups: str | None = None) -> HeldOut:
    """The division that a run kept; images that came since belong to neither side.

    One of more than 50,000 images is drawn again, and no image may have come or gone.

    Raises:
        FileNotFoundError: If images of it are gone.
    """
    if "train" not in facts:
        again = hold_out(records, (), groups)
        if again.facts["sha256"] != facts["sha256"]:
            found = f"the {len(records)} images are not those that were divided, or not in that order"
            raise MissingData(found, "the images that the run began with", "restore them, or train into another --out")
        return again
    known = {record.id: record for record in records}
    ids = [name for part in ("train", "val") for name in facts[part]]
    gone = [name for name in ids if name not in known]
    if gone:
        found = f"{len(gone)} of {len(ids)} images that were divided are gone, first: {gone[0]}"
        raise MissingData(found, "the images that the run began with", "restore them, or train into another --out")
    train, val = ([known[name] for name in facts[part]] for part in ("train", "val"))
    return HeldOut(train, val, facts["rule"])


def hold_out(records: Sequence[Record], contents: Sequence[Content], groups: str | None = None) -> HeldOut:
    """Divide images by a seeded draw.

    Whole groups are drawn, and images that show nearly the same stay on one side; training first receives images of
    every class, then validation.

    Of more than 50,000 images neither classes nor resemblance are asked for: nothing of them has to be read.

    Args:
        records: All images.
        contents: What each holds; empty for so many.
        groups: Regular expression that finds the group of an image in its id; None: it is looked for in the ids.

    Raises:
        ValueError: If ``groups`` finds no group in an id.
    """
    masked, large = len(with_masks(records)), is_large(records)
    if masked < 2:
        return HeldOut(records, [], f"{masked or 'none'} has a mask")
    ids = [record.id for record in records]
    pattern = groups or find_groups(ids)
    names = [str(i) for i in range(len(ids))] if pattern is None else group_names(ids, pattern)
    units, linked = names, names if large else _tied(names, contents)
    rules = ["drawn with one seed"] if pattern is None else [f"whole groups ({pattern} in the id)"]
    if linked != names and max(Counter(linked).values()) <= LARGEST * len(linked):
        units, rules = linked, [*rules, "images that look alike on one side"]
    classes = None if large else [content.classes for content in contents]
    if sum(1 for count in _masked(units, records).values() if count) < 2:
        units, rules = [str(i) for i in range(len(ids))], ["drawn with one seed, as all of one group"]
    train, val = divide(records, max(1, round(SHARE * masked)), SEED, units, classes)
    return HeldOut(train, val, ", ".join(rules))


def find_groups(ids: Sequence[str]) -> str | None:
    """What finds the drive, the scene or the video of each image in its id; None where names show none."""
    for pattern in PATTERNS:
        matches = [re.search(pattern, name) for name in ids]
        if all(matches):
            sizes = Counter(match[1] for match in matches if match)
            if LEAST_GROUPS <= len(sizes) <= len(ids) / 2 and max(sizes.values()) <= LARGEST * len(ids):
                return pattern
    return None


def _masked(units: Sequence[str], records: Sequence[Record]) -> Counter[str]:
    """Images with masks in each unit."""
    return Counter(unit for unit, record in zip(units, records, strict=True) if record.mask is not None)


def _tied(names: Sequence[str], contents: Sequence[Content]) -> list[str]:
    """Names of groups, where those that share an image, or images that look alike, have become one."""
    first = {name: name for name in names}

    def root(name: str) -> str:
        while first[name] != name:
            first[name] = name = first[first[name]]
        return name

    images = [(name, content.image) for name, content in zip(names, contents, strict=True)]
    known = [(name, image) for name, image in images if image is not None]
    resemblance = Resemblance([image.thumbnail for _, image in known])
    by_digest: dict[str, str] = {}
    for name, image in known:
        twin = by_digest.setdefault(image.digest, name)
        for other in [twin, *(known[i][0] for i in resemblance.find(image.thumbnail))]:
            first[root(other)] = root(name)
    return [root(name) for name in names]
