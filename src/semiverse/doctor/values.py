"""What grey values of masks look like, if not like the ids that were declared."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from semiverse.doctor.decoding import by_threshold, by_values, plain
from semiverse.doctor.findings import Coding, Decode
from semiverse.formats.cityscapes import LABELS, SPACE
from semiverse.labels import IGNORE


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


FIX = ", or let semiverse check --fix DIR write corrected ones"


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
        return Guess(
            "one-more",
            words,
            f"name the class of id {count}; or if 0 means 'no label', say so (Folder: ignore: 0, ids: "
            f"{{{coding.classes[0]}: 1, ...}})",
            unfixable=f"whether 0 means 'no label', or {count} a further class, only the owner knows",
        )
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
