"""Folders of annotation tools: what they exported, and where the images of it lie."""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError, iterparse

from semiverse.configuration import Plain
from semiverse.configuration.records import fits
from semiverse.discovery.found import HELD_OUT, Files, Found, Guess, chosen_splits, part_of, split_word, template_of
from semiverse.discovery.names import find_names
from semiverse.files import DataProblem, reading
from semiverse.formats.cvat import read_cvat
from semiverse.formats.label_studio import read_tasks
from semiverse.labels import IGNORE

IGNORED = "__ignore__"
"""What Labelme, and prediction for annotation tools, calls a region without a label."""
DRAWN = Guess("likely", "pixels that nobody drew are background; background: null if only some objects were drawn")


def find_voc(files: Files) -> Found | None:
    """Pascal VOC's folders with a table of colours, as CVAT exports them."""
    if not (files.root / "labelmap.txt").is_file() or not (files.root / "SegmentationClass").is_dir():
        return None
    lists = sorted((files.root / "ImageSets" / "Segmentation").glob("*.txt"))
    images = files.absolute(path for path in files.images if path.parts[0] == "JPEGImages")
    domain, said = chosen_splits([path.stem for path in lists])
    guesses = [Guess("sure", "Pascal VOC's folders with labelmap.txt, as CVAT exports masks"), *(said or [HELD_OUT])]
    return Found("VocFolder", {}, domain, guesses, images, len(images))


def _json_values(files: Files) -> dict[Path, Any]:
    """Contents of JSON files that are not too many, by path; those that cannot be read are left out."""
    found = {}
    for path in files.ending(".json"):
        try:
            found[path] = json.loads((files.root / path).read_bytes())
        except (OSError, ValueError):
            continue
    return found


def find_json(files: Files) -> Found | None:
    """COCO's, Label Studio's or Labelme's files."""
    contents = _json_values(files)
    coco = {p: c for p, c in contents.items() if isinstance(c, dict) and _is_coco(c)}
    if coco:
        return _coco(coco, files)
    for path, content in contents.items():
        if isinstance(content, list) and content and isinstance(content[0], dict) and "data" in content[0]:
            return _label_studio(path, files)
    shapes = {p: c for p, c in contents.items() if isinstance(c, dict) and fits(c.get("shapes"), list[dict[str, Any]])}
    return _labelme(shapes, files) if shapes else None


def _is_coco(content: Mapping[str, Any]) -> bool:
    """Whether it has COCO's lists, and every image a file."""
    lists = (content.get(name) for name in ("images", "annotations", "categories"))
    named = all(fits(one, list[dict[str, Any]]) for one in lists)
    return named and all(isinstance(image.get("file_name"), str) for image in content["images"])


def _coco(found: Mapping[Path, dict[str, Any]], files: Files) -> Found | None:
    by_split: dict[str, Path] = {}
    for path in found:
        word = split_word(path.stem) or template_of(path.parent)[0]
        by_split.setdefault(str(part_of(word)) if word else "", path)
    if len(by_split) > 1:
        by_split.pop("", None)
    places = {split: _image_folder(found[path], files) for split, path in by_split.items()}
    if None in places.values():
        return None
    folders = {str(place) for place in places.values()}
    templates = {template_of(Path(folder))[1] for folder in folders}
    images = next(iter(folders if len(folders) == 1 else templates))
    keys = {split: split or "all" for split in by_split}
    if "{split}" in images:
        keys = {split: template_of(Path(str(places[split])))[0] or split for split in by_split}
    if len(by_split) == 1:
        keys = dict.fromkeys(keys, "all")
    arguments: dict[str, Plain] = {"annotations": {keys[split]: path.as_posix() for split, path in by_split.items()}}
    arguments |= {} if images == "images" else {"images": images}
    domain, said = chosen_splits(keys.values()) if len(by_split) > 1 else ({}, [HELD_OUT])
    listed = [
        files.root / str(places[s]) / image["file_name"]
        for s, path in by_split.items()
        for image in found[path]["images"]
    ]
    guesses = [Guess("sure", "COCO's annotation files, which name the classes"), DRAWN, *(said or [HELD_OUT])]
    return Found("Coco", arguments, domain, guesses, listed, len(listed))


