"""Image files that cannot be read, or that are read otherwise than their owner may think."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from semiverse.data.survey import Content
from semiverse.doctor.findings import Facts, Finding, listed, masked, told

SMALL = 32
"""Pixels on the shorter side: below, nothing is left after an encoder's output stride."""
RGB = ("RGB", "YCbCr")


def find_unreadable(facts: Facts) -> Iterator[Finding]:
    """Images that are missing, empty, truncated or none at all, one finding each."""
    for split, part in facts.parts.items():
        for record, content in zip(part.records, part.contents, strict=True):
            if content.problem is not None and content.at in ("image", "reader"):
                message, remedy = told(content.problem)
                kind = "unreadable" if content.at == "image" else "reader"
                reason = (
                    "a damaged file cannot be restored" if content.at == "image" else "a program has to be corrected"
                )
                path = record.mask if content.at == "reader" and record.mask is not None else record.image
                yield Finding(kind, "problem", split, message, remedy, (path,), unfixable=reason)


def find_unusual_images(facts: Facts) -> Iterator[Finding]:
    """Images that are turned on reading, not in colours, or tiny: remarks."""
    for split, part in facts.parts.items():
        seen = [
            (record.image, content, content.image.header)
            for record, content in zip(part.records, part.contents, strict=True)
            if content.image is not None
        ]
        yield from _turned(
            split, [path for path, content, header in seen if header.orientation > 1 and content.at != "size"]
        )
        yield from _not_rgb(split, {path: h.mode for path, _, h in seen if h.format is not None and h.mode not in RGB})
        yield from _tiny(split, {path: c.size for path, c, _ in seen if c.size is not None and min(c.size) < SMALL})


def _turned(split: str, turned: Sequence[Path]) -> Iterator[Finding]:
    if turned:
        message = (
            f"{len(turned)} images are turned on reading, as their EXIF orientation says, first: {turned[0]}; expected "
            "upright pixels, since many programs ignore it"
        )
        remedy = "make sure that masks were drawn on the upright image"
        yield Finding("turned", "remark", split, message, remedy, tuple(turned))


def _not_rgb(split: str, modes: Mapping[Path, str]) -> Iterator[Finding]:
    if modes:
        found = listed(sorted(set(modes.values())))
        message = f"{len(modes)} images are stored as {found}, first: {next(iter(modes))}; expected RGB"
        remedy = "nothing has to be done if that is meant: grey is repeated, alpha dropped, 16 bits are scaled to 8"
        yield Finding("not-rgb", "remark", split, message, remedy, tuple(modes))


def _tiny(split: str, small: Mapping[Path, tuple[int, int]]) -> Iterator[Finding]:
    if small:
        path, (height, width) = next(iter(small.items()))
        message = (
            f"{len(small)} images are smaller than {SMALL} pixels, first: {path} with {width}x{height}; expected at "
            f"least {SMALL} on each side, as networks see one in 8 to 32 pixels"
        )
        yield Finding("tiny", "remark", split, message, "are they thumbnails? Use the originals", tuple(small))


def find_sizes(facts: Facts) -> Iterator[Finding]:
    """One finding a mask, with the likely cause."""
    for split, pairs in masked(facts).items():
        for record, content in pairs:
            if content.at == "size" and record.mask is not None and content.problem is not None:
                message, remedy = told(content.problem)
                cause, reason = _cause(content)
                files = (record.mask, record.image)
                text = f"{message} ({cause})" if cause else message
                yield Finding("sizes", "problem", split, text, remedy, files, unfixable=reason)


def _cause(content: Content) -> tuple[str, str]:
    """The likely cause, and why it cannot be repaired; empty where unknown, or where it can."""
    if content.image is None or content.mask is None or content.size is None:
        return "", "the image cannot be read"
    image, mask = content.image.header, content.mask.header.size
    if image.lying and mask == image.size:
        return (
            f"the image's EXIF orientation {image.orientation} turns it on reading, and the mask fits the image as "
            "stored: turn the mask likewise, --fix does",
            "",
        )
    if mask == content.size[::-1]:
        return "height and width are swapped", "whether to turn the mask left or right cannot be told"
    if scaled(content.size, mask):
        return "the same shape at another scale: --fix enlarges or shrinks it without mixing ids", ""
    return "", "its shape is another one, so that which part of the image it covers cannot be told"


def scaled(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes are one shape at two scales, up to rounding to whole pixels."""
    factor = max(one) / max(*other, 1)
    return min(other) > 0 and all(abs(a - b * factor) <= max(1.0, factor) for a, b in zip(one, other, strict=True))
