"""Masks of another size than their image, and why."""

from collections.abc import Iterator

from semiverse.data.content import Content
from semiverse.data.doctor.files import halves
from semiverse.data.doctor.findings import Facts, Finding, masked

TURNED = range(5, 9)
"""EXIF orientations that swap height and width."""


def find_sizes(facts: Facts) -> Iterator[Finding]:
    """One finding a mask, with the likely cause."""
    for split, pairs in masked(facts).items():
        for record, content in pairs:
            if content.at == "size" and record.mask is not None and content.problem is not None:
                message, remedy = halves(content.problem)
                cause, reason = _cause(content)
                files = (record.mask, record.image)
                text = f"{message} ({cause})" if cause else message
                yield Finding("sizes", "problem", split, text, remedy, files, unfixable=reason)


def _cause(content: Content) -> tuple[str, str]:
    """The likely cause, and why it cannot be repaired; empty where unknown, or where it can."""
    if content.image is None or content.mask is None or content.size is None:
        return "", "the image cannot be read"
    image, mask = content.image.header, content.mask.header.size
    if image.orientation in TURNED and mask == image.size:
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