def _image_folder(content: Mapping[str, Any], files: Files) -> str | None:
    """The folder below which the images of an annotation file lie."""
    names = [str(image.get("file_name")) for image in content["images"][:20]]
    folders = dict.fromkeys([Path(), *(parent for path in files.images for parent in path.parents)])
    ranked = sorted(folders, key=lambda folder: -sum((files.root / folder / name).is_file() for name in names))
    return ranked[0].as_posix() if names and (files.root / ranked[0] / names[0]).is_file() else None


def _label_studio(path: Path, files: Files) -> Found:
    content = read_tasks(files.root / path)
    arguments: dict[str, Plain] = {"annotations": path.as_posix(), "classes": list(content.labels)}
    guesses = [Guess("sure", "Label Studio's tasks; classes are the labels that occur, by name"), DRAWN]
    return _of_one_file("LabelStudio", arguments, guesses, len(content.images), files)


def find_cvat(files: Files) -> Found | None:
    """CVAT's XML file."""
    for path in files.ending(".xml"):
        try:
            _, first = next(iter(iterparse(files.root / path, events=("start",))))
        except (ParseError, StopIteration, LookupError, ValueError):  # no XML, or in an encoding that is unknown
            continue
        if first.tag == "annotations":
            content = read_cvat(files.root / path)
            arguments: dict[str, Plain] = {"annotations": path.as_posix(), "classes": list(content.labels)}
            guesses = [Guess("sure", "CVAT's XML file, which names the classes"), DRAWN]
            return _of_one_file("CvatXml", arguments, guesses, len(content.images), files)
    return None


def _of_one_file(kind: str, arguments: dict[str, Plain], guesses: list[Guess], drawn: int, files: Files) -> Found:
    """A dataset whose images lie anywhere, and whose regions all stand in one file."""
    head = _head(files.images)
    arguments |= _ignoring(arguments["classes"]) | ({} if head == "images" else {"images": head})
    domain, said = _folders_of_splits(arguments, head, files)
    images = files.absolute(files.images)
    found = Found(kind, arguments, domain, [*guesses, *said], images, min(drawn, len(images)), drawn < len(images))
    if found.unlabeled:
        found.guesses.append(Guess("sure", f"{len(images) - drawn} images are not annotated and unlabelled"))
    return found


def _ignoring(classes: Plain) -> dict[str, Plain]:
    return {"mapping": {IGNORED: None}} if IGNORED in classes else {}


def _head(images: Sequence[Path]) -> str:
    """The folder below which all images lie."""
    return (os.path.commonpath([path.parent.as_posix() for path in images]) if images else "") or "."


def _folders_of_splits(arguments: dict[str, Plain], head: str, files: Files) -> tuple[dict[str, Plain], list[Guess]]:
    """What divides images that lie below a folder: sub-folders or lists; it is added to the arguments."""
    inside = [path.relative_to(head) for path in files.images]
    tops = dict.fromkeys(path.parts[0] for path in inside if len(path.parts) > 1)
    splits = {str(part_of(word)): top for top in tops if (word := split_word(top)) and part_of(word)}
    if "train" not in splits:
        names = {path.with_suffix("").as_posix(): path for path in files.images}
        splits = {name: path.as_posix() for name, path in files.lists(names).items()}
    if "train" not in splits or len(splits) < 2:
        return {}, [HELD_OUT]
    arguments["splits"] = splits
    return chosen_splits(splits)


