"""Images that stand twice, by what they show and not by their names."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from semiverse.data.images import ImageFacts
from semiverse.doctor.findings import Facts, Finding, Part

BITS = 6
"""Near-duplicates differ in at most so many of the 64 bits of the difference hash ..."""
LEVELS = 4.0
"""... and by at most so many grey levels in the mean of their thumbnails ..."""
CONTRAST = 8.0
"""... which have at least this standard deviation: two flat images look alike and are not the same."""


def find_duplicates(facts: Facts) -> Iterator[Finding]:
    """Images of validation that training has seen, and images that one split holds twice: remarks."""
    for split, part in facts.parts.items():
        yield from _within(split, part)
    if facts.train == facts.val or not {facts.train, facts.val} <= set(facts.parts):
        return
    train, val = _readable(facts.parts[facts.train]), _readable(facts.parts[facts.val])
    known = {image.digest: path for path, image in reversed(train)}
    shared = [(path, known[image.digest]) for path, image in val if image.digest in known]
    if shared:
        yield _shared(facts, "duplicates", shared, "are in", "too")
    near = _near(train, [(path, image) for path, image in val if image.digest not in known])
    if near:
        yield _shared(facts, "near-duplicates", near, "look like images of", "but for small changes")


def _shared(facts: Facts, kind: str, pairs: Sequence[tuple[Path, Path]], verb: str, rest: str) -> Finding:
    """One finding about images of both splits."""
    return Finding(
        kind,
        "remark",
        facts.val,
        f"{len(pairs)} images of {facts.val} {verb} {facts.train} {rest}, so scores flatter; first: {pairs[0][0]} is "
        f"{pairs[0][1]}; expected images that training has not seen",
        f"take them out of {facts.train} or {facts.val}",
        tuple(path for pair in pairs for path in pair),
    )


def _within(split: str, part: Part) -> Iterator[Finding]:
    by_digest: dict[str, list[Path]] = {}
    for path, image in _readable(part):
        by_digest.setdefault(image.digest, []).append(path)
    twins = [paths for paths in by_digest.values() if len(paths) > 1]
    if twins:
        message = f"{len(twins)} images stand more than once, first: {twins[0][0]} is {twins[0][1]}; expected each once"
        files = tuple(path for paths in twins for path in paths)
        yield Finding("twice", "remark", split, message, "remove the copies, or they count twice", files)


def _readable(part: Part) -> list[tuple[Path, ImageFacts]]:
    pairs = zip(part.records, part.contents, strict=True)
    return [(record.image, content.image) for record, content in pairs if content.image is not None]


def _near(train: Sequence[tuple[Path, ImageFacts]], val: Sequence[tuple[Path, ImageFacts]]) -> list[tuple[Path, Path]]:
    """Images of val that an image of train resembles, with that image."""
    if not train:
        return []
    hashes = np.array([difference_hash(image.thumbnail) for _, image in train], dtype=np.uint64)
    found = []
    for path, image in val:
        if image.thumbnail.std() < CONTRAST:
            continue
        distances = np.bitwise_count(hashes ^ np.uint64(difference_hash(image.thumbnail)))
        alike = [train[i] for i in np.flatnonzero(distances <= BITS).tolist()]
        same = next((other for other, facts in alike if resemble(image.thumbnail, facts.thumbnail)), None)
        if same is not None:
            found.append((path, same))
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
