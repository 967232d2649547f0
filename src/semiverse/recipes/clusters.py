"""Cells of clusterings: images divided without labels, compared with what people drew where somebody did."""

import csv
import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from skimage.metrics import variation_of_information
from sklearn.metrics import rand_score
from torch import Tensor

from semiverse.clustering import Settings, segment
from semiverse.clustering.folder import ClusterFolder
from semiverse.configuration.build import build
from semiverse.data import SegmentationDataset
from semiverse.datasets import BSDS500
from semiverse.evaluation.regions import best_match
from semiverse.files import write_atomically
from semiverse.mixture import Domain
from semiverse.progress import progress
from semiverse.recipes.cells import Cell, Deadline
from semiverse.recipes.results import CellResult, environment
from semiverse.run import Run

MEASURES = ("miou", "covering", "rand", "variation")
COUNTS = ("clusters", "people", "iterations", "seconds")


def cluster_cell(cell: Cell, folder: Path, device: str, deadline: Deadline) -> CellResult:
    """Cluster the images of a cell that are left, and score them; an image's scores are means over the people.

    Images of which nobody drew regions have no scores: their clusters are counted, and kept as pictures.

    - miou: mean over a person's regions of the intersection over union with the best cluster;
    - covering: the same, weighted by the size of the regions (Arbelaez et al. 2011, 3.1.3);
    - rand: Rand index, whose mean is the probabilistic Rand index;
    - variation: variation of information in bits, the less the better.

    There is no boundary F-measure: it needs the one-to-one matching of boundary pixels of the owner's C++ and MATLAB
    code, which no maintained Python package has.

    Raises:
        ValueError: If the configuration is not one of a clustering, or the folder holds scores of other settings.
        FileNotFoundError: If the data is not there.
        KeyboardInterrupt: If time is over; the next call goes on with the images that are left.
    """
    settings, dataset, split = read(cell.config)
    facts = {"split": split, "seed": cell.seed, "settings": json.loads(json.dumps(asdict(settings)))}
    rows, measures = _begin(folder, facts), MEASURES if isinstance(dataset, BSDS500) else ()
    kept = None if measures else ClusterFolder(folder, facts, overwrite=False)
    columns = ("image", *measures, *COUNTS)
    records = dataset.subset(split)[: cell.config.get("images")]
    left = [record for record in records if record.id not in rows]
    for record in progress(left, cell.title, unit="images", done=len(records) - len(left)):
        if deadline.over:
            raise KeyboardInterrupt
        started = time.monotonic()
        image = dataset.read_image(record.image)
        found = segment(image, settings, cell.seed, device)
        drawn = dataset.segmentations(record) if isinstance(dataset, BSDS500) else []
        counts = {"clusters": len(found.labels), "people": len(drawn), "iterations": found.iterations}
        scores = {name: f"{value:.4f}" for name, value in agreement(found.mask, drawn).items()} if drawn else {}
        rows[record.id] = {"image": record.id, **scores, **counts, "seconds": round(time.monotonic() - started, 1)}
        if kept is not None:
            kept.add(record.id, record.image, image, found, pictures=True)
        lines = [",".join(columns), *(",".join(str(row[name]) for name in columns) for row in rows.values())]
        write_atomically(folder / "scores.csv", "\n".join(lines) + "\n")
    chosen = [rows[record.id] for record in records]
    name = dataset.labels.name
    means = {f"{name}/{key}": sum(float(row[key]) for row in chosen) / len(chosen) for key in (*measures, "clusters")}
    Run(folder).note_environment(cell.seed)
    seconds = round(sum(float(row["seconds"]) for row in chosen), 1)
    return CellResult(cell.column, cell.row, cell.seed, cell.config, means, seconds, environment(folder))


def read(config: Mapping[str, Any]) -> tuple[Settings, SegmentationDataset, str]:
    """Settings, dataset and split of a clustering.

    Raises:
        ValueError: If a key is unknown.
        FileNotFoundError: If the dataset is not there.
    """
    try:
        settings = Settings(**config.get("settings", {}))
        named = config["dataset"]
        dataset = build(Domain, {"dataset": named}, "").dataset
    except (TypeError, KeyError) as error:
        raise ValueError(
            f"a clustering has the configuration {dict(config)} ({error}); expected dataset (class_path and "
            "init_args), split, images and settings: correct the recipe"
        ) from error
    return settings, dataset, str(config.get("split", "val"))


def agreement(mask: Tensor, drawn: list[Tensor]) -> dict[str, float]:
    """Each measure of a mask, (H, W) uint8, averaged over what several people drew, (H, W) each."""
    found = [
        (
            *best_match(regions, mask),
            float(rand_score(regions.flatten(), mask.flatten())),
            float(sum(variation_of_information(regions.numpy(), mask.to(torch.int32).numpy()))),  # type: ignore[no-untyped-call]
        )
        for regions in drawn
    ]
    return {name: sum(values) / len(found) for name, values in zip(MEASURES, zip(*found, strict=True), strict=True)}


def _begin(folder: Path, facts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Scores of an earlier call with the same settings, by image."""
    settings, scores = folder / "settings.json", folder / "scores.csv"
    if settings.is_file() and json.loads(settings.read_text(encoding="utf-8")) != facts:
        raise ValueError(
            f"{folder} holds scores of other settings ({settings.name}); expected those of the recipe: choose another "
            "--out"
        )
    write_atomically(settings, json.dumps(facts, indent=1) + "\n")
    if not scores.is_file():
        return {}
    with scores.open(encoding="utf-8", newline="") as file:
        return {row["image"]: dict(row) for row in csv.DictReader(file)}
