"""What was found, as a complete configuration with comments."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from semiverse.configuration import Plain, dump_yaml
from semiverse.configuration.build import build
from semiverse.discovery.annotated import find_cvat, find_json, find_voc, find_yolo
from semiverse.discovery.found import Files, Found, Guess
from semiverse.discovery.pictures import find_images_alone, find_pictures, sizes_of
from semiverse.discovery.published import find_published
from semiverse.files import DataProblem, MissingData
from semiverse.mixture import DomainMixture
from semiverse.models import ModelConfig

FINDERS = (find_published, find_voc, find_json, find_cvat, find_yolo, find_pictures, find_images_alone)
"""From what cannot be mistaken to what remains."""
LONGEST = {"cpu": 480, "cuda": 1024}
"""Pixels of the longer side of images at their working size."""
CROP = {"cpu": 256, "cuda": 512}
"""Most pixels of a side of training views."""
STEPS = {"cpu": (400, 1200), "cuda": (2000, 20000)}
"""Fewest and most steps; between them it is so many that each labelled image is seen a hundred times."""
BATCH = {"cpu": 4, "cuda": 8}


def look_at(folder: Path) -> Found:
    """What a folder holds.

    Raises:
        FileNotFoundError: If there is no such folder, or no image in it.
        ValueError: If its masks cannot be understood.
    """
    if not folder.is_dir():
        raise MissingData(f"{folder}: no such folder", "a folder of images", "correct the path")
    files = Files(folder)
    found = next((found for find in FINDERS if (found := find(files)) is not None), None)
    if found is None:
        raise MissingData(
            f"{folder}: found no image", "images, and masks or files of an annotation tool", "correct the path"
        )
    return found


def domain_names(folders: Sequence[Path]) -> list[str]:
    """A name for each folder: its own without dots and blanks, with a number where several have one."""
    names: list[str] = []
    for folder in folders:
        name = "_".join(folder.resolve().name.replace(".", " ").split()) or "images"
        names.append(next(n for n in (name, *(f"{name}_{i}" for i in range(2, 999))) if n not in names))
    return names


def configured(folders: Mapping[str, Path], found: Mapping[str, Found], device: str, out: Path) -> str:
    """The text of the configuration.

    Args:
        folders: By name of the domain.
        found: What each holds.
        device: "cpu" or "cuda", for which sizes and steps are chosen.
        out: The file, for the command in it.

    Raises:
        ValueError: If no folder has a mask.
    """
    labeled = sum(one.labeled for one in found.values())
    if not labeled:
        raise DataProblem(
            f"{', '.join(map(str, folders.values()))}: found images and no mask",
            "masks of a few images, or files of an annotation tool, in one of the folders",
            "draw some, or let semiverse cluster divide the images",
        )
    _share_classes(folders, found)
    sizes = {name: sizes_of(one.images) for name, one in found.items()}
    working = {name: _working(of, device) for name, of in sizes.items()}
    lines = [
        "# Written by semiverse init, from what it saw. Correct what is marked unsure, then:",
        f"#   semiverse train --config {out} --out runs/{out.stem}",
        "# sure: the files say so. likely: it is usually so. unsure: one of several possibilities.",
        "data:",
        "  domains:",
    ]
    for name, one in found.items():
        scale, (height, width) = working[name]
        seen = Guess("sure", f"{len(one.images)} images, {one.labeled} with labels, {_listed(sizes[name])}")
        lines += [f"    {name}:", *(f"      # {guess}" for guess in (seen, *one.guesses))]
        values: dict[str, Plain] = {"dataset": _dataset(folders[name], one)} | one.domain
        values |= {"resolution": {"scale": scale}}
        lines += textwrap.indent(dump_yaml(values), " " * 6).rstrip().splitlines()
        lines[-1] += f"  # the network sees about {height} x {width} pixels"
    batch = min(BATCH[device], labeled)
    lines += [f"  batch_size: {batch}  # images of each domain in a step"]
    lines += [f"  crop: {_crop([size for _, size in working.values()], device)}  # height and width of training views"]
    unlabeled = any(one.unlabeled for one in found.values())
    method = "Consistency" if unlabeled else "Supervised"
    why = "there are images without labels, which it learns from" if unlabeled else "every image has labels"
    fewest, most = STEPS[device]
    steps = min(most, max(fewest, 100 * round(labeled / batch)))
    lines += [f"model: {{encoder: {ModelConfig().encoder}}}", f"method: {{class_path: {method}}}  # {why}"]
    lines += [
        f"trainer: {{max_steps: {steps}, precision: auto}}  # for a {'GPU' if device == 'cuda' else 'CPU'}",
        "seed: 0",
    ]
    return "\n".join(lines) + "\n"


def _dataset(folder: Path, found: Found) -> dict[str, Plain]:
    return {"class_path": found.kind, "init_args": {"root": folder.as_posix()} | found.arguments}


def _share_classes(folders: Mapping[str, Path], found: Mapping[str, Found]) -> None:
    """Give images without any masks the classes of the first folder that has some."""
    source = next(name for name, one in found.items() if one.labeled)
    for one in found.values():
        if one.arguments.get("masks") == "none" and "classes" not in one.arguments:
            values = {"domains": {source: {"dataset": _dataset(folders[source], found[source])}}}
            labels = build(DomainMixture, values, "data").label_spaces[source]
            one.arguments |= {"classes": list(labels.classes), "name": labels.name}
            one.guesses.append(Guess("unsure", f"they show the classes of {source}"))


def _working(sizes: Sequence[tuple[int, int]], device: str) -> tuple[float, tuple[int, int]]:
    """Factor on the images, and the middle working (height, width)."""
    height, width = sorted(sizes, key=lambda size: size[0] * size[1])[len(sizes) // 2] if sizes else (256, 256)
    scale = min(1.0, round(LONGEST[device] / max(height, width), 2))
    return scale, (max(1, round(height * scale)), max(1, round(width * scale)))


def _crop(working: Sequence[tuple[int, int]], device: str) -> list[int]:
    """A multiple of 32 pixels that fits into most images of every domain, where they are that large."""
    least = [min(size[side] for size in working) for side in (0, 1)]
    return [min(CROP[device], side // 32 * 32 or side) for side in least]


def _listed(sizes: Sequence[tuple[int, int]]) -> str:
    if not sizes:
        return "of unknown sizes"
    heights, widths = zip(*sizes, strict=True)
    if len(set(sizes)) == 1:
        return f"{widths[0]} x {heights[0]} pixels"
    return f"{min(widths)} to {max(widths)} pixels wide and {min(heights)} to {max(heights)} high"
