"""Classes that are never or hardly seen, and masks that label little."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from semiverse.data.pairing import Record
from semiverse.data.records import masked, taken
from semiverse.doctor.findings import Facts, Finding
from semiverse.labels import LabelSpace

RARE = 1e-4
"""A class with a smaller share of the labelled pixels is hardly seen."""
MOSTLY = 0.9
"""A mask with a larger share of ignored pixels is mostly ignored ..."""
HALF = 0.5
"""... and so is a split with a larger one than this."""


def find_frequencies(facts: Facts) -> Iterator[Finding]:
    """Everything that counts of pixels tell, split by split."""
    for split, part in facts.parts.items():
        numbers = np.flatnonzero(part.contents.counted)
        if len(numbers):
            records, pixels = taken(part.records, numbers), part.contents.pixels[numbers]
            only = len(numbers) == np.count_nonzero(masked(part.records))
            yield from _classes(split, pixels, facts.labels, only)
            yield from _one_class(split, split == facts.train, records, pixels, facts.labels)
            yield from _ignored(split, split == facts.train, records, pixels)


def _classes(split: str, pixels: np.ndarray, labels: LabelSpace, only: bool) -> Iterator[Finding]:
    totals = pixels[:, :-1].sum(axis=0)
    unseen = [title for title, total in zip(labels.classes, totals, strict=True) if total == 0]
    if unseen and only and totals.any():
        shifted = "do the ids of the masks start at 1? Otherwise " if totals[0] == 0 and len(unseen) == 1 else ""
        message = f"no mask shows {', '.join(unseen)}; expected every class somewhere"
        remedy = f"{shifted}add images that show it, merge it with another class, or drop it"
        yield Finding("unseen-class", "remark", split, message, remedy)
    shares = totals / max(1, totals.sum())
    rare = [f"{title} ({share:.4%})" for title, share in zip(labels.classes, shares, strict=True) if 0 < share < RARE]
    if rare:
        message = f"hardly any pixel shows {', '.join(rare)}; expected at least {RARE:.2%} of the labelled pixels"
        remedy = "add images that show it, or merge it with another class"
        yield Finding("rare-class", "remark", split, message, remedy)


def _one_class(
    split: str, train: bool, records: Sequence[Record], pixels: np.ndarray, labels: LabelSpace
) -> Iterator[Finding]:
    """Masks that all hold one class: usually a black picture, or an export that lost the ids."""
    seen = np.flatnonzero(pixels[:, :-1].any(axis=0))
    if len(seen) == 1 and len(labels) > 1 and len(records) > 1:
        message = (
            f"all {len(records)} masks hold the one class {labels.classes[seen[0]]} (id {seen[0]}) and no other, "
            f"first: {records[0].mask}; expected several of {len(labels)} classes"
        )
        remedy = (
            "were ids lost on export? Export the masks again; if they are right, there is nothing to learn from them"
        )
        reason, files = "ids that are not in the files cannot be restored", _masks(records)
        yield Finding("one-class", "problem" if train else "remark", split, message, remedy, files, unfixable=reason)


def _ignored(split: str, train: bool, records: Sequence[Record], pixels: np.ndarray) -> Iterator[Finding]:
    shares = pixels[:, -1] / np.maximum(1, pixels.sum(axis=1))
    empty = taken(records, np.flatnonzero(shares == 1))
    if len(empty) == len(records):
        message = (
            f"{len(records)} masks have no labelled pixel, first: {records[0].id}, and the split has no other; "
            "expected classes"
        )
        remedy = "does what is declared as 'no label' mean a class? Correct it (Folder: ignore, ignore_color, mapping)"
        reason, files = "labels that are not in the files cannot be restored", _masks(records)
        yield Finding("all-ignored", "problem" if train else "remark", split, message, remedy, files, unfixable=reason)
        return
    if empty:
        message = f"{len(empty)} masks have no labelled pixel, first: {empty[0].id}; expected classes"
        yield Finding("empty-mask", "remark", split, message, "label them, or remove them", _masks(empty))
    few = taken(records, np.flatnonzero((shares > MOSTLY) & (shares < 1)))
    total = pixels[:, -1].sum() / max(1, pixels.sum())
    if few or total > HALF:
        first = f", first: {few[0].mask}" if few else ""
        message = (
            f"{total:.0%} of the pixels have no label, and {len(few)} masks less than {1 - MOSTLY:.0%} labelled{first}"
            "; expected that most pixels have one"
        )
        remedy = "is that meant? If a class was declared to be ignored by mistake, name it"
        yield Finding("mostly-ignored", "remark", split, message, remedy, _masks(few))


def _masks(records: Sequence[Record]) -> tuple[Path, ...]:
    return tuple(record.mask for record in records if record.mask is not None)
