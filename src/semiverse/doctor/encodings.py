"""How masks are coded, guessed from what they hold, where that is not what was declared."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from semiverse.data.images import MaskFacts, rgb_of
from semiverse.data.pairing import Record
from semiverse.doctor.decoding import FAR, FEW, by_nearest_color, by_threshold, by_values, color_distances, plain
from semiverse.doctor.findings import Coding, Decode, Facts, Finding, listed, masked, told
from semiverse.files import DataProblem
from semiverse.formats.cityscapes import LABELS, SPACE
from semiverse.labels import IGNORE

FIX = ", or let semiverse check --fix DIR write corrected ones"
MANY = 3
"""From so many undeclared colours on they are taken for smoothed edges and not for a class that was forgotten."""


@dataclass(frozen=True)
class Guess:
    """How masks seem to be coded.

    Args:
        kind: In one word.
        words: What was found, as the end of "the masks ...".
        remedy: What to do.
        decode: How to read them; None if nobody can know.
        unfixable: Why nobody can know.
        every: Whether it concerns all masks of the domain, also those that can be read as declared.
    """

    kind: str
    words: str
    remedy: str
    decode: Decode | None = None
    unfixable: str = ""
    every: bool = False


class Suspect(NamedTuple):
    """A mask that cannot be read as declared."""

    split: str
    record: Record
    problem: DataProblem
    facts: MaskFacts


def find_encodings(facts: Facts) -> Iterator[Finding]:
    """One finding for all masks that one explanation fits, over all splits; one a mask for those that none does."""
    refused = [
        Suspect(split, record, content.problem, content.mask)
        for split, pairs in masked(facts).items()
        for record, content in pairs
        if content.at == "mask" and content.problem is not None and content.mask is not None
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
    if storage == "colours" or (storage == "palette" and coding.kind != "palette"):
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
    trained = {raw: int(coding.table[position]) for raw, position in coding.ids.items()}
    return {raw for raw, train in trained.items() if total[-1 if train == IGNORE else train] > 0}


def _finding(guess: Guess, suspects: Sequence[Suspect], facts: Facts) -> Finding:
    everything = [(split, record) for split, pairs in masked(facts).items() for record, _ in pairs]
    chosen = everything if guess.every else [(suspect.split, suspect.record) for suspect in suspects]
    files = tuple(dict.fromkeys(record.mask for _, record in chosen if record.mask is not None))
    first = suspects[0].problem if suspects else str(files[0])
    message = f"{len(files)} of {len(everything)} masks {guess.words}; first: {first}"
    splits = ", ".join(dict.fromkeys(split for split, _ in chosen))
    return Finding(guess.kind, "problem", splits, message, guess.remedy, files, guess.decode, guess.unfixable)


def _unexplained(suspect: Suspect) -> Finding:
    message, remedy = told(suspect.problem)
    kinds = {"colours": "unknown-colour", "palette": "unknown-colour", "unreadable": "unreadable"}
    kind = kinds.get(_storage(suspect.facts), "unknown-value")
    files = () if suspect.record.mask is None else (suspect.record.mask,)
    damaged = kind == "unreadable"
    reason = "a damaged file cannot be restored" if damaged else "what the value means only the owner knows"
    return Finding(kind, "problem", suspect.split, message, remedy, files, unfixable=reason)


def guess_values(values: Collection[int], coding: Coding) -> Guess | None:
    """The first explanation of all grey values that occur in a domain, or None.

    Args:
        values: Stored values that occur anywhere, also in masks that could be read as declared.
        coding: What was declared.
    """
    found = set(values)
    if not found:
        return None
    if coding.kind == "binary":
        return _smoothed_binary(found, coding)
    if not plain(coding):
        return None
    return next((guess for look in LOOKS if (guess := look(found, coding)) is not None), None)


def _smoothed_binary(found: set[int], coding: Coding) -> Guess | None:
    if {0, 255} <= found and len(found) > 3:
        words = "hold greys between 0 and 255, as smoothed edges do, where two values were declared"
        return Guess("smoothed-edges", words, "export them without smoothing" + FIX, by_threshold(coding))
    return None


def _binary(found: set[int], coding: Coding) -> Guess | None:
    if len(coding.classes) == 2 and found == {0, 255}:
        words = "hold 0 and 255 and never 1: 255 means the second class, where it was declared to mean 'no label'"
        decode = by_values({0: 0, 255: 1}, coding)
        return Guess("binary", words, "say so (Folder: masks: binary)" + FIX, decode, every=True)
    return None


def _off_by_one(found: set[int], coding: Coding) -> Guess | None:
    count, named = len(coding.classes), found - _ignored(coding)
    if named and min(named) >= 1 and max(named) == count:
        words = f"hold 1 to {count} and never 0, where 0 to {count - 1} were declared: off by one"
        values = {i + 1: i for i in range(count)} | dict.fromkeys(_ignored(coding) - {count}, IGNORE)
        remedy = f"say so (Folder: ids: {{{coding.classes[0]}: 1, ...}})" + FIX
        return Guess("off-by-one", words, remedy, by_values(values, coding), every=True)
    return None


def _one_more(found: set[int], coding: Coding) -> Guess | None:
    count, named = len(coding.classes), found - _ignored(coding)
    if max(named, default=0) == count and 0 in named:
        words = f"hold 0 to {count}: {count + 1} values, where {count} classes were declared"
        coded = f"Folder: ignore: 0, ids: {{{coding.classes[0]}: 1, ...}}"
        remedy = f"name the class of id {count}; or if 0 means 'no label', say so ({coded})"
        reason = f"whether 0 means 'no label', or {count} a further class, only the owner knows"
        return Guess("one-more", words, remedy, unfixable=reason)
    return None


def _stretched(found: set[int], coding: Coding) -> Guess | None:
    """Ids spread over 0..255, or over 16 bits, so that one can see them."""
    count, named = len(coding.classes), sorted(found)
    for name, top in (("255", 255), ("65535", 65535)):
        steps = [top * i / (count - 1) for i in range(count)] if count > 1 else []
        if count > 2 and len(named) == count and all(abs(a - b) < 1 for a, b in zip(named, steps, strict=True)):
            words = f"hold {count} values spread evenly from 0 to {name}: ids stretched to be seen"
            decode = by_values({value: i for i, value in enumerate(named)}, coding)
            return Guess("stretched", words, "export ids" + FIX, decode, every=True)
    wide = {value // 257 for value in found}
    if max(found) > 255 and all(value % 257 == 0 for value in found) and wide <= set(coding.ids):
        words = "hold 16-bit values that are 257 times ids, as programs widen 8 bits to 16"
        values = {257 * raw: position for raw, position in coding.ids.items()}
        return Guess("16-bit", words, "export them with 8 bits" + FIX, by_values(values, coding))
    return None


def _cityscapes(found: set[int], coding: Coding) -> Guess | None:
    """The owner's ids of Cityscapes where its train ids were declared, or the other way round."""
    names, beyond = tuple(_word(name) for name in coding.classes), found - set(coding.ids)
    if names == tuple(_word(name) for name in SPACE.classes) and beyond and max(found) <= 33:
        train: Mapping[int, int] = {label.id: label.train_id for label in LABELS if label.id >= 0}
        words = f"hold values up to {max(found)}, the labelIds of Cityscapes, where its trainIds 0 to 18 were declared"
        remedy = "use the files ending in _labelTrainIds.png, or the dataset Cityscapes, which reads labelIds" + FIX
        return Guess("label-ids", words, remedy, by_values(train, coding), every=True)
    owner = tuple(_word(label.name) for label in LABELS if label.id >= 0)
    if names[: len(owner)] == owner and found <= {*range(19), 255} and 255 in found and 0 in found:
        back = {label.train_id: label.id for label in LABELS if 0 <= label.train_id < IGNORE} | {255: IGNORE}
        words = "hold 0 to 18 and 255, the trainIds of Cityscapes, where its labelIds were declared"
        remedy = "use the files ending in _labelIds.png, or name the 19 classes" + FIX
        return Guess("train-ids", words, remedy, by_values(back, coding), every=True)
    return None


