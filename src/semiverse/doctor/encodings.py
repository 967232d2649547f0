"""How masks are coded where that is not what was declared: guessed from what they hold, and how they are read then."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from PIL import Image

from semiverse.data.images import MaskFacts, color_codes, rgb_of
from semiverse.data.pairing import Record
from semiverse.doctor.findings import Coding, Decode, Facts, Finding, listed, masked, told
from semiverse.files import DataProblem
from semiverse.formats.cityscapes import LABELS, SPACE
from semiverse.labels import IGNORE, Color

MANY = 3
"""From so many undeclared colours on they are taken for smoothed edges and not for a class that was forgotten."""
FAR = 60
"""A colour that differs by more than this in one channel is not taken for a smoothed one ..."""
FEW = 0.05
"""... and a mask with a larger share of those is not repaired."""


@dataclass(frozen=True)
class Guess:
    """How masks seem to be coded.

    Args:
        kind: In one word.
        words: What was found, as the end of "the masks ...".
        remedy: What to do, if the doctor is not to do it.
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
    groups: dict[str, list[Suspect]] = {}
    for split, record, content in masked(facts):
        if content.at == "mask" and content.problem is not None and content.mask is not None:
            suspect = Suspect(split, record, content.problem, content.mask)
            groups.setdefault(_storage(content.mask), []).append(suspect)
    if facts.coding is not None:
        groups.setdefault("grey", [])  # masks that could be read may be misread all the same
    for storage, suspects in groups.items():
        guess = _guess(storage, [suspect.facts for suspect in suspects], facts)
        if guess is not None:
            yield _finding(guess, suspects, facts)
        else:
            yield from (_unexplained(suspect, storage) for suspect in suspects)


def _storage(mask: MaskFacts) -> str:
    """How a mask is stored: what explanations it can have."""
    if mask.header.format in ("JPEG", "MPO"):
        return "jpeg"
    if not mask.pixels:
        return "unreadable"
    if mask.header.mode == "P":
        return "palette"
    return "grey" if mask.values else "colours"


def _guess(storage: str, masks: Sequence[MaskFacts], facts: Facts) -> Guess | None:
    coding = facts.coding
    if storage == "jpeg":
        return _guess_jpeg(masks, coding)
    if coding is None or storage == "unreadable":
        return None
    if storage == "palette" and coding.kind == "index":
        return _guess_palette(masks, coding)
    if storage == "colours" or (storage == "palette" and coding.kind != "palette"):
        return _guess_colors(masks, coding)
    values = {value for mask in masks for value in mask.values}
    if coding.kind == "rgb":
        ids = {i: i for i in range(len(coding.classes))} | ({255: 255} if len(coding.classes) < 255 else {})
        if not values - {255} or not values <= set(ids):
            return None
        words = f"hold grey values up to {max(values)}, ids, where colours were declared"
        return Guess("ids", words, "say so (Folder: masks: index)", partial(by_values, ids, coding))
    if storage == "grey" and coding.kind == "palette" and values <= set(coding.ids):
        words, remedy = "are grey ids, where palette images were declared", "say so (Folder: masks: index)"
        return Guess("ids", words, remedy, partial(by_values, coding.ids, coding)) if masks else None
    columns = [part.contents for part in facts.parts.values()]
    if any(one.counted.any() for one in columns):  # values of masks that could be read as declared may occur as well
        total = np.sum([one.pixels.sum(axis=0) for one in columns], axis=0)
        trained = {raw: int(coding.table[position]) for raw, position in coding.ids.items()}
        values |= {raw for raw, train in trained.items() if total[-1 if train == IGNORE else train] > 0}
    return guess_values(values, coding)


def _finding(guess: Guess, suspects: Sequence[Suspect], facts: Facts) -> Finding:
    everything = [(split, record) for split, record, _ in masked(facts)]
    chosen = everything if guess.every else [(suspect.split, suspect.record) for suspect in suspects]
    files = tuple(dict.fromkeys(record.mask for _, record in chosen if record.mask is not None))
    first = suspects[0].problem.finding if suspects else str(files[0])  # what to do is said once, for all
    message = f"{len(files)} of {len(everything)} masks {guess.words}; first: {first}"
    remedy = guess.remedy + (", or let semiverse check --fix DIR write corrected ones" if guess.decode else "")
    splits = ", ".join(dict.fromkeys(split for split, _ in chosen))
    return Finding(guess.kind, "problem", splits, message, remedy, files, guess.decode, guess.unfixable)


