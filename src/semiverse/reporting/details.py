"""Pictures of what an evaluation finds: in each domain, and from one domain to another."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from semiverse.models import SegmentationModel
from semiverse.reporting.examples import UNREADABLE
from semiverse.reporting.features import Features, feature_map, label_row_similarity, read_features, similarity_figure
from semiverse.reporting.figures import LINE_COLORS, STYLE, Picture, heat_map, line_color
from semiverse.reporting.runs import RunFacts, read_if_there
from semiverse.reporting.scores import Evaluated, Frequencies
from semiverse.reporting.settings import Setting
from semiverse.reporting.tables import MISSING, in_words, percent_cell


def domain_pictures(
    domain: str, found: Sequence[Evaluated], frequencies: Frequencies, settings: Sequence[Setting] = ()
) -> list[Picture]:
    """Classes beside their frequencies, and reliability, of all settings, and the confusion of each.

    Args:
        domain: Its name.
        found: Its evaluations.
        frequencies: Of the classes in the masks; empty: those of the pixels that were scored first.
        settings: Whose first runs show their confusion.
    """
    pictures = []
    shares = {title: share for title, (share, _) in frequencies.items()}
    confusions = [score.confusion for evaluated in found for score in evaluated.scores if score.confusion]
    if confusions and not shares:
        pixels = {title: sum(row.values()) for title, row in confusions[0].items()}
        shares = {title: count / max(1, sum(pixels.values())) for title, count in pixels.items()}
    ious = {e.name: e.ious for e in found if e.ious}
    if ious and shares:
        whiskers = " Whiskers are standard deviations over seeds." * any(len(runs) > 1 for runs in ious.values())
        caption = (
            f"Classes of {domain}, the most frequent first: intersection over union and share of pixels.{whiskers}"
        )
        pictures += [Picture(f"class_iou_{domain}", caption, class_figure(some, shares)) for some in _groups(ious)]
    bins = {e.name: [s.calibration for s in e.scores if s.calibration is not None] for e in found}
    bins = {name: calibrations for name, calibrations in bins.items() if calibrations}
    if bins:
        caption = (
            f"Reliability in {domain}: below the diagonal the model is surer than it is right. The calibration error "
            "is the mean distance from the diagonal over all pixels."
        )
        pictures += [Picture(f"reliability_{domain}", caption, reliability_figure(some)) for some in _groups(bins)]
    for run, (protocol, score) in ((s.runs[0], scored) for s in settings for scored in s.runs[0].scores.items()):
        if protocol.domain == domain and score.confusion:
            name = f"confusion_{domain}_{run.name}_{protocol.via}_{protocol.split}"
            manner = f"by {protocol.via}, split {protocol.split}"
            caption = f"Confusion of {run.name}, {manner}: what the pixels of each class were taken for."
            pictures.append(Picture(name, caption, confusion_figure(score.confusion, list(score.iou))))
    return pictures


def _groups(named: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Settings in groups of so many as colours can tell apart."""
    names = list(named)
    parts = [names[i : i + len(LINE_COLORS)] for i in range(0, len(names), len(LINE_COLORS))]
    return [{name: named[name] for name in part} for part in parts]


def across_pictures(
    settings: Sequence[Setting], classes: Collection[str] | None = None
) -> tuple[list[Picture], list[str]]:
    """Pictures of what domains have to do with each other, by the first run of every setting; and what is missing.

    Args:
        settings: The runs.
        classes: Those that are shown in maps of features; None: all.
    """
    pictures: list[Picture] = []
    problems: list[str] = []
    runs = [run for setting in settings for run in setting.runs]
    evaluated = {run.name: [score for score in run.scores.values() if score.step is None] for run in runs}
    plain = [name for name, found in evaluated.items() if found and all(s.calibration is None for s in found)]
    if plain:
        problems.append(
            f"No reliability, confusion across domains or map of features of {', '.join(plain)}, which "
            f"{'was' if len(plain) == 1 else 'were'} evaluated without details: `semiverse evaluate RUN --details "
            "true` finds them."
        )
    found: dict[str, Features] = {}
    for run in (setting.runs[0] for setting in settings):
        pictures += _seen_as(run)
        try:
            features = read_features(run.run.folder)
            found |= {run.name: features} if features is not None else {}
        except ValueError as error:
            problems.append(str(error))
        try:
            pictures += _similarities(run, found.get(run.name))
        except UNREADABLE as error:
            problems.append(f"No map of the classes of {run.name}: {error}")
    separate = [setting.runs[0].name for setting in settings if setting.runs[0].separate]
    return pictures + _feature_maps({name: one.only(classes) for name, one in found.items()}, separate), problems


