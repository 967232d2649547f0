"""How the masks of a folder are coded: guessed from the values and colours that they hold."""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from semiverse.configuration import Plain
from semiverse.data.images import MaskFacts, examine_raw, rgb_of
from semiverse.discovery.found import Guess
from semiverse.discovery.names import Names
from semiverse.files import DataProblem
from semiverse.labels import IGNORE, Color

MOST = 2000
"""Masks that are looked at, evenly chosen."""
COLORS = 64
"""With more colours than this, those that are rare are taken for smoothed edges."""
RARE = 1e-3
"""Share of the pixels below which a colour is then rare."""
APART = 60
"""Colours of masks in a lossy format differ by more than this in one channel if they mean different classes."""
BORDER: Color = (224, 224, 192)
"""Pascal VOC's colour of borders, which have no label."""


class CodingGuess(NamedTuple):
    """Arguments of ``Folder`` that say how masks are coded, and what was guessed."""

    arguments: dict[str, Plain]
    guesses: list[Guess]


def guess_coding(masks: Sequence[Path], names: Names | None) -> CodingGuess:
    """Look at masks and say how they are coded and what their classes may be called.

    Raises:
        ValueError: If none can be read, or they hold too many values to be classes.
    """
    chosen = [masks[i] for i in np.unique(np.linspace(0, len(masks) - 1, min(len(masks), MOST)).astype(int))]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        facts = [(path, one) for path, one in zip(chosen, pool.map(examine_raw, chosen), strict=True) if one.pixels]
    if not facts:
        raise DataProblem(f"{masks[0]}: no mask can be read", "images", "correct the folder")
    kinds = Counter(_storage(one) for _, one in facts)
    kind = kinds.most_common(1)[0][0]
    same = [(path, one) for path, one in facts if _storage(one) == kind]
    values: Counter[int] = Counter()
    for _, one in same:
        values.update(one.values if kind in ("grey", "palette") else one.colors)
    if kind in ("grey", "palette"):
        found = _of_values(values, names, kind == "palette", same[0][0])
    else:
        found = _of_colors(values, names, lossy=kind == "jpeg", first=same[0][0])
    mixed = (
        [] if len(kinds) == 1 else [Guess("unsure", f"masks of {len(kinds)} kinds ({', '.join(kinds)}): {kind} taken")]
    )
    some = [] if len(chosen) == len(masks) else [Guess("likely", f"{len(chosen)} of {len(masks)} masks were looked at")]
    return CodingGuess(found.arguments, [*found.guesses, *mixed, *some])


def _storage(mask: MaskFacts) -> str:
    if mask.header.format in ("JPEG", "MPO"):
        return "jpeg"
    if mask.header.mode == "P":
        return "palette"
    return "grey" if mask.values else "colours"


def _of_values(values: Counter[int], names: Names | None, palette: bool, first: Path) -> CodingGuess:
    """Grey values or indices of a palette."""
    found = set(values)
    top = max(found)
    if not palette and len(found) > 1 and found in ({0, 255}, {0, 65535}):
        titles = _titles([0, 1], names)
        return CodingGuess(
            {"classes": titles.classes, "masks": "binary"},
            [Guess("likely", "black and white masks of two classes"), *titles.guesses],
        )
    spread = (
        [255 * i / (len(found) - 1) * (257 if top > 255 else 1) for i in range(len(found))] if len(found) > 2 else []
    )
    stretched = bool(spread) and all(abs(a - b) < 1 for a, b in zip(sorted(found), spread, strict=True))
    ignore = None if stretched or IGNORE not in found else IGNORE
    ids = sorted(found - ({IGNORE} if ignore is not None else set()))
    if len(ids) > IGNORE or not ids:
        said = f"{first}: masks hold {len(ids)} values beside 255" if ids else f"{first}: masks hold 255 alone"
        raise DataProblem(said, "one to 255 classes", "are they masks of instances, or photographs? Export classes")
    known = names is not None and not stretched and max(ids) in range(max(names.by_id) + 1)
    listed = sorted(names.by_id) if known and names is not None else ids
    if not known and not stretched and ids[0] <= 1 and top <= 32 and ids != list(range(ids[0], ids[-1] + 1)):
        listed = list(range(min(0, ids[0]), ids[-1] + 1))  # classes between them that these masks do not show
    titles = _titles(listed, names if known or not stretched else None)
    arguments: dict[str, Plain] = {"classes": titles.classes, "masks": "palette" if palette else "index"}
    if listed != list(range(len(listed))):
        arguments["ids"] = dict(zip(titles.classes, listed, strict=True))
    if stretched:
        arguments["ignore"] = None
    if palette:
        table = Image.open(first).getpalette() or []
        colors = [table[3 * i : 3 * i + 3] for i in listed]
        if all(len(color) == 3 for color in colors):
            arguments["palette"] = colors
    word = "palette images" if palette else "values spread evenly to be seen" if stretched else "class numbers"
    none = [] if ignore is None else [Guess("likely", "255 means no label")]
    return CodingGuess(
        arguments, [Guess("likely" if stretched else "sure", f"masks hold {word}"), *none, *titles.guesses]
    )


