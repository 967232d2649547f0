"""Which folder holds images and which their masks, where masks are pictures too."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from semiverse.configuration import Plain
from semiverse.data.images import examine_raw, read_header
from semiverse.data.layout import SPLIT
from semiverse.discovery.codings import COLORS, guess_coding
from semiverse.discovery.found import HELD_OUT, Files, Found, Guess, chosen_splits, part_of, template_of
from semiverse.discovery.names import find_names

MASK_WORD = re.compile(
    r"mask|label(?!l?ed)|annot|(?:^|[_\-])ann(?:$|[_\-])|(?:^|[_\-])gt|ground_?truth|seg(?:m|$|[_\-])|target|semantic",
    re.I,
)
BETTER = ("trainids", "labelids", "label", "mask", "class")
"""What the end of a name says if an image has several masks; the first counts."""
WORSE = re.compile(r"instance|object|color|overlay|preview|panoptic", re.I)


@dataclass(frozen=True)
class Pair:
    """A folder of images, the folder of their masks, and the ends that the names in them have.

    ``matched`` are names of images that have a mask, without that end.
    """

    images: Path
    masks: Path
    image_suffix: str
    mask_suffix: str
    matched: frozenset[str]


def find_pictures(files: Files) -> Found | None:
    """Images and masks as ``Folder`` reads them, or None where no folder holds masks."""
    folders: dict[Path, list[Path]] = defaultdict(list)
    for path in files.images:
        folders[path.parent].append(path)
    pairs = [pair for folder, paths in folders.items() if (pair := _beside(folder, paths, files)) is not None]
    if not pairs:
        pairs = _pairs(folders, files)
    if not pairs:
        return None
    groups: dict[str | None, list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[template_of(pair.images)[0] or template_of(pair.masks)[0]].append(pair)
    return _found(groups, folders, files)


def _beside(folder: Path, paths: Sequence[Path], files: Files) -> Pair | None:
    """Images and masks that lie in one folder, told apart by the end of their names."""
    stems = {path.stem for path in paths}
    ends = Counter(stem[cut:] for stem in stems for cut in _cuts(stem) if stem[:cut] in stems)
    for end in sorted(ends, key=lambda end: _rank(end, ends)):
        masks = [path for path in paths if path.stem.endswith(end) and path.stem.removesuffix(end) in stems]
        if MASK_WORD.search(end) or _look_like_masks(files.absolute(masks[:3])):
            return Pair(folder, folder, "", end, frozenset(path.stem.removesuffix(end) for path in masks))
    return None


def _pairs(folders: dict[Path, list[Path]], files: Files) -> list[Pair]:
    """Each folder of masks with the folder of images whose names fit best."""
    named = [folder for folder in folders if MASK_WORD.search(_without_split(folder))]
    masks = named or [
        folder for folder, paths in folders.items() if _look_like_masks(files.absolute(paths[:3])) and len(folders) > 1
    ]
    found = []
    for folder in masks:
        candidates = []
        for other in folders:
            if other not in masks:
                suffixes = _match([path.stem for path in folders[other]], [path.stem for path in folders[folder]])
                if suffixes is not None:
                    candidates.append(Pair(other, folder, *suffixes))
        if candidates:
            found.append(max(candidates, key=lambda pair: (len(pair.matched), _alike(pair))))
    best: dict[Path, Pair] = {}
    for pair in found:  # one folder of masks for a folder of images
        current = best.get(pair.images)
        worse = bool(WORSE.search(pair.masks.as_posix()))
        if current is None or (worse, -len(pair.matched)) < (
            bool(WORSE.search(current.masks.as_posix())),
            -len(current.matched),
        ):
            best[pair.images] = pair
    return list(best.values())


def _without_split(folder: Path) -> str:
    return template_of(folder)[1].replace(SPLIT, "_")


def _alike(pair: Pair) -> tuple[bool, int]:
    """Whether the two paths name the same split, and how many of their parts are the same."""
    same = template_of(pair.images)[0] == template_of(pair.masks)[0]
    return same, sum(a == b for a, b in zip(pair.images.parts, pair.masks.parts, strict=False))


def _cuts(stem: str) -> Iterator[int]:
    """Where an end of a name may begin, the longest name before it first."""
    return (i for i in range(len(stem) - 1, 0, -1) if stem[i] in "_-. ")


def _rank(end: str, ends: Counter[str]) -> tuple[bool, int, int, str]:
    """Frequent ends first, of these the best words."""
    word = end.lower().replace("_", "")
    place = next((i for i, better in enumerate(BETTER) if better in word), len(BETTER))
    return bool(WORSE.search(end)), -ends[end], place, end


def _match(images: Sequence[str], masks: Sequence[str]) -> tuple[str, str, frozenset[str]] | None:
    """Ends of the names of images and of masks, and the names that fit; None where none does."""
    same = frozenset(images) & frozenset(masks)
    if 2 * len(same) >= min(len(images), len(masks)):
        return "", "", same
    for suffix in ("", _common_end(images)):
        names = {stem.removesuffix(suffix) for stem in images}
        ends = Counter(stem[cut:] for stem in masks for cut in _cuts(stem) if stem[:cut] in names)
        if ends:
            end = min(ends, key=lambda end: _rank(end, ends))
            return suffix, end, frozenset(stem.removesuffix(end) for stem in masks if stem.endswith(end)) & names
    return ("", "", same) if same else None


def _common_end(stems: Sequence[str]) -> str:
    """What all names end in, from a sign that parts words on."""
    backwards = zip(*(stem[::-1] for stem in stems), strict=False)
    end = "".join(letters[0] for letters in takewhile(lambda letters: len(set(letters)) == 1, backwards))[::-1]
    starts = [i for i, letter in enumerate(end) if letter in "_-."]
    return end[starts[0] :] if starts else ""


def _look_like_masks(paths: Sequence[Path]) -> bool:
    """Whether files hold few values, or few colours."""
    facts = [examine_raw(path) for path in paths]
    lossless = all(one.header.format not in ("JPEG", "MPO", None) for one in facts)
    return lossless and all(one.pixels and len(one.values or one.colors) <= COLORS for one in facts)


def _common(folders: Collection[Path]) -> Path:
    return Path(os.path.commonpath([folder.as_posix() or "." for folder in folders]) or ".")


def _found(groups: dict[str | None, list[Pair]], folders: dict[Path, list[Path]], files: Files) -> Found:
    """Folders of all splits as one template, or else those with the most masks."""
    if len(groups) > 1:
        groups.pop(None, None)
    heads = {
        word: (_common([p.images for p in pairs]), _common([p.masks for p in pairs])) for word, pairs in groups.items()
    }
    templates = {tuple(_replaced(head, word) for head in both) for word, both in heads.items()}
    divided = len(groups) > 1 and len(templates) == 1
    guesses = []
    if not divided and len(groups) > 1:
        most = max(groups, key=lambda word: sum(len(pair.matched) for pair in groups[word]))
        guesses.append(Guess("unsure", f"folders of {len(groups)} layouts: only those of {most} are taken"))
        groups, heads = {most: groups[most]}, {most: heads[most]}
    pairs = [pair for group in groups.values() for pair in group]
    images, masks = templates.pop() if divided else tuple(head.as_posix() for head in next(iter(heads.values())))
    first = max(pairs, key=lambda pair: len(pair.matched))
    paths = [path for pair in pairs for path in folders[pair.images] if _is_image(path, pair)]
    coding = guess_coding(files.absolute(_mask_files(pairs, folders)), find_names(files))
    arguments = dict(coding.arguments)
    if (images, masks) not in ((f"{SPLIT}/images", f"{SPLIT}/masks"), ("images", "masks")):
        arguments |= {"image_folder": images, "mask_folder": masks}
    arguments |= {"image_suffix": first.image_suffix} if first.image_suffix else {}
    arguments |= {"mask_suffix": first.mask_suffix} if first.mask_suffix else {}
    guesses = [Guess("sure", f"images in {images}, masks in {masks}"), *guesses, *coding.guesses]
    return _completed(Found("Folder", arguments, {}, guesses, paths), pairs, list(groups), folders, files)


def _completed(
    found: Found, pairs: Sequence[Pair], words: Sequence[str | None], folders: dict[Path, list[Path]], files: Files
) -> Found:
    """What divides the images, and images without masks."""
    found.labeled = sum(len(pair.matched) for pair in pairs)
    missing = len(found.images) - found.labeled
    if missing > 0:
        found.arguments["without_mask"], found.unlabeled = "unlabeled", True
        found.guesses.append(Guess("likely", f"{missing} images have no mask and are unlabelled"))
    names = [word for word in words if word is not None] if len(pairs) > 1 and len(words) > 1 else []
    domain, said = chosen_splits(names)
    if not domain:
        head = _common([pair.images for pair in pairs])
        known = {path.relative_to(head).with_suffix("").as_posix(): path for path in found.images}
        lists = files.lists(known)
        if "train" in lists and len(lists) > 1:
            found.arguments["splits"] = {name: path.as_posix() for name, path in lists.items()}
            domain, said = chosen_splits(lists)
        else:
            said = [HELD_OUT]
    found.domain |= domain
    found.guesses += said
    found.images = files.absolute(found.images)
    used = {folder for pair in pairs for folder in (pair.images, pair.masks)}
    others = [folder for folder in folders if folder not in used and not MASK_WORD.search(_without_split(folder))]
    further = [folder for folder in others if part_of(template_of(folder)[0] or "") != "test"]
    if further:
        most = max(further, key=lambda folder: len(folders[folder]))
        found.domain["unlabeled_folder"] = (files.root / most).as_posix()
        found.unlabeled = True
        found.guesses.append(
            Guess("likely", f"{len(folders[most])} images in {most} have no masks and are learned from")
        )
    for folder in [folder for folder in others if folder not in further]:
        found.guesses.append(Guess("sure", f"{folder} has no masks and is left alone, as its name says test"))
    return found


def _replaced(head: Path, word: str | None) -> str:
    return template_of(head)[1] if word is not None else head.as_posix()


def _is_image(path: Path, pair: Pair) -> bool:
    beside = pair.images == pair.masks and path.stem.endswith(pair.mask_suffix)
    return path.stem.endswith(pair.image_suffix) and not beside


def _mask_files(pairs: Sequence[Pair], folders: dict[Path, list[Path]]) -> list[Path]:
    return [
        path
        for pair in pairs
        for path in folders[pair.masks]
        if path.stem.endswith(pair.mask_suffix) and path.stem.removesuffix(pair.mask_suffix) in pair.matched
    ]


def find_images_alone(files: Files) -> Found | None:
    """A folder of images without masks; whose classes they show somebody else has to say."""
    if not files.images:
        return None
    head = _common({path.parent for path in files.images})
    arguments: dict[str, Plain] = {"masks": "none", "image_folder": head.as_posix()}
    guesses = [Guess("sure", f"{len(files.images)} images without masks")]
    domain: dict[str, Plain] = {"labeled": 0, "train": "all", "val": None}
    return Found("Folder", arguments, domain, guesses, files.absolute(files.images), 0, True)


def sizes_of(paths: Sequence[Path], most: int = 200) -> list[tuple[int, int]]:
    """(height, width) of upright images, of at most so many evenly chosen ones."""
    step = max(1, len(paths) // most)
    headers = [read_header(path) for path in paths[::step]]
    return [header.size[::-1] if header.lying else header.size for header in headers if header.format is not None]
