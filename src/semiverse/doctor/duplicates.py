"""Images that stand twice, by what they show and not by their names."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from semiverse.data.alike import Resemblance
from semiverse.data.images import ImageFacts
from semiverse.doctor.findings import Facts, Finding


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
    if facts.val is None or not {facts.train, facts.val} <= set(readable):
        return
    if facts.train == facts.val:
        if any(record.mask is not None for record in facts.parts[facts.val].records):
            message = (
                f"validation is training: both are {facts.val}, so that scores say how well the model remembers, not "
                "how well it does on new images; expected images that training has not seen"
            )
            remedy = "leave train and val out, and a fifth is held out, or say val: null"
            yield Finding("same-split", "remark", facts.val, message, remedy)
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
    return Finding(kind, "remark", str(facts.val), message, remedy, files)


def _near(train: Sequence[tuple[Path, ImageFacts]], val: Sequence[tuple[Path, ImageFacts]]) -> list[tuple[Path, Path]]:
    """Images of val that an image of train resembles, with that image."""
    resemblance = Resemblance([image.thumbnail for _, image in train])
    found = ((path, resemblance.find(image.thumbnail)) for path, image in val)
    return [(path, train[alike[0]][0]) for path, alike in found if alike]