def _unexplained(suspect: Suspect, storage: str) -> Finding:
    kinds = {"colours": "unknown-colour", "palette": "unknown-colour", "unreadable": "unreadable"}
    kind = kinds.get(storage, "unknown-value")
    files = () if suspect.record.mask is None else (suspect.record.mask,)
    damaged = kind == "unreadable"
    reason = "a damaged file cannot be restored" if damaged else "what the value means only the owner knows"
    return Finding(kind, "problem", suspect.split, *told(suspect.problem), files, unfixable=reason)


def guess_values(values: Collection[int], coding: Coding) -> Guess | None:
    """The first explanation of all grey values that occur in a domain, or None.

    Args:
        values: Stored values that occur anywhere, also in masks that could be read as declared.
        coding: What was declared.
    """
    found = set(values)
    if coding.kind == "binary":
        if not {0, 255} <= found or len(found) <= 3:
            return None
        words = "hold greys between 0 and 255, as smoothed edges do, where two values were declared"
        return Guess("smoothed-edges", words, "export them without smoothing", partial(by_threshold, coding))
    named = {raw: position for raw, position in coding.ids.items() if position != IGNORE}
    if not found or named != {i: i for i in range(len(coding.classes))}:  # ids that their owner chose mean what he says
        return None
    return _cityscapes(found, coding) or _stretched(found, coding) or _miscounted(found, coding)


def _miscounted(found: set[int], coding: Coding) -> Guess | None:
    """Ids that begin at 1, are one more than classes, or are 0 and 255 for two classes."""
    count, ignored = len(coding.classes), {raw for raw, position in coding.ids.items() if position == IGNORE}
    named = found - ignored
    if count == 2 and found == {0, 255}:
        words = "hold 0 and 255 and never 1: 255 means the second class, where it was declared to mean 'no label'"
        decode = partial(by_values, {0: 0, 255: 1}, coding)
        return Guess("binary", words, "say so (Folder: masks: binary)", decode, every=True)
    if max(named, default=0) != count:
        return None
    if min(named) >= 1:
        words = f"hold 1 to {count} and never 0, where 0 to {count - 1} were declared: off by one"
        values = {i + 1: i for i in range(count)} | dict.fromkeys(ignored - {count}, IGNORE)
        remedy = f"say so (Folder: ids: {{{coding.classes[0]}: 1, ...}})"
        return Guess("off-by-one", words, remedy, partial(by_values, values, coding), every=True)
    words = f"hold 0 to {count}: {count + 1} values, where {count} classes were declared"
    coded = f"Folder: ignore: 0, ids: {{{coding.classes[0]}: 1, ...}}"
    remedy = f"name the class of id {count}; or if 0 means 'no label', say so ({coded})"
    reason = f"whether 0 means 'no label', or {count} a further class, only the owner knows"
    return Guess("one-more", words, remedy, unfixable=reason)