def _of_colors(colors: Counter[int], names: Names | None, lossy: bool, first: Path) -> CodingGuess:
    """Colours, or what a lossy format made of them."""
    total, guesses, rest = sum(colors.values()), [Guess("sure", "masks hold a colour for each class")], False
    chosen = sorted(colors)
    if lossy:
        guesses = [Guess("sure", "masks are JPEGs, which change values: check says how to correct them")]
        kept: list[int] = []
        for code, count in colors.most_common():
            far = all(max(abs(a - b) for a, b in zip(rgb_of(code), rgb_of(k), strict=True)) > APART for k in kept)
            if far and (count >= total * RARE or not kept):
                kept.append(code)
        chosen = sorted(kept)
        if {rgb_of(code) for code in chosen} <= {(0, 0, 0), (255, 255, 255)} and len(chosen) == 2:
            titles = _titles([0, 1], names)
            return CodingGuess({"classes": titles.classes, "masks": "binary"}, [*guesses, *titles.guesses])
    elif len(chosen) > COLORS:
        chosen, rest = [code for code in chosen if colors[code] >= total * RARE], True
        text = (
            f"{len(colors)} colours, of which {len(chosen)} are frequent: the others, as on smoothed edges, are ignored"
        )
        guesses.append(Guess("unsure", text))
    found = [rgb_of(code) for code in chosen]
    if not found or len(found) > IGNORE:
        said = f"{first}: masks hold {len(colors)} colours"
        raise DataProblem(
            said, "one for each of at most 255 classes", "are they photographs? Name the folder of the masks"
        )
    arguments: dict[str, Plain] = {}
    if BORDER in found and len(found) > 1:
        found.remove(BORDER)
        arguments["ignore_color"] = list(BORDER)
        guesses.append(Guess("likely", "the colour 224, 224, 192 means no label, as in Pascal VOC"))
    if names is not None and {*found} <= names.colors.keys():
        found, titles = list(names.colors), Titles(list(names.colors.values()), [_told(names)])
    else:
        titles = _titles(list(range(len(found))), names if names and len(names.by_id) == len(found) else None)
        guesses.append(Guess("unsure", "classes are in the order of their colours"))
    arguments |= {"classes": titles.classes, "masks": "rgb", "palette": [list(color) for color in found]}
    arguments |= {"others": "ignore"} if rest else {}
    return CodingGuess(arguments, [*guesses, *titles.guesses])


class Titles(NamedTuple):
    """Names of classes, and where they are from."""

    classes: list[str]
    guesses: list[Guess]


def _told(names: Names) -> Guess:
    return Guess("likely", f"names of classes are those of {names.file}")


def _titles(ids: Sequence[int], names: Names | None) -> Titles:
    """Names of ids, ``class_0`` where no file names them."""
    if names is not None and all(i in names.by_id for i in ids):
        return Titles([names.by_id[i] for i in ids], [_told(names)])
    return Titles([f"class_{i}" for i in ids], [Guess("unsure", "no file names the classes: rename class_0 and so on")])