def _feature_maps(found: Mapping[str, Features], separate: Collection[str]) -> list[Picture]:
    """Maps of features, side by side for runs on the same domains.

    Args:
        found: Features by run.
        separate: Runs in which every domain has a network of its own.
    """
    pictures = []
    domains = {name: frozenset(pixel.domain for pixel in features.pixels) for name, features in found.items()}
    for same in dict.fromkeys(domains.values()):
        panels = {name: features for name, features in found.items() if domains[name] == same}
        drawn = feature_map(panels)
        if drawn is None:
            continue
        alike = [
            f"{features.same_name:.2f}" + f" ({name})" * (len(panels) > 1)
            for name, features in panels.items()
            if features.same_name is not None
        ]
        apart = [name for name in panels if name in separate]
        caption = f"Encoder features of {in_words(panels)} at random labelled pixels, t-SNE of all domains together"
        caption += ", a map a run, all on one scale." if len(panels) > 1 else "."
        caption += f" Mean cosine between centroids of classes of the same name: {in_words(alike)}." * bool(alike)
        if apart:
            of_whom = f" in {in_words(apart)}" if len(panels) > 1 else ""
            caption += f" Every domain has an encoder of its own{of_whom}: their features do not compare."
        name = "_".join(["features", *(panels if len(panels) == 1 else sorted(same))])
        pictures.append(Picture(name, caption, drawn))
    return pictures


def _seen_as(run: RunFacts) -> list[Picture]:
    """What the head of every domain says of every other domain."""
    classes = {protocol.domain: list(score.iou) for protocol, score in run.scores.items() if score.iou}
    pictures = []
    for protocol, score in run.scores.items():
        for other, seen in (score.seen_as or {}).items():
            domain = protocol.domain
            answers = classes.get(other) or list(dict.fromkeys(name for row in seen.values() for name in row))
            name = f"seen_as_{domain}_{other}_{run.name}_{protocol.via}_{protocol.split}"
            caption = (
                f"{domain} through the eyes of {other}: what the head of {other} in {run.name} takes its pixels for."
            )
            axes_titles = (f"class of {other} that its head sees", f"true class of {domain}")
            if answers:
                figure = confusion_figure(seen, classes.get(domain, list(seen)), answers, axes_titles)
                pictures.append(Picture(name, caption, figure))
    return pictures


def _similarities(run: RunFacts, features: Features | None) -> list[Picture]:
    """Label embeddings of models that have them, centroids of features of the others."""
    if read_if_there(run.run.folder / "model" / "labels.json", []).get("label_embeddings"):
        names, similarity = label_row_similarity(SegmentationModel.load(run.run.folder))
        what = "label embeddings"
    elif features is not None and not run.separate:
        names, similarity = features.classes, features.similarity()
        what = "centroids of encoder features"
    else:
        return []
    if len({name.domain for name in names}) < 2:
        return []
    caption = f"Cosine between {what} of all classes of {run.name}, in an order that puts alike ones side by side."
    return [Picture(f"class_similarity_{run.name}", caption, similarity_figure(names, similarity))]


FEWEST = 1e-4
"""Share of all pixels below which a bin says too little about its accuracy to be a point of the curve."""


class Bins(NamedTuple):
    """Equal bins of confidence: mean confidence and accuracy, NaN where there are no pixels, and share of pixels."""

    confidence: np.ndarray
    accuracy: np.ndarray
    share: np.ndarray


def pooled(calibrations: Sequence[Mapping[str, Any]]) -> Bins:
    """Bins of several runs together, every pixel counting once."""
    values = np.array(
        [[[b["confidence"] or 0.0, b["accuracy"] or 0.0, b["pixels"]] for b in c["bins"]] for c in calibrations]
    )
    pixels = values[..., 2].sum(axis=0)
    sums = (values[..., :2] * values[..., 2:]).sum(axis=0)
    means = np.divide(sums, pixels[:, None], out=np.full_like(sums, np.nan), where=pixels[:, None] > 0)
    return Bins(means[:, 0], means[:, 1], pixels / max(1.0, pixels.sum()))