LOOKS: tuple[Callable[[set[int], Coding], Guess | None], ...] = (
    _binary,
    _cityscapes,
    _stretched,
    _off_by_one,
    _one_more,
)


def _ignored(coding: Coding) -> set[int]:
    return {raw for raw, position in coding.ids.items() if position == IGNORE}


def _word(name: str) -> str:
    return name.lower().replace("_", " ").strip()


def guess_jpeg(masks: Sequence[MaskFacts], coding: Coding | None) -> Guess:
    """Masks that a lossy format changed."""
    words = "are JPEGs, which change values near every edge, where a lossless format was expected"
    remedy = "export them as PNG"
    if coding is not None and coding.kind == "binary":
        return Guess("jpeg-mask", words, remedy + FIX, by_threshold(coding))
    if coding is not None and coding.colors and all(_near(mask, coding) for mask in masks):
        return Guess("jpeg-mask", words, remedy + FIX, by_nearest_color(coding))
    reason = "ids next to each other cannot be told apart after a lossy format"
    if coding is None or coding.colors:
        reason = "their colours are too far from those of the classes"
    return Guess("jpeg-mask", words, remedy, unfixable=reason)


def guess_palette(masks: Sequence[MaskFacts], coding: Coding) -> Guess:
    """Palette images where grey ids were declared."""
    words, remedy = f"are palette images, where {coding.kind} was declared", "say so (Folder: masks: palette)"
    if all(set(mask.values) <= set(coding.ids) for mask in masks):
        return Guess("palette", words, remedy + FIX, by_values(coding.ids, coding))
    if coding.colors and all(_known(mask, coding) for mask in masks):
        return Guess("palette", words, "say so (Folder: masks: rgb)" + FIX, by_nearest_color(coding))
    values = sorted({value for mask in masks for value in mask.values} - set(coding.ids))
    return Guess("palette", words, remedy, unfixable=f"their indices {listed(values)} are no ids of classes")


