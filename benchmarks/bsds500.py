"""Clusters of BSDS500 against what people drew: ``python -m benchmarks.bsds500 --root DIR --out DIR [options]``.

Writes ``scores.csv``, one line an image, and prints the means so far. The same call goes on with the images that are
missing; other settings need another folder. Per image, means over the people:

- miou: mean over a person's regions of the intersection over union with the best cluster;
- covering: the same, weighted by the size of the regions (Arbelaez et al. 2011, 3.1.3);
- rand: Rand index (scikit-learn), whose mean is the probabilistic Rand index;
- variation: variation of information in bits (scikit-image), the less the better.

There is no boundary F-measure: it needs the one-to-one matching of boundary pixels of the owner's C++ and MATLAB code,
which no maintained Python package has.
"""

import argparse
import csv
import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from skimage.metrics import variation_of_information
from sklearn.metrics import rand_score
from torch import Tensor

from semiverse.clustering import Settings, segment
from semiverse.datasets import BSDS500
from semiverse.matching import best_match
from semiverse.run import write_atomically

MEASURES = ("miou", "covering", "rand", "variation")
COLUMNS = ("image", *MEASURES, "clusters", "people", "iterations", "seconds")


def main() -> None:
    arguments = _parser().parse_args()
    settings = Settings(
        superpixels=arguments.superpixels,
        iterations=arguments.iterations,
        segments=arguments.segments,
        patience=arguments.patience,
        max_size=arguments.max_size,
        precision=arguments.precision,
        refined=arguments.refined,
    )
    facts = json.loads(json.dumps({"split": arguments.split, "seed": arguments.seed, "settings": asdict(settings)}))
    rows = _begin(arguments.out, facts)
    dataset = BSDS500(arguments.root)
    records = dataset.subset(arguments.split)[: arguments.images]
    left = [record for record in records if record.id not in rows]
    started = time.monotonic()
    for record in left:
        if arguments.minutes is not None and time.monotonic() - started > 60 * arguments.minutes:
            break
        before = time.monotonic()
        found = segment(dataset.read_image(record.image), settings, arguments.seed, arguments.device)
        scores = compare(found.mask, dataset.segmentations(record))
        counts = {"clusters": len(found.labels), "iterations": found.iterations}
        counts |= {"people": len(dataset.segmentations(record)), "seconds": round(time.monotonic() - before, 1)}
        rows[record.id] = {"image": record.id} | {name: f"{value:.4f}" for name, value in scores.items()} | counts
        _write(arguments.out / "scores.csv", rows)
        print(f"{len(rows)} of {len(records)}: {_line(rows[record.id])}", flush=True)
    chosen = [rows[record.id] for record in records if record.id in rows]
    means = {name: sum(float(row[name]) for row in chosen) / max(1, len(chosen)) for name in (*MEASURES, "clusters")}
    print(f"mean over {len(chosen)} of {len(records)} images: {_line({n: f'{v:.4f}' for n, v in means.items()})}")


def compare(mask: Tensor, drawn: list[Tensor]) -> dict[str, float]:
    """Each measure of a mask, (H, W) uint8, averaged over what several people drew, (H, W) each."""
    found = [
        (
            *best_match(regions, mask),
            float(rand_score(regions.flatten(), mask.flatten())),
            float(sum(variation_of_information(regions.numpy(), mask.to(torch.int32).numpy()))),
        )
        for regions in drawn
    ]
    return {name: sum(values) / len(found) for name, values in zip(MEASURES, zip(*found, strict=True), strict=True)}


def _begin(out: Path, facts: dict) -> dict[str, dict]:
    """Lines of an earlier call with the same settings, by image."""
    settings, scores = out / "settings.json", out / "scores.csv"
    if settings.is_file() and json.loads(settings.read_text(encoding="utf-8")) != facts:
        raise SystemExit(f"{out} holds scores of other settings ({settings}); choose another --out")
    write_atomically(settings, json.dumps(facts, indent=1) + "\n")
    if not scores.is_file():
        return {}
    with scores.open(encoding="utf-8", newline="") as file:
        return {row["image"]: row for row in csv.DictReader(file)}


def _write(path: Path, rows: Mapping[str, Mapping[str, object]]) -> None:
    lines = [",".join(COLUMNS), *(",".join(str(row[name]) for name in COLUMNS) for row in rows.values())]
    write_atomically(path, "\n".join(lines) + "\n")


def _line(row: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bsds500", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--root", type=Path, default=Path("bsds500"), help="the dataset (default: below $SEMIVERSE_DATA)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for scores.csv")
    parser.add_argument("--split", default="val", help="default: val, 100 images")
    parser.add_argument("--images", type=int, help="only so many of them")
    parser.add_argument("--minutes", type=float, help="begin no further image after so long")
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--segments", type=int, default=10000, help="number of superpixels")
    parser.add_argument("--superpixels", choices=("slic", "felzenszwalb", "grid", "none"), default="slic")
    parser.add_argument("--patience", type=int, help="stop after so many iterations without much change")
    parser.add_argument("--max-size", type=int, default=1024, help="longer side in pixels at most")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--refined", action="store_true", help="one label a superpixel in the answer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    return parser


if __name__ == "__main__":
    main()