def _stretched(found: set[int], coding: Coding) -> Guess | None:
    """Ids spread over 0..255, or over 16 bits, so that one can see them."""
    count, named = len(coding.classes), sorted(found)
    for top in (255, 65535):
        if len(named) == count > 2 and (abs(named - np.arange(count) * top / (count - 1)) < 1).all():
            words = f"hold {count} values spread evenly from 0 to {top}: ids stretched to be seen"
            decode = partial(by_values, {value: i for i, value in enumerate(named)}, coding)
            return Guess("stretched", words, "export ids", decode, every=True)
    wide = {value // 257 for value in found}
    if max(found) > 255 and all(value % 257 == 0 for value in found) and wide <= set(coding.ids):
        words = "hold 16-bit values that are 257 times ids, as programs widen 8 bits to 16"
        values = {257 * raw: position for raw, position in coding.ids.items()}
        return Guess("16-bit", words, "export them with 8 bits", partial(by_values, values, coding))
    return None


def _cityscapes(found: set[int], coding: Coding) -> Guess | None:
    """The owner's ids of Cityscapes where its train ids were declared, or the other way round."""
    names = tuple(name.lower().replace("_", " ").strip() for name in coding.classes)
    if names == SPACE.classes and found - set(coding.ids) and max(found) <= 33:
        train = {label.id: label.train_id for label in LABELS if label.id >= 0}
        words = f"hold values up to {max(found)}, the labelIds of Cityscapes, where its trainIds 0 to 18 were declared"
        remedy = "use the files ending in _labelTrainIds.png, or the dataset Cityscapes, which reads labelIds"
        return Guess("label-ids", words, remedy, partial(by_values, train, coding), every=True)
    owner = tuple(label.name for label in LABELS if label.id >= 0)
    if names[: len(owner)] == owner and found <= {*range(19), 255} and 255 in found and 0 in found:
        back = {label.train_id: label.id for label in LABELS if 0 <= label.train_id < IGNORE} | {255: IGNORE}
        words = "hold 0 to 18 and 255, the trainIds of Cityscapes, where its labelIds were declared"
        remedy = "use the files ending in _labelIds.png, or name the 19 classes"
        return Guess("train-ids", words, remedy, partial(by_values, back, coding), every=True)
    return None


def _guess_jpeg(masks: Sequence[MaskFacts], coding: Coding | None) -> Guess:
    """Masks that a lossy format changed."""
    words = "are JPEGs, which change values near every edge, where a lossless format was expected"
    remedy = "export them as PNG"
    if coding is not None and coding.kind == "binary":
        return Guess("jpeg-mask", words, remedy, partial(by_threshold, coding))
    if coding is not None and coding.colors and all(_near(mask, coding) for mask in masks):
        return Guess("jpeg-mask", words, remedy, partial(by_nearest_color, coding))
    reason = "ids next to each other cannot be told apart after a lossy format"
    if coding is None or coding.colors:
        reason = "their colours are too far from those of the classes"
    return Guess("jpeg-mask", words, remedy, unfixable=reason)


def _guess_palette(masks: Sequence[MaskFacts], coding: Coding) -> Guess:
    """Palette images where grey ids were declared."""
    words, remedy = f"are palette images, where {coding.kind} was declared", "say so (Folder: masks: palette)"
    values = sorted({value for mask in masks for value in mask.values} - set(coding.ids))
    if not values:
        return Guess("palette", words, remedy, partial(by_values, coding.ids, coding))
    if coding.colors and not _undeclared(masks, coding):
        return Guess("palette", words, "say so (Folder: masks: rgb)", partial(by_nearest_color, coding))
    return Guess("palette", words, remedy, unfixable=f"their indices {listed(values)} are no ids of classes")


def _guess_colors(masks: Sequence[MaskFacts], coding: Coding) -> Guess | None:
    """Colours: where ids were declared, or others than declared."""
    if any(mask.transparent for mask in masks):
        words = "hold pixels of one colour that differ in their transparency: the drawing seems to lie there"
        remedy = "export the transparency as a mask of its own (black and white: masks: binary)"
        return Guess("transparency", words, remedy, unfixable="what transparency stands for only the owner knows")
    grey = all(len(set(rgb_of(color))) == 1 for mask in masks for color in mask.colors)
    values, strange = {color & 255 for mask in masks for color in mask.colors}, _undeclared(masks, coding)
    if coding.kind != "rgb" and grey and values <= set(coding.ids):
        words, remedy = "hold ids three times, as grey stored in colours", "export them with one channel"
        return Guess("grey-as-colours", words, remedy, partial(by_values, coding.ids, coding))
    if coding.kind == "binary" and grey and len(values) > 2:
        words = "hold greys between black and white, as smoothed edges do"
        return Guess("smoothed-edges", words, "export them without smoothing", partial(by_threshold, coding))
    if coding.colors and coding.kind != "rgb" and not strange:
        words = f"hold the declared colours, where {coding.kind} was declared"
        return Guess("colours", words, "say so (Folder: masks: rgb)", partial(by_nearest_color, coding))
    if coding.colors and all(_near(mask, coding) for mask in masks):
        if len(strange) < MANY:
            return None
        pixels = sum(n for mask in masks for color, n in mask.colors.items() if color in strange)
        share = pixels / sum(mask.pixels for mask in masks)
        words = f"hold {len(strange)} colours beside the declared ones, in {share:.1%} of their pixels: smoothed edges"
        return Guess("smoothed-edges", words, "export them without smoothing", partial(by_nearest_color, coding))
    if coding.kind == "rgb":
        return None
    found = sorted({color for mask in masks for color in list(mask.colors)[:20]})
    rgb = [list(rgb_of(color)) for color in found]
    words = f"hold {len(found)} or more colours, where {coding.kind} was declared: {listed(rgb, 20)}"
    remedy = "say so, and which colour is which class (Folder: masks: rgb, palette: [[red, green, blue], ...])"
    return Guess("colours", words, remedy, unfixable="which colour is which class only the owner knows")


def _undeclared(masks: Sequence[MaskFacts], coding: Coding) -> set[int]:
    return {color for mask in masks for color in mask.colors if rgb_of(color) not in coding.colors}


def _near(mask: MaskFacts, coding: Coding) -> bool:
    """Whether nearly all pixels are near a declared colour, and most of them have one, as far as a JPEG keeps it."""
    if not mask.colors:
        return False
    counts = np.array(list(mask.colors.values()))
    distances = _color_distances(np.array(list(mask.colors)), coding.colors).min(axis=1)
    close = 16 if mask.header.format in ("JPEG", "MPO") else 0
    far, exact = counts[distances > FAR].sum(), counts[distances <= close].sum()
    return bool(far <= FEW * mask.pixels and exact >= mask.pixels / 2)


def by_values(values: Mapping[int, int], coding: Coding, image: Image.Image) -> tuple[np.ndarray, int]:
    """Decode by raw value: of grey values of any width, of palette indices, or of grey that is stored as colours.

    Args:
        values: Position in the classes, or ``IGNORE``, of every raw value.
        coding: Where the classes are.
        image: The mask.
    """
    known = np.array(sorted(values), dtype=np.int64)
    raw = np.asarray(image).astype(np.int64)
    raw = raw[..., 0] if raw.ndim == 3 else raw
    places = np.searchsorted(known, raw).clip(max=len(known) - 1)
    if (strange := raw[known[places] != raw]).size:
        raise ValueError(f"it holds the value {strange[0]}, which nothing explains")
    return coding.table[[values[value] for value in known.tolist()]][places], 0


def by_threshold(coding: Coding, image: Image.Image) -> tuple[np.ndarray, int]:
    """Decode two classes by brightness; greys between black and white are guessed."""
    grey = np.asarray(image.convert("L"))
    return coding.table[(grey >= 128).astype(np.uint8)], int(((grey > 0) & (grey < 255)).sum())


def by_nearest_color(coding: Coding, image: Image.Image) -> tuple[np.ndarray, int]:
    """Decode by the nearest declared colour; pixels of other colours are guessed.

    Where two declared colours are equally near, the one that more of the mask has is taken.
    """
    codes, places, counts = np.unique(color_codes(image), return_inverse=True, return_counts=True)
    distances = _color_distances(codes, coding.colors)
    by_size = np.argsort(-(counts @ (distances == 0)), kind="stable")
    nearest, smallest = by_size[distances[:, by_size].argmin(axis=1)], distances.min(axis=1)
    if counts[smallest > FAR].sum() > FEW * counts.sum():
        raise ValueError(f"over {FEW:.0%} of its pixels are far from every declared colour")
    trained = coding.table[list(coding.colors.values())]
    return trained[nearest][places].reshape(image.height, image.width), int(counts[smallest > 0].sum())


def _color_distances(codes: np.ndarray, colors: Mapping[Color, int]) -> np.ndarray:
    """The largest difference of a channel between each of K codes and each of some colours, (K, colours)."""
    rgb = np.stack([codes >> 16, (codes >> 8) & 255, codes & 255], axis=1).astype(np.int64)
    return np.asarray(np.abs(rgb[:, None] - np.array(list(colors), dtype=np.int64)[None]).max(axis=2))