def guess_colors(masks: Sequence[MaskFacts], coding: Coding) -> Guess | None:
    """Colours: where ids were declared, or others than declared."""
    grey = all(len(set(rgb_of(color))) == 1 for mask in masks for color in mask.colors)
    values = {color & 255 for mask in masks for color in mask.colors}
    if coding.kind != "rgb" and grey and values <= set(coding.ids):
        words, remedy = "hold ids three times, as grey stored in colours", "export them with one channel"
        return Guess("grey-as-colours", words, remedy + FIX, by_values(coding.ids, coding))
    if coding.kind == "binary" and grey and len(values) > 2:
        words = "hold greys between black and white, as smoothed edges do"
        return Guess("smoothed-edges", words, "export them without smoothing" + FIX, by_threshold(coding))
    if coding.colors and coding.kind != "rgb" and all(_known(mask, coding) for mask in masks):
        words = f"hold the declared colours, where {coding.kind} was declared"
        return Guess("colours", words, "say so (Folder: masks: rgb)" + FIX, by_nearest_color(coding))
    if coding.colors and all(_near(mask, coding) for mask in masks):
        return _smoothed(masks, coding)
    if coding.kind != "rgb":
        found = sorted({color for mask in masks for color in list(mask.colors)[:20]})
        rgb = [list(rgb_of(color)) for color in found]
        words = f"hold {len(found)} or more colours, where {coding.kind} was declared: {listed(rgb, 20)}"
        remedy = "say so, and which colour is which class (Folder: masks: rgb, palette: [[red, green, blue], ...])"
        return Guess("colours", words, remedy, unfixable="which colour is which class only the owner knows")
    return None


def guess_grey_for_colors(masks: Sequence[MaskFacts], coding: Coding) -> Guess | None:
    """Grey ids where colours were declared."""
    ids = {i: i for i in range(len(coding.classes))} | ({255: 255} if len(coding.classes) < 255 else {})
    if any(set(mask.values) - {255} for mask in masks) and all(set(mask.values) <= set(ids) for mask in masks):
        words = f"hold grey values up to {max(max(mask.values) for mask in masks)}, ids, where colours were declared"
        return Guess("ids", words, "say so (Folder: masks: index)" + FIX, by_values(ids, coding))
    return None


def _smoothed(masks: Sequence[MaskFacts], coding: Coding) -> Guess | None:
    strange = {color for mask in masks for color in mask.colors if not _declared(color, coding)}
    if len(strange) < MANY:
        return None
    pixels = sum(n for mask in masks for color, n in mask.colors.items() if color in strange)
    share = pixels / sum(mask.pixels for mask in masks)
    words = f"hold {len(strange)} colours beside the declared ones, in {share:.1%} of their pixels: smoothed edges"
    return Guess("smoothed-edges", words, "export them without smoothing" + FIX, by_nearest_color(coding))


def _declared(color: int, coding: Coding) -> bool:
    return rgb_of(color) in coding.colors


def _known(mask: MaskFacts, coding: Coding) -> bool:
    """Whether a mask holds declared colours only."""
    return all(_declared(color, coding) for color in mask.colors)


def _near(mask: MaskFacts, coding: Coding) -> bool:
    """Whether nearly all pixels are near a declared colour, and most of them have one, as far as a JPEG keeps it."""
    if not mask.colors:
        return False
    counts = np.array(list(mask.colors.values()))
    distances = color_distances(np.array(list(mask.colors)), coding.colors).min(axis=1)
    close = 16 if mask.header.format in ("JPEG", "MPO") else 0
    far, exact = counts[distances > FAR].sum(), counts[distances <= close].sum()
    return bool(far <= FEW * mask.pixels and exact >= mask.pixels / 2)