def _labelme(found: Mapping[Path, dict[str, Any]], files: Files) -> Found | None:
    head, drawn = _head(files.images), _head(list(found))
    stems = {path.relative_to(head).with_suffix("") for path in files.images}
    matched = sum(path.relative_to(drawn).with_suffix("") in stems for path in found)
    if not matched:
        head = drawn = "."
        matched = sum(path.with_suffix("") in {image.with_suffix("") for image in files.images} for path in found)
    if not matched:
        return None
    labels = Counter(str(shape.get("label")) for content in found.values() for shape in content["shapes"])
    arguments: dict[str, Plain] = {"classes": sorted(labels) or ["class_0"]} | _ignoring(labels)
    arguments |= {} if head == "." else {"images": head}
    arguments |= {} if drawn == head else {"annotations": drawn}
    domain, said = _folders_of_splits(arguments, head, files)
    images = files.absolute(files.images)
    guesses = [Guess("sure", "Labelme's files; classes are the labels that occur, by name"), DRAWN, *said]
    if matched < len(images):
        guesses.append(Guess("sure", f"{len(images) - matched} images have no file and are unlabelled"))
    return Found("Labelme", arguments, domain, guesses, images, matched, matched < len(images))


def find_yolo(files: Files) -> Found | None:
    """YOLO's text files of polygons, below a folder ``labels`` as their images are below ``images``."""
    names = find_names(files)
    texts = [path for path in files.ending(".txt") if "labels" in path.parts[:-1] and _is_yolo(files.root / path)]
    if not texts:
        return None
    highest = max(_highest_class(files.root / path) for path in texts)
    known = names is not None and {*names.by_id} == {*range(len(names.by_id))} and highest < len(names.by_id)
    guesses = [Guess("sure", "YOLO's text files of polygons")]
    if names is not None and known:
        titles = list(names.by_id.values())
        guesses.append(Guess("likely", f"names of classes are those of {names.file}"))
    else:
        titles = [f"class_{i}" for i in range(highest + 1)]
        guesses.append(Guess("unsure", "no file names the classes: rename class_0 and so on"))
    arguments: dict[str, Plain] = {"classes": titles}
    splits, labels = _yolo_folders(texts)
    if labels != "labels":
        images = "/".join("images" if part == "labels" else part for part in labels.split("/"))
        arguments |= {"annotations": labels, "images": images}
    domain, said = chosen_splits(splits) if splits else ({}, [HELD_OUT])
    found, drawn = files.absolute(files.images), len(texts)
    return Found(
        "YoloSegmentation",
        arguments,
        domain,
        [*guesses, DRAWN, *said],
        found,
        min(drawn, len(found)),
        drawn < len(found),
    )


def _yolo_folders(texts: Sequence[Path]) -> tuple[list[str], str]:
    """Splits that are folders, and the folder of text files, with ``{split}`` where there are several."""
    heads: dict[tuple[str | None, str], Path] = {}
    for path in texts:
        place = path.parts.index("labels")
        after = path.parts[place + 1 : -1]
        inside = (
            place + 2 if not template_of(Path(*path.parts[:place]))[0] and after and split_word(after[0]) else place + 1
        )
        head = Path(*path.parts[:inside])
        heads[template_of(head)] = head
    templates = {template for _, template in heads}
    if len(heads) > 1 and len(templates) == 1:
        return [str(word) for word, _ in heads], templates.pop()
    return [], (next(iter(heads.values())).as_posix() if len(heads) == 1 else "labels")


def _highest_class(path: Path) -> int:
    """The highest number of a class in one of YOLO's files; 0 in an empty one."""
    with reading(path, "numbers of classes, then points", "export it again"):
        lines = path.read_text(encoding="utf-8").splitlines()
        highest = max((int(line.split()[0]) for line in lines if line.strip()), default=0)
    if highest >= IGNORE:
        raise DataProblem(f"{path}: found class {highest}", f"numbers below {IGNORE}", "correct it, or export it again")
    return highest


def _is_yolo(path: Path) -> bool:
    """Whether every line is a number of a class and points."""
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return all(words[0].isdecimal() and len(words) >= 7 and [float(word) for word in words] for words in lines)
    except (OSError, ValueError):
        return False
