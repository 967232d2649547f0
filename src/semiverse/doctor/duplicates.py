"""Images that stand twice, by what they show and not by their names."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from semiverse.data.images import ImageFacts
from semiverse.doctor.findings import Facts, Finding

BITS = 6
"""Near-duplicates differ in at most so many of the 64 bits of the difference hash ..."""
LEVELS = 4.0
"""... and by at most so many grey levels in the mean of their thumbnails ..."""
CONTRAST = 8.0
"""... which have at least this standard deviation: two flat images look alike and are not the same."""


def find_duplicates(facts: Facts) -> Iterator[Finding]:
    """Images of validation that training has seen, and images that one split holds twice: remarks."""
    readable = {
        split: [(r.image, c.image) for r, c in zip(part.records, part.contents, strict=True) if c.image is not None]
        for split, part in facts.parts.items()
    }
    for split, images in readable.items():
        by_digest: dict[str, list[Path]] = {}
        for path, image in images:
            by_digest.setdefault(image.digest, []).append(path)
        twins = [paths for paths in by_digest.values() if len(paths) > 1]
        if twins:
            first, second, *_ = twins[0]
            message = f"{len(twins)} images stand more than once, first: {first} is {second}; expected each once"
            files = tuple(path for paths in twins for path in paths)
            yield Finding("twice", "remark", split, message, "remove the copies, or they count twice", files)
    if facts.train == facts.val or not {facts.train, facts.val} <= set(readable):
        return
    train, val = readable[facts.train], readable[facts.val]
    known = {image.digest: path for path, image in reversed(train)}
    shared = [(path, known[image.digest]) for path, image in val if image.digest in known]
    if shared:
        yield _shared(facts, "duplicates", shared, "are in", "too")
    near = _near(train, [(path, image) for path, image in val if image.digest not in known])
    if near:
        yield _shared(facts, "near-duplicates", near, "look like images of", "but for small changes")


def _shared(facts: Facts, kind: str, pairs: Sequence[tuple[Path, Path]], verb: str, rest: str) -> Finding:
    """One finding about images of both splits."""
    message = (
        f"{len(pairs)} images of {facts.val} {verb} {facts.train} {rest}, so scores flatter; first: {pairs[0][0]} is "
        f"{pairs[0][1]}; expected images that training has not seen"
    )
    remedy, files = f"take them out of {facts.train} or {facts.val}", tuple(path for pair in pairs for path in pair)
    return Finding(kind, "remark", facts.val, message, remedy, files)


def _near(train: Sequence[tuple[Path, ImageFacts]], val: Sequence[tuple[Path, ImageFacts]]) -> list[tuple[Path, Path]]:
    """Images of val that an image of train resembles, with that image."""
    hashes = np.array([difference_hash(image.thumbnail) for _, image in train], dtype=np.uint64)
    found: list[tuple[Path, Path]] = []
    for path, image in val:
        if image.thumbnail.std() >= CONTRAST:
            distances = np.bitwise_count(hashes ^ np.uint64(difference_hash(image.thumbnail)))
            alike = (train[i] for i in np.flatnonzero(distances <= BITS).tolist())
            found += islice(((path, other) for other, facts in alike if resemble(image.thumbnail, facts.thumbnail)), 1)
    return found


def difference_hash(thumbnail: np.ndarray) -> int:
    """64 bits: whether each of 8 rows of 9 grey means grows from one to the next (Krawetz, "Kind of like that", 2013).

    Args:
        thumbnail: (16, 18) uint8, whose quadruples give the 8x9 means.
    """
    means = thumbnail.reshape(8, 2, 9, 2).mean(axis=(1, 3), dtype=np.float64)
    return int.from_bytes(np.packbits(np.diff(means, axis=1) > 0).tobytes(), "big")


def resemble(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether thumbnails, (16, 18) uint8, show the same up to brightness: the check of what the hash suggests."""
    difference = one.astype(np.float64) - other
    centred = np.abs(difference - difference.mean()).mean()
    return bool(centred <= LEVELS and min(one.std(), other.std()) >= CONTRAST)
