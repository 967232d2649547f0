"""Images that stand twice, by what they show and not by their names."""

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from semiverse.data import Contents
from semiverse.data.alike import Resemblance
from semiverse.data.records import masked
from semiverse.doctor.findings import Facts, Finding, Part


def find_duplicates(facts: Facts) -> Iterator[Finding]:
    """Images of validation that training has seen, and images that one split holds twice: remarks."""
    for split, part in facts.parts.items():
        groups = _twins(part)
        if groups:
            paths = [[part.records[number].image for number in group] for group in groups]
            first, second, *_ = paths[0]
            message = f"{len(groups)} images stand more than once, first: {first} is {second}; expected each once"
            files = tuple(path for group in paths for path in group)
            yield Finding("twice", "remark", split, message, "remove the copies, or they count twice", files)
    if facts.val is None or not {facts.train, facts.val} <= facts.parts.keys():
        return
    if facts.train == facts.val:
        if any(masked(facts.parts[facts.val].records)):
            message = (
                f"validation is training: both are {facts.val}, so that scores say how well the model remembers, not "
                "how well it does on new images; expected images that training has not seen"
            )
            remedy = "leave train and val out, and a fifth is held out, or say val: null"
            yield Finding("same-split", "remark", facts.val, message, remedy)
        return
    train, val = facts.parts[facts.train], facts.parts[facts.val]
    equal = _equal(train.contents, val.contents)
    if equal:
        yield _shared(facts, "duplicates", equal, "are in", "too")
    near = _near(train.contents, val.contents, {number for number, _ in equal})
    if near:
        yield _shared(facts, "near-duplicates", near, "look like images of", "but for small changes")


def _twins(part: Part) -> list[list[int]]:
    """Numbers of the images of a split that show the same, of those that more than one shows; in their order."""
    readable = np.flatnonzero(part.contents.readable)
    _, first, same, times = np.unique(
        part.contents.digests[readable], return_index=True, return_inverse=True, return_counts=True
    )
    groups: dict[int, list[int]] = {}
    for place in np.flatnonzero(times[same] > 1).tolist():
        groups.setdefault(int(first[same[place]]), []).append(int(readable[place]))
    return list(groups.values())


def _equal(train: Contents, val: Contents) -> list[tuple[int, int]]:
    """Numbers of the images of val that train holds too, with the first one there."""
    known, first = np.unique(train.digests[train.readable], return_index=True)
    readable = np.flatnonzero(train.readable)
    places = np.searchsorted(known, val.digests)
    found = val.readable & (places < len(known))
    found[found] = known[places[found]] == val.digests[found]
    return [(number, int(readable[first[places[number]]])) for number in np.flatnonzero(found).tolist()]


def _near(train: Contents, val: Contents, equal: Collection[int]) -> list[tuple[int, int]]:
    """Numbers of the images of val, without some, that an image of train resembles, with that image."""
    readable = np.flatnonzero(train.readable)
    resemblance = Resemblance(train.thumbnails[readable])
    numbers = (number for number in np.flatnonzero(val.readable).tolist() if number not in equal)
    found = ((number, resemblance.find(val.thumbnails[number])) for number in numbers)
    return [(number, int(readable[alike[0]])) for number, alike in found if alike]


def _shared(facts: Facts, kind: str, numbers: Sequence[tuple[int, int]], verb: str, rest: str) -> Finding:
    """One finding about images of both splits."""
    train, val = facts.parts[facts.train].records, facts.parts[str(facts.val)].records
    pairs = [(val[one].image, train[other].image) for one, other in numbers]
    message = (
        f"{len(pairs)} images of {facts.val} {verb} {facts.train} {rest}, so scores flatter; first: {pairs[0][0]} is "
        f"{pairs[0][1]}; expected images that training has not seen"
    )
    remedy, files = f"take them out of {facts.train} or {facts.val}", tuple(path for pair in pairs for path in pair)
    return Finding(kind, "remark", str(facts.val), message, remedy, files)
