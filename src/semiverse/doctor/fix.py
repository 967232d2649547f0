"""Write corrected copies of datasets: into a new folder, and only what can be corrected safely."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from semiverse.configuration import dump_yaml
from semiverse.data import ALL, Content, Record, SegmentationDataset
from semiverse.data.images import open_image, read_header
from semiverse.doctor.files import scaled
from semiverse.doctor.findings import Decode, Finding, Findings, Part
from semiverse.files import write_atomically
from semiverse.inference.images import encoded
from semiverse.labels import LabelSpace
from semiverse.mixture import DomainMixture
from semiverse.progress import progress


class Outcome(NamedTuple):
    """What became of the records of a split."""

    written: int
    corrected: int
    changed: int
    """Pixels whose class had to be guessed."""
    left_out: list[str]


def write_fixed(data: DomainMixture, found: Mapping[str, Findings], folder: Path) -> list[str]:
    """Write a copy of each domain that has problems, in the layout of ``Folder``.

    Args:
        data: The domains.
        found: What was found in each.
        folder: The new folder; each domain gets one in it.

    Returns:
        Lines that say what was done, what could not be done and why, and the YAML that names the new folders.
    """
    lines: list[str] = []
    domains = {}
    for name, findings in found.items():
        if not findings.problems:
            continue
        lines += [f"{name}: {line}" for line in _unfixable(findings)]
        train, val, goal = data.domains[name].train, data.domains[name].val, folder / name
        # The root itself where both splits are the same.
        places = {train: ""} if train == val else {train: "train", val: "val"}
        written = 0
        for split, place in places.items():
            if split not in findings.parts:
                continue
            outcome = _write_split(findings.dataset, findings.parts[split], findings.found, goal / place)
            written += outcome.written
            lines.append(
                f"{name} {split}: {outcome.written} images written to {goal}, {outcome.corrected} of them corrected, "
                f"{outcome.changed} pixels set to the nearest class"
            )
            lines += [f"  left out   {line}" for line in outcome.left_out]
        if written:
            dataset = _described(findings.dataset.labels, goal)
            domains[name] = {"dataset": dataset, "train": places[train] or ALL, "val": places[val] or ALL}
    if domains:
        lines += ["use them with:", dump_yaml({"data": {"domains": domains}}).rstrip()]
    return lines or ["nothing to correct"]


def _unfixable(findings: Findings) -> Iterator[str]:
    for finding in findings.found:
        if finding.severity == "problem" and finding.unfixable:
            yield f"not fixable: {finding.kind} ({finding.unfixable}): {finding.message}"


def _described(labels: LabelSpace, folder: Path) -> dict[str, object]:
    """The dataset that a new folder is."""
    arguments = {
        "root": str(folder.absolute()),
        "classes": list(labels.classes),
        "palette": [list(color) for color in labels.palette],
        "name": labels.name,
    }
    return {"class_path": "Folder", "init_args": arguments}


def _write_split(dataset: SegmentationDataset, part: Part, found: list[Finding], folder: Path) -> Outcome:
    decoders = {path: finding.decode for finding in found if finding.decode is not None for path in finding.files}
    written = corrected = changed = 0
    left_out: list[str] = []
    pairs = list(zip(part.records, part.contents, strict=True))
    for record, content in progress(pairs, f"writing {folder}", unit="images"):
        known = record.mask in decoders
        if content.problem is not None and not known and content.at != "size":
            left_out.append(str(content.problem))
            continue
        try:
            image = dataset.read_image(record.image)
            mask, guessed = (None, 0) if record.mask is None else _mask(dataset, record.mask, decoders)
            mask = mask if mask is None else _fitted(mask, image, record, content)
        except (OSError, ValueError) as error:
            left_out.append(f"{record.mask}: not fixable: {error}")
            continue
        _write_image(image, record, folder / "images")
        if mask is not None:
            _save(mask, folder / "masks" / f"{record.id}.png")
        written, changed = written + 1, changed + guessed
        corrected += known or content.at == "size"
    return Outcome(written, corrected, changed, left_out)


def _mask(dataset: SegmentationDataset, path: Path, decoders: Mapping[Path, Decode]) -> tuple[np.ndarray, int]:
    """Train ids, (H, W) uint8, and how many of them are guessed."""
    decode = decoders.get(path)
    if decode is None:
        return dataset.read_mask(path).numpy(), 0
    image = open_image(path)
    ImageOps.exif_transpose(image, in_place=True)
    return decode(image)


def _fitted(mask: np.ndarray, image: Tensor, record: Record, content: Content) -> np.ndarray:
    """A mask at the size of its image.

    Raises:
        ValueError: If it cannot be told how it lies on the image.
    """
    size = (image.shape[1], image.shape[2])
    if mask.shape == size:
        return mask
    header = read_header(record.image)
    if header.lying and mask.shape == header.size:
        tagged = Image.fromarray(mask)
        tagged.getexif()[274] = header.orientation
        return np.asarray(ImageOps.exif_transpose(tagged))
    if scaled(size, (mask.shape[0], mask.shape[1])):
        return np.asarray(Image.fromarray(mask).resize(size[::-1], Image.Resampling.NEAREST))
    raise ValueError(f"{content.problem}")


def _write_image(image: Tensor, record: Record, folder: Path) -> None:
    """Copy the file; an image that is turned on reading, or has no file of its own, is written upright as a PNG."""
    header = read_header(record.image)
    if header.format is None or header.orientation > 1:
        _save(torch.permute(image, (1, 2, 0)).numpy(), folder / f"{record.id}.png")
    else:
        write_atomically(folder / f"{record.id}{record.image.suffix}", record.image.read_bytes())


def _save(pixels: np.ndarray, path: Path) -> None:
    write_atomically(path, encoded(Image.fromarray(pixels), "PNG"))
