"""Encoder features that an evaluation with details leaves in a run folder."""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from semiverse.commands.reporting.runs import Setting
from semiverse.commands.reporting.scores import read_json

FILE = "features.npz"


class NamedClass(NamedTuple):
    """A class of a domain; equal names of different domains need not mean the same."""

    domain: str
    title: str

    def __str__(self) -> str:
        return f"{self.domain}/{self.title}"


@dataclass(frozen=True)
class Features:
    """Features of random labelled pixels of all domains.

    Args:
        values: (M, D), all finite.
        pixels: Class of each.
        across: Cosine between the centroids of all pixels of classes of different domains, by their names.
        same_name: Mean of those of classes of equal name; None if there are none.
    """

    values: np.ndarray
    pixels: Sequence[NamedClass]
    across: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    same_name: float | None = None

    @property
    def classes(self) -> list[NamedClass]:
        """Classes that have pixels, in the order of the file."""
        return list(dict.fromkeys(self.pixels))

    def similarity(self) -> np.ndarray:
        """Cosine between the centroids of every two classes, (C, C) in [-1, 1]: of all pixels where these are known."""
        classes = self.classes
        members = np.array([classes.index(pixel) for pixel in self.pixels])
        centroids = np.stack([self.values[members == i].mean(axis=0) for i in range(len(classes))])
        found = cosines(centroids)
        for i, one in enumerate(classes):
            for j, other in enumerate(classes):
                found[i, j] = self.across.get(str(one), {}).get(str(other), found[i, j])
        return found


def cosines(rows: np.ndarray) -> np.ndarray:
    """Cosine between every two vectors, (R, d) → (R, R) in [-1, 1]; 0 for a vector of length zero."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    directions = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    products: np.ndarray = directions @ directions.T
    return products.clip(-1.0, 1.0)


def read_features(folder: Path) -> Features | None:
    """Features of a run; None where there are none, and pixels left out where they are not finite.

    Raises:
        ValueError: If the file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            values, domains, titles = (stored[name] for name in ("features", "domains", "classes"))
        pixels = [NamedClass(str(d), str(t)) for d, t in zip(domains, titles, strict=True)]
        values = values.reshape(len(pixels), -1).astype(np.float64)
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is damaged ({error}) and was left out; evaluate the run again") from error
    finite = np.isfinite(values).all(axis=1)
    pixels = [pixel for pixel, usable in zip(pixels, finite, strict=True) if usable]
    found = read_json(folder / "evaluation.json", [])
    across, same_name = found.get("centroid_similarity", {}), found.get("same_name_similarity")
    return Features(values[finite], pixels, across, same_name) if pixels else None


def without_details(settings: Sequence[Setting]) -> list[str]:
    """A remark that names the runs that were evaluated without details; none if there are no such runs."""
    missing = []
    for run in [run for setting in settings for run in setting.runs]:
        evaluations = [score for score in run.scores.values() if score.step is None]
        if evaluations and all(score.calibration is None for score in evaluations):
            missing.append(run.name)
    if not missing:
        return []
    return [
        f"No reliability, confusion across domains or map of features of {', '.join(missing)}, which "
        f"{'was' if len(missing) == 1 else 'were'} evaluated without details: `semiverse evaluate RUN --details true` "
        "finds them."
    ]
