"""How masks are coded, guessed from what they hold, where that is not what was declared."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from semiverse.data.images import MaskFacts
from semiverse.data.pairing import Record
from semiverse.data.survey import Content
from semiverse.doctor.colors import guess_colors, guess_grey_for_colors, guess_jpeg, guess_palette
from semiverse.doctor.decoding import by_values
from semiverse.doctor.files import halves
from semiverse.doctor.findings import Coding, Facts, Finding, masked
from semiverse.doctor.values import FIX, Guess, guess_values
from semiverse.labels import IGNORE


class Suspect(NamedTuple):
    """A mask that cannot be read as declared."""

    split: str
    record: Record
    content: Content
    facts: MaskFacts


def find_encodings(facts: Facts) -> Iterator[Finding]:
    """One finding for all masks that one explanation fits, over all splits; one a mask for those that none does."""
    refused = [
        Suspect(split, record, content, content.mask)
        for split, pairs in masked(facts).items()
        for record, content in pairs
        if content.at == "mask" and content.mask is not None
    ]
    groups: dict[str, list[Suspect]] = {}
    for suspect in refused:
        groups.setdefault(_storage(suspect.facts), []).append(suspect)
    if "grey" not in groups and facts.coding is not None:
        groups["grey"] = []  # masks that could be read may be misread all the same
    for storage, suspects in groups.items():
        guess = _guess(storage, suspects, facts)
        if guess is not None:
            yield _finding(guess, suspects, facts)
        else:
            yield from (_unexplained(suspect) for suspect in suspects)


def _storage(mask: MaskFacts) -> str:
    """How a mask is stored: what explanations it can have."""
    if mask.header.format in ("JPEG", "MPO"):
        return "jpeg"
    if not mask.pixels:
        return "unreadable"
    if mask.header.mode == "P":
        return "palette"
    return "grey" if mask.values else "colours"


def _guess(storage: str, suspects: Sequence[Suspect], facts: Facts) -> Guess | None:
    masks, coding = [suspect.facts for suspect in suspects], facts.coding
    if storage == "jpeg":
        return guess_jpeg(masks, coding)
    if coding is None or storage == "unreadable":
        return None
    if storage == "palette" and coding.kind == "index":
        return guess_palette(masks, coding)
    if storage in ("colours", "palette") and coding.kind != "palette":
        return guess_colors(masks, coding)
    if storage == "colours":
        return guess_colors(masks, coding)
    if coding.kind == "rgb":
        return guess_grey_for_colors(masks, coding) if masks else None
    if storage == "grey" and coding.kind == "palette" and all(set(mask.values) <= set(coding.ids) for mask in masks):
        return _grey_for_palette(coding) if masks else None
    return guess_values({value for mask in masks for value in mask.values} | _read_before(facts, coding), coding)


def _grey_for_palette(coding: Coding) -> Guess:

    words = "are grey ids, where palette images were declared"
    return Guess("ids", words, "say so (Folder: masks: index)" + FIX, by_values(coding.ids, coding))


def _read_before(facts: Facts, coding: Coding) -> set[int]:
    """Raw values that masks may hold which could be read as declared."""
    counts = [content.pixels for pairs in masked(facts).values() for _, content in pairs if content.pixels is not None]
    if not counts:
        return set()
    total = np.sum(counts, axis=0)
    trained = {
        raw: IGNORE if position == IGNORE else int(coding.table[position]) for raw, position in coding.ids.items()
    }
    return {raw for raw, train in trained.items() if total[-1 if train == IGNORE else train] > 0}


def _finding(guess: Guess, suspects: Sequence[Suspect], facts: Facts) -> Finding:
    everything = [(split, record) for split, pairs in masked(facts).items() for record, _ in pairs]
    chosen = everything if guess.every else [(suspect.split, suspect.record) for suspect in suspects]
    files = tuple(dict.fromkeys(record.mask for _, record in chosen if record.mask is not None))
    first = suspects[0].content.problem if suspects else str(files[0])
    message = f"{len(files)} of {len(everything)} masks {guess.words}; first: {first}"
    splits = ", ".join(dict.fromkeys(split for split, _ in chosen))
    return Finding(guess.kind, "problem", splits, message, guess.remedy, files, guess.decode, guess.unfixable)


def _unexplained(suspect: Suspect) -> Finding:
    message, remedy = halves(suspect.content.problem or "")
    kinds = {"colours": "unknown-colour", "palette": "unknown-colour", "unreadable": "unreadable"}
    kind = kinds.get(_storage(suspect.facts), "unknown-value")
    files = () if suspect.record.mask is None else (suspect.record.mask,)
    reason = (
        "what the value means only the owner knows" if kind != "unreadable" else "a damaged file cannot be restored"
    )
    return Finding(kind, "problem", suspect.split, message, remedy, files, unfixable=reason)
