"""Write corrected copies of datasets: into a new folder, and only what can be corrected safely."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from semiverse.configuration import Plain, dump_yaml
from semiverse.data import ALL, Content, Record, SegmentationDataset
from semiverse.data.headers import TURNS, read_header, upright
from semiverse.data.images import open_image
from semiverse.doctor.files import scaled
from semiverse.doctor.findings import Decode, Findings
from semiverse.files import DataProblem, Outputs
from semiverse.inference.images import encoded
from semiverse.mixture import DomainMixture
from semiverse.progress import progress


def copies_in(folder: Path) -> Outputs:
    """A folder for corrected copies, which holds nothing but those of earlier calls.

    Raises:
        ValueError: If it holds anything else.
    """
    copies = Outputs(folder, "check_fix")
    there = (path for path in folder.rglob("*") if path.is_file() and path != copies.list)
    copies.refuse_foreign(path.relative_to(folder).as_posix() for path in there if path.suffix != ".part")
    return copies


def write_fixed(data: DomainMixture, found: Mapping[str, Findings], copies: Outputs) -> list[str]:
    """Write a copy of each domain that has problems, in the layout of ``Folder``.

    Args:
        data: The domains.
        found: What was found in each.
        copies: Of ``copies_in``; each domain gets a folder in it. What earlier calls wrote there is removed.

    Raises:
        ValueError: If a file that is read lies there.

    Returns:
        Lines that say what was done, what could not be done and why, and the YAML that names the new folders.
    """
    lines: list[str] = []
    domains, folder = {}, copies.folder
    _refuse_inputs(found, folder)
    copies.remove(copies.names)
    for name, findings in found.items():
        if not findings.problems:
            continue
        for bad in findings.found:
            if bad.severity == "problem" and bad.unfixable:
                lines.append(f"{name}: not fixable: {bad.kind} ({bad.unfixable}): {bad.message}")
        train, val, goal, written = data.domains[name].train, data.domains[name].val, folder / name, 0
        # The root itself where both splits are the same.
        places = {train: ""} if val in (train, None) else {train: "train", str(val): "val"}
        for split, place in places.items():
            if split in findings.parts:
                count, corrected, changed, left_out = _write_split(findings, split, goal / place, copies)
                written += count
                lines.append(
                    f"{name} {split}: {count} images written to {goal}, {corrected} of them corrected, {changed} "
                    "pixels set to the nearest class"
                )
                lines += [f"  left out   {line}" for line in left_out]
        if written:
            labels, root = findings.dataset.labels, str(goal.absolute())
            colors = [list(color) for color in labels.palette]
            arguments = {"root": root, "classes": list(labels.classes), "palette": colors, "name": labels.name}
            dataset = {"class_path": "Folder", "init_args": arguments}
            chosen: dict[str, Plain] = {"train": places[train] or ALL}
            domains[name] = {"dataset": dataset} | chosen | {"val": None if val is None else places[val] or ALL}
    if domains:
        lines += ["use them with:", dump_yaml({"data": {"domains": domains}}).rstrip()]
    return lines or ["nothing to correct"]


def _refuse_inputs(found: Mapping[str, Findings], folder: Path) -> None:
    """Make sure that nothing that is read lies in the folder for copies."""
    records = (record for one in found.values() for part in one.parts.values() for record in part.records)
    for path in (path for record in records for path in record[:2] if path is not None):
        if path.resolve().is_relative_to(folder.resolve()):
            read = f"{path} is read, and lies in the folder for copies"
            raise DataProblem(read, "another folder", "choose another --fix")


def _write_split(findings: Findings, split: str, folder: Path, copies: Outputs) -> tuple[int, int, int, list[str]]:
    """Images written, how many of them corrected, pixels whose class had to be guessed, and what was left out."""
    dataset, part, left_out = findings.dataset, findings.parts[split], list[str]()
    decoders: dict[Path | None, Decode] = {path: f.decode for f in findings.found if f.decode for path in f.files}
    written = corrected = changed = 0
    place = folder.relative_to(copies.folder).as_posix()
    pairs = zip(part.records, part.contents, strict=True)
    for record, content in progress(pairs, f"writing {folder}", len(part.records), "images"):
        known = record.mask in decoders
        if content.problem is not None and not known and content.at != "size":
            left_out.append(str(content.problem))
            continue
        try:
            image = dataset.read_image(record.image)
            size = (image.shape[1], image.shape[2])
            mask, guessed = _read_mask(dataset, record, content, size, decoders.get(record.mask))
        except (OSError, ValueError) as error:
            left_out.append(f"{record.mask}: not fixable: {error}")
            continue
        header = read_header(record.image)
        if header.format is None or header.orientation > 1:  # no file of its own, or one that is turned on reading
            copies.write(f"{place}/images/{record.id}.png", _png(torch.permute(image, (1, 2, 0)).numpy()))
        else:
            copies.write(f"{place}/images/{record.id}{record.image.suffix}", record.image.read_bytes())
        if mask is not None:
            copies.write(f"{place}/masks/{record.id}.png", _png(mask))
        written, changed = written + 1, changed + guessed
        corrected += known or content.at == "size"
    return written, corrected, changed, left_out


def _read_mask(
    dataset: SegmentationDataset, record: Record, content: Content, size: tuple[int, int], decode: Decode | None
) -> tuple[np.ndarray | None, int]:
    """Train ids at the size of the image, (H, W) uint8, and how many of them are guessed; None where there is no mask.

    Raises:
        ValueError: If the mask cannot be read, or it cannot be told how it lies on the image.
    """
    if record.mask is None:
        return None, 0
    if decode is None:
        mask, guessed = dataset.read_mask(record.mask).numpy(), 0
    else:
        mask, guessed = decode(upright(open_image(record.mask)))
    if mask.shape == size:
        return mask, guessed
    header = read_header(record.image)
    if header.lying and mask.shape == header.size:
        return np.asarray(Image.fromarray(mask).transpose(TURNS[header.orientation])), guessed
    if scaled(size, (mask.shape[0], mask.shape[1])):
        return np.asarray(Image.fromarray(mask).resize(size[::-1], Image.Resampling.NEAREST)), guessed
    raise ValueError(f"{content.problem}")


def _png(pixels: np.ndarray) -> bytes:
    return encoded(Image.fromarray(pixels), "PNG")
