"""Scores of a run, from its evaluations or from its last validation."""

import json
from collections.abc import Iterator, Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any, NamedTuple


class Protocol(NamedTuple):
    """How a score was made; only scores of one protocol stand in one column.

    ``via`` is decoder or embedding, ``variant`` says how the mean over classes was taken, ``full_resolution`` whether
    at the owner's size.
    """

    domain: str
    split: str
    via: str
    variant: str
    full_resolution: bool


class Score(NamedTuple):
    """What a run reached: values in [0, 1], None where nothing was to score.

    ``step`` is None for an evaluation, and the step of the validation during training otherwise; ``confusion`` has
    pixels by true and predicted class, ``seen_as`` by other domain, true class and class of the other domain.
    ``boundary_width`` is in pixels, a mean over the images; ``calibration`` has the error and the bins.
    """

    miou: float | None
    iou: Mapping[str, float | None] = {}
    pixel_accuracy: float | None = None
    images: int | None = None
    step: int | None = None
    confusion: Mapping[str, Mapping[str, int]] | None = None
    image_miou: float | None = None
    image_mious: Mapping[str, float] | None = None
    boundary_miou: float | None = None
    boundary_width: float | None = None
    calibration: Mapping[str, Any] | None = None
    seen_as: Mapping[str, Mapping[str, Mapping[str, int]]] | None = None


def read_json(path: Path, problems: list[str]) -> dict[str, Any]:
    """Values of a file; empty if there is none or it is damaged, which is noted."""
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        problems.append(f"{path} is no JSON ({error}) and was left out")
        return {}
    return values if isinstance(values, dict) else {}


def evaluated(folder: Path, config: Mapping[str, Any], problems: list[str]) -> Iterator[tuple[Protocol, Score]]:
    """Scores of every evaluation*.json, those of evaluation.json last, so that they count."""
    for path in sorted(folder.glob("evaluation*.json"), reverse=True):
        for domain, result in read_json(path, problems).get("domains", {}).items():
            protocol = Protocol(
                domain,
                result.get("split") or validation_split(config, domain),
                result.get("via", "decoder"),
                result.get("variant", "default"),
                result.get("full_resolution", False),
            )
            kept = {name: result[name] for name in Score._fields if name in result}
            yield protocol, Score(**{"miou": None, **kept})


def validated(config: Mapping[str, Any], rows: Sequence[Mapping[str, float]]) -> Iterator[tuple[Protocol, Score]]:
    """Scores of the last validation during training."""
    for domain in config["data"]["domains"] if rows else ():
        for via, column in (("decoder", f"{domain}/miou"), ("embedding", f"{domain}/miou_by_embedding")):
            if column in rows[-1]:
                protocol = Protocol(domain, validation_split(config, domain), via, "default", False)
                miou = None if isnan(rows[-1][column]) else rows[-1][column]
                yield protocol, Score(miou, step=int(rows[-1]["step"]))


def validation_split(config: Mapping[str, Any], domain: str) -> str:
    """The split on which a training validates a domain."""
    return str(config["data"]["domains"].get(domain, {}).get("val", "val"))
