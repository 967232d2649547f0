"""Pictures of what an evaluation with details finds: in each domain, and from one domain to another."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semiverse.models import SegmentationModel
from semiverse.reporting.examples import UNREADABLE
from semiverse.reporting.features import (
    Features,
    feature_map,
    label_row_similarity,
    read_features,
    similarity_figure,
    without_details,
)
from semiverse.reporting.figures import COLORS, STYLE, ClassScores, Frequencies, class_figure, confusion_figure
from semiverse.reporting.page import Picture
from semiverse.reporting.runs import RunFacts, Setting, read_json
from semiverse.reporting.scores import Evaluated
from semiverse.reporting.tables import percent_cell


def domain_pictures(domain: str, found: Sequence[Evaluated], frequencies: Frequencies) -> list[Picture]:
    """Classes beside their frequencies, and reliability, of all settings.

    Args:
        domain: Its name.
        found: Its evaluations.
        frequencies: Of the classes in the masks; empty: those of the pixels that were scored.
    """
    pictures = []
    shares = {title: share for title, (share, _) in frequencies.items()} or _scored_shares(found)
    scores = [ClassScores(e.name, [score.iou for score in e.scores if score.iou]) for e in found]
    scores = [setting for setting in scores if setting.ious]
    if scores and shares:
        several = any(len(setting.ious) > 1 for setting in scores)
        whiskers = " Whiskers are standard deviations over seeds." * several
        caption = (
            f"Classes of {domain}, the most frequent first: intersection over union and share of pixels.{whiskers}"
        )
        pictures.append(Picture(f"class_iou_{domain}", caption, class_figure(scores, shares)))
    curves = [Reliability(e.name, [s.calibration for s in e.scores if s.calibration is not None]) for e in found]
    curves = [curve for curve in curves if curve.calibrations]
    if curves:
        caption = (
            f"Reliability in {domain}: below the diagonal the model is surer than it is right. The calibration error "
            "is the mean distance from the diagonal over all pixels."
        )
        pictures.append(Picture(f"reliability_{domain}", caption, reliability_figure(curves)))
    return pictures


def _scored_shares(found: Sequence[Evaluated]) -> Mapping[str, float]:
    """Share of each class in the labelled pixels of the first evaluation that counted them."""
    confusions = [score.confusion for evaluated in found for score in evaluated.scores if score.confusion]
    if not confusions:
        return {}
    pixels = {title: sum(row.values()) for title, row in confusions[0].items()}
    return {title: count / max(1, sum(pixels.values())) for title, count in pixels.items()}


def across_pictures(settings: Sequence[Setting]) -> tuple[list[Picture], list[str]]:
    """Pictures of what domains have to do with each other, by the first run of every setting; and what is missing."""
    pictures: list[Picture] = []
    problems = without_details(settings)
    for run in [setting.runs[0] for setting in settings]:
        pictures += _confusions(run)
        features = None
        try:
            features = read_features(run.run.folder)
            pictures += _feature_maps(run, features) if features is not None else []
        except ValueError as error:
            problems.append(str(error))
        try:
            pictures += _similarities(run, features)
        except UNREADABLE as error:
            problems.append(f"No map of the classes of {run.name}: {error}")
    return pictures, problems


def _confusions(run: RunFacts) -> list[Picture]:
    """What the head of every domain says of every other domain."""
    classes = {protocol.domain: list(score.iou) for protocol, score in run.scores.items() if score.iou}
    pictures = []
    for protocol, score in run.scores.items():
        for other, seen in (score.seen_as or {}).items():
            domain = protocol.domain
            answers = classes.get(other) or list(dict.fromkeys(name for row in seen.values() for name in row))
            if not answers:
                continue
            axes_titles = (f"class of {other} that its head sees", f"true class of {domain}")
            name = f"seen_as_{domain}_{other}_{run.name}_{protocol.via}_{protocol.split}"
            caption = (
                f"{domain} through the eyes of {other}: what the head of {other} in {run.name} takes its pixels for."
            )
            figure = confusion_figure(seen, classes.get(domain, list(seen)), answers, axes_titles)
            pictures.append(Picture(name, caption, figure))
    return pictures


def _feature_maps(run: RunFacts, features: Features) -> list[Picture]:
    drawn = feature_map(features)
    if drawn is None:
        return []
    caption = f"Encoder features of {run.name} at random labelled pixels, t-SNE of all domains together."
    if features.same_name is not None:
        caption += f" Mean cosine between centroids of classes of the same name: {features.same_name:.2f}."
    if _separate(run):
        caption += " Every domain has an encoder of its own: their features do not compare."
    return [Picture(f"features_{run.name}", caption, drawn)]


def _similarities(run: RunFacts, features: Features | None) -> list[Picture]:
    """Label embeddings of models that have them, centroids of features of the others."""
    if read_json(run.run.folder / "model" / "labels.json", []).get("label_embeddings"):
        names, similarity = label_row_similarity(SegmentationModel.load(run.run.folder))
        what = "label embeddings"
    elif features is not None and not _separate(run):
        names, similarity = features.classes, features.similarity()
        what = "centroids of encoder features"
    else:
        return []
    if len({name.domain for name in names}) < 2:
        return []
    caption = f"Cosine between {what} of all classes of {run.name}, in an order that puts alike ones side by side."
    return [Picture(f"class_similarity_{run.name}", caption, similarity_figure(names, similarity))]


def _separate(run: RunFacts) -> bool:
    return bool(run.config.get("model", {}).get("separate", False))


FEWEST = 1e-4
"""Share of all pixels below which a bin says too little about its accuracy to be a point of the curve."""


class Reliability(NamedTuple):
    """Calibration of a setting: name, and bins and error of each of its runs."""

    name: str
    calibrations: Sequence[Mapping[str, Any]]


class Bins(NamedTuple):
    """Equal bins of confidence: mean confidence and accuracy, NaN where there are no pixels, and share of pixels."""

    confidence: np.ndarray
    accuracy: np.ndarray
    share: np.ndarray


def pooled(calibrations: Sequence[Mapping[str, Any]]) -> Bins:
    """Bins of several runs together, every pixel counting once."""
    values = np.array(
        [[[_number(b["confidence"]), _number(b["accuracy"]), b["pixels"]] for b in c["bins"]] for c in calibrations]
    )
    pixels = values[..., 2].sum(axis=0)
    sums = (values[..., :2] * values[..., 2:]).sum(axis=0)
    means = np.divide(sums, pixels[:, None], out=np.full_like(sums, np.nan), where=pixels[:, None] > 0)
    return Bins(means[:, 0], means[:, 1], pixels / max(1.0, pixels.sum()))


def _number(value: float | None) -> float:
    return 0.0 if value is None else value


def reliability_figure(settings: Sequence[Reliability]) -> Figure:
    """Accuracy against confidence for each setting, and below it how many pixels have that confidence."""
    with rc_context(STYLE):
        figure = Figure(figsize=(4.4, 5.2 + 0.19 * len(settings)), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
        upper.plot([0, 100], [0, 100], color="#999999", linewidth=1, linestyle="--", zorder=1)
        lines = [Line2D([], [], color="#999999", linewidth=1, linestyle="--")]
        titles = ["confidence is accuracy"]
        for i, setting in enumerate(settings):
            lines.append(_draw(upper, lower, setting, i, len(settings)))
            errors = percent_cell([calibration["error"] for calibration in setting.calibrations])
            titles.append(f"{setting.name}: calibration error {errors.text} %")
        upper.set(xlim=(0, 100), ylim=(0, 100), ylabel="accuracy in %")
        lower.set(xlabel="confidence (probability of the predicted class) in %", ylabel="% of pixels")
        figure.align_ylabels()
        figure.legend(lines, titles, loc="outside lower center", fontsize=8)
    return figure


def _draw(upper: Axes, lower: Axes, setting: Reliability, number: int, count: int) -> Line2D:
    bins, color = pooled(setting.calibrations), COLORS[number % len(COLORS)]
    drawn = bins.share >= FEWEST
    line = upper.plot(
        100 * bins.confidence[drawn], 100 * bins.accuracy[drawn], "o-", color=color, linewidth=1.6, markersize=4
    )[0]
    width = 100 / len(bins.share)
    part = 0.86 * width / count
    left = width * (np.arange(len(bins.share)) + 0.07) + part * number
    lower.bar(left, 100 * bins.share, width=part, align="edge", color=color, alpha=0.85, linewidth=0)
    return line
