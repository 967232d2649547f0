"""Write corrected copies of datasets: into a new folder, and only what can be corrected safely."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from semiverse.configuration import dump_yaml
from semiverse.data import Content, Record, SegmentationDataset
from semiverse.data.images import open_image, read_header
from semiverse.doctor.files import TURNED, scaled
from semiverse.doctor.findings import Decode, Finding, Part
from semiverse.doctor.page import Findings
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
        outcomes = _write_domain(data, name, findings, folder / name)
        for split, outcome in outcomes.items():
            lines.append(
                f"{name} {split}: {outcome.written} images written to {folder / name}, {outcome.corrected} of them "
                f"corrected, {outcome.changed} pixels set to the nearest class"
            )
            lines += [f"  left out   {line}" for line in outcome.left_out]
        if any(outcome.written for outcome in outcomes.values()):
            domains[name] = _described(data, name, findings, folder / name)
    if domains:
        lines += ["use them with:", dump_yaml({"data": {"domains": domains}}).rstrip()]
    return lines or ["nothing to correct"]


def _unfixable(findings: Findings) -> Iterator[str]:
    for finding in findings.found:
        if finding.severity == "problem" and finding.unfixable:
            yield f"not fixable: {finding.kind} ({finding.unfixable}): {finding.message}"


def _described(data: DomainMixture, name: str, findings: Findings, folder: Path) -> dict[str, object]:
    """The values that replace those of a domain."""
    domain, labels = data.domains[name], findings.dataset.labels
    arguments = {
        "root": str(folder.absolute()),
        "classes": list(labels.classes),
        "palette": [list(color) for color in labels.palette],
        "name": labels.name,
    }
    splits = _split_folders(domain.train, domain.val)
    return {
        "dataset": {"class_path": "Folder", "init_args": arguments},
        "train": splits[domain.train] or "all",
        "val": splits[domain.val] or "all",
    }


def _split_folders(train: str, val: str) -> dict[str, str]:
    """Folder of each split below the new root; the root itself where both are the same."""
    return {train: ""} if train == val else {train: "train", val: "val"}


def _write_domain(data: DomainMixture, name: str, findings: Findings, folder: Path) -> dict[str, Outcome]:
    domain = data.domains[name]
    splits = {
        split: place for split, place in _split_folders(domain.train, domain.val).items() if split in findings.parts
    }
    return {
        split: _write_split(findings.dataset, findings.parts[split], findings.found, folder / place)
        for split, place in splits.items()
    }


def _write_split(dataset: SegmentationDataset, part: Part, found: list[Finding], folder: Path) -> Outcome:
    decoders = {path: finding.decode for finding in found if finding.decode is not None for path in finding.files}
    written = corrected = changed = 0
    left_out: list[str] = []
    pairs = list(zip(part.records, part.contents, strict=True))
    for record, content in progress(pairs, f"writing {folder}", unit="images"):
        known = record.mask in decoders
        if content.problem is not None and not known and content.at != "size":
            left_out.append(content.problem)
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
    if header.orientation in TURNED and mask.shape == header.size:
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
        return
    goal = folder / f"{record.id}{record.image.suffix}"
    goal.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(record.image, goal)


def _save(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