def reliability_figure(settings: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Accuracy against confidence for each setting, and below it how many pixels have that confidence.

    Args:
        settings: Bins and error of each run, by setting.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(4.4, 5.2 + 0.19 * len(settings)), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
        lines = upper.plot([0, 100], [0, 100], color="#999999", linewidth=1, linestyle="--", zorder=1)
        titles = ["confidence is accuracy"]
        for i, (name, calibrations) in enumerate(settings.items()):
            bins, color = pooled(calibrations), line_color(i)
            drawn = bins.share >= FEWEST
            points = 100 * bins.confidence[drawn], 100 * bins.accuracy[drawn]
            lines += upper.plot(*points, "o-", color=color, linewidth=1.6, markersize=4)
            width = 100 / len(bins.share)
            part = 0.86 * width / len(settings)
            left = width * (np.arange(len(bins.share)) + 0.07) + part * i
            lower.bar(left, 100 * bins.share, width=part, align="edge", color=color, alpha=0.85, linewidth=0)
            errors = percent_cell([calibration["error"] for calibration in calibrations])
            titles.append(f"{name}: calibration error {errors.text} %")
        upper.set(xlim=(0, 100), ylim=(0, 100), ylabel="accuracy in %")
        lower.set(xlabel="confidence (probability of the predicted class) in %", ylabel="% of pixels")
        figure.align_ylabels()
        figure.legend(lines, titles, loc="outside lower center", fontsize=8)
    return figure


def class_figure(scores: Mapping[str, Sequence[Mapping[str, float | None]]], shares: Mapping[str, float]) -> Figure:
    """A bar for each class and setting, frequent classes above, and a narrow panel of their frequencies.

    Args:
        scores: Intersection over union by class of each run, by setting; spreads are drawn as whiskers.
        shares: Of the pixels, in [0, 1], by class.
    """
    known = dict.fromkeys(title for ious in scores.values() for iou in ious for title in iou)
    classes = sorted(known, key=lambda title: -shares.get(title, 0.0))
    thickness = 0.8 / len(scores)
    height = len(classes) * max(0.24, 0.09 + 0.11 * len(scores))
    columns = max(1, min(3, len(scores), 80 // max(map(len, scores))))  # of the legend, none cut off
    with rc_context(STYLE):
        figure = Figure(figsize=(6.2, 1.1 + height + 0.2 * -(-len(scores) // columns)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3.2, 1), gridspec_kw={"wspace": 0.12})
        places = np.arange(len(classes))
        bars = []
        for i, ious in enumerate(scores.values()):
            found = [[v for iou in ious if (v := iou.get(c)) is not None] for c in classes]
            means = [100 * float(np.mean(values)) if values else np.nan for values in found]
            spreads = [100 * float(np.std(values, ddof=1)) if len(values) > 1 else np.nan for values in found]
            offset = (i - (len(scores) - 1) / 2) * thickness
            bars.append(left.barh(places + offset, means, thickness, color=line_color(i), linewidth=0))
            left.errorbar(means, places + offset, xerr=spreads, fmt="none", ecolor="#333333", elinewidth=0.8)
            for place, mean in zip(places, means, strict=True):
                if np.isnan(mean):
                    left.text(0.6, place + offset, MISSING, va="center", fontsize=7, color="#666666")
        left.set_yticks(places, classes)
        left.set(xlim=(0, 100), ylim=(len(classes) - 0.5, -0.5), xlabel="intersection over union in %")
        left.grid(axis="y", visible=False)
        left.tick_params(axis="y", length=0)
        _frequencies(right, [100 * shares.get(title, 0.0) for title in classes])
        if len(scores) > 1:
            figure.legend(bars, [*scores], loc="outside lower center", ncols=columns, fontsize=8)
    return figure


def _frequencies(axes: Axes, percent: Sequence[float]) -> None:
    """Points on a logarithmic scale, for a bar would have no foot; classes that never occur have none."""
    places = [i for i, value in enumerate(percent) if value > 0]
    values = [percent[i] for i in places]
    axes.set_xscale("log")
    if values:
        low, high = 10 ** np.floor(np.log10(0.8 * min(values))), 100.0
        axes.hlines(places, low, values, color="#b8c0c8", linewidth=1)
        axes.plot(values, places, "o", color="#5c6670", markersize=4)
        axes.set_xlim(low, high)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("% of pixels\n(log scale)")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


def confusion_figure(
    confusion: Mapping[str, Mapping[str, int]],
    classes: Sequence[str],
    answers: Sequence[str] | None = None,
    axes_titles: tuple[str, str] = ("predicted class", "true class"),
) -> Figure:
    """Where the pixels of each true class (a row) went, in percent of the class.

    Args:
        confusion: Pixels by true and predicted class; what is absent is 0.
        classes: All true classes, in order.
        answers: All classes that can be predicted, in order; None: the true ones.
        axes_titles: What stands below the columns and beside the rows.
    """
    answers = classes if answers is None else answers
    counts = np.array([[confusion.get(true, {}).get(found, 0) for found in answers] for true in classes], dtype=float)
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(100 * counts, total, out=np.full_like(counts, np.nan), where=total > 0)
    names = [name if there else f"{name} (no pixels)" for name, there in zip(classes, total > 0, strict=True)]
    with rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(2.2 + 0.34 * len(answers), 1.6 + 0.34 * len(classes)), layout="compressed")
        axes = figure.add_subplot()
        written = np.where(shares >= 0.5, np.char.mod("%.0f", shares), "")
        picture = heat_map(axes, shares, (names, answers), (0, 100), written)
        axes.set(xlabel=axes_titles[0], ylabel=axes_titles[1])
        figure.colorbar(picture, ax=axes, label="% of the true class", fraction=0.046)
    return figure
