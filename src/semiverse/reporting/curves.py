"""What methods record in metrics.csv, in words."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from semiverse.reporting.figures import COLORS, STYLE
from semiverse.reporting.runs import RunFacts, Setting

TERMS = {
    "supervised": ("Cross entropy of labelled pixels", "nats per pixel"),
    "anchor": ("Cross entropy of similarities with label rows", "nats per pixel"),
    "entropy_within": ("Entropy against own labels", "nats per pixel"),
    "entropy_across": ("Entropy against labels of other domains", "nats per pixel"),
    "entropy_of_assignment": ("Entropy of the mean assignment", "nats"),
    "largest_score": ("Largest similarity", "similarity"),
    "projection_norm": ("Mean length of projected pixels of validation images", "similarity"),
    "agreement": (
        "Cells of validation images where label embedding and decoder choose the same class",
        "share of cells",
    ),
    "latent": ("Entropy of the class given the latent class", "nats per pixel"),
    "consistency": ("Cross entropy of implied with found latent classes", "nats per pixel"),
    "labeled_adversarial": ("Adversarial term of labelled images", "nats per pixel"),
    "unlabeled_adversarial": ("Adversarial term of unlabelled images", "nats per pixel"),
    "pseudo_label": ("Cross entropy with pseudo-labels", "nats per labelled pixel"),
}
"""Title and unit of what methods record; others keep their own names."""

Scale = Literal["linear", "whole", "log"]
"""Of a panel's values: any, whole numbers, or logarithms, with zero at the bottom."""


class Pair(NamedTuple):
    """Two terms that are read together: title, unit, scale, factor that brings values to the unit, legend by term."""

    title: str
    unit: str
    scale: Scale
    factor: float
    terms: Mapping[str, str]


PAIRS = {
    "effective_latent_classes": Pair(
        "Latent classes that some class predicts with a probability above 0.1, and above 0.9",
        "latent classes",
        "whole",
        1.0,
        {"effective_latent_classes_0.1": " above 0.1", "effective_latent_classes_0.9": " above 0.9"},
    ),
    "discriminator": Pair(
        "How often the discriminator is right, on predictions and on label maps",
        "% of its outputs",
        "linear",
        100.0,
        {"discriminator_right_on_predictions": ", predictions", "discriminator_right_on_labels": ", labels"},
    ),
    "discriminator_loss": Pair(
        "Cross entropy of the discriminator on predictions and on label maps, means since the previous validation",
        "nats per pixel",
        "linear",
        1.0,
        {"discriminator_on_predictions": ", predictions", "discriminator_on_labels": ", labels"},
    ),
}
BY_CLASS = "pseudo_labels/"
"""How terms begin that are recorded for every class: the share of all pixels that it labels."""


LINES = ("-", "--", ":", "-.")
SMALL = 0.1
"""Where a logarithmic scale turns linear, to reach zero."""


class Curve(NamedTuple):
    """Legend, column of metrics.csv, runs, line style, colour."""

    legend: str
    column: str
    runs: Sequence[RunFacts]
    style: str
    color: str


Panels = Mapping[str, tuple[list[Curve], str, float]]
"""Curves by title, with their unit and the factor that brings values to it."""


def curve_figures(settings: Sequence[Setting]) -> dict[str, tuple[str, Figure]]:
    """One figure a topic, a panel a domain, all runs overlaid: caption and figure by name."""
    runs = [run for setting in settings for run in setting.runs]
    columns = dict.fromkeys(column for run in runs for row in run.rows for column in row)
    domains = list(dict.fromkeys(domain for run in runs for domain in run.domains))
    figures: dict[str, tuple[str, Figure]] = {}
    if any(f"{domain}/miou" in columns for domain in domains):
        panels = {domain: (_score_curves(settings, domain), "mIoU in %", 100.0) for domain in domains}
        caption = "Validation during training: mean intersection over union."
        figures["validation_miou"] = (caption, _panels(panels))
    figures |= _paired_figures(settings, columns, domains)
    figures |= _class_figures(settings, columns, domains)
    paired = {term for pair in PAIRS.values() for term in pair.terms}
    for term in dict.fromkeys(column.partition("/")[2] for column in columns if "/" in column):
        if not term.startswith(("miou", BY_CLASS)) and term not in paired:
            title, unit = TERMS.get(term, (term.replace("_", " "), "as recorded"))
            panels = {d: (_curves(settings, f"{d}/{term}"), unit, 1.0) for d in domains if f"{d}/{term}" in columns}
            caption = f"{title}; means since the previous validation."
            figures[f"loss_{term}"] = (caption, _panels(panels))
    pace = {"learning_rate": ("Learning rate", "learning rate"), "images_per_second": ("Speed", "images per second")}
    panels = {title: (_curves(settings, key), unit, 1.0) for key, (title, unit) in pace.items() if key in columns}
    if panels:
        figures["pace"] = ("Learning rate and speed.", _panels(panels))
    return figures


def _paired_figures(
    settings: Sequence[Setting], columns: Collection[str], domains: Sequence[str]
) -> dict[str, tuple[str, Figure]]:
    """Figures of what is read together: two terms in each panel, solid and dashed."""
    figures = {}
    for name, pair in PAIRS.items():
        panels = {
            domain: (_paired_curves(settings, domain, pair), pair.unit, pair.factor)
            for domain in domains
            if any(f"{domain}/{term}" in columns for term in pair.terms)
        }
        if panels:
            figures[name] = (f"{pair.title}.", _panels(panels, pair.scale))
    return figures


def _paired_curves(settings: Sequence[Setting], domain: str, pair: Pair) -> list[Curve]:
    lines = zip(pair.terms.items(), LINES, strict=False)
    return [curve for (term, end), line in lines for curve in _curves(settings, f"{domain}/{term}", end, line)]


def _class_figures(
    settings: Sequence[Setting], columns: Collection[str], domains: Sequence[str]
) -> dict[str, tuple[str, Figure]]:
    """A figure a domain of the pixels that each class labels, a panel a setting; rare classes ask for a log scale."""
    figures = {}
    for domain in domains:
        classes = [column for column in columns if column.startswith(f"{domain}/{BY_CLASS}")]
        panels: dict[str, tuple[list[Curve], str, float]] = {}
        for setting in settings:
            curves = [
                Curve(
                    column.rpartition(BY_CLASS)[2],
                    column,
                    setting.runs,
                    LINES[i // len(COLORS) % 4],
                    COLORS[i % len(COLORS)],
                )
                for i, column in enumerate(classes)
                if any(column in row for run in setting.runs for row in run.rows)
            ]
            if curves:
                panels[setting.name] = (curves, "% of all pixels", 100.0)
        if panels:
            caption = (
                f"Unlabelled pixels of {domain} that become labels, by class; means since the previous validation."
            )
            figures[f"pseudo_labels_{domain}"] = (caption, _panels(panels, "log"))
    return figures


def _curves(settings: Sequence[Setting], column: str, suffix: str = "", line: str = "") -> list[Curve]:
    """One curve a setting; beyond eight settings the line styles change."""
    return [
        Curve(s.name + suffix, column, s.runs, line or LINES[i // len(COLORS) % len(LINES)], COLORS[i % len(COLORS)])
        for i, s in enumerate(settings)
    ]


def _score_curves(settings: Sequence[Setting], domain: str) -> list[Curve]:
    column = f"{domain}/miou_by_embedding"
    embedded = any(column in row for setting in settings for run in setting.runs for row in run.rows)
    curves = _curves(settings, f"{domain}/miou")
    return curves + (_curves(settings, column, " by embedding", "--") if embedded else [])


def _panels(panels: Panels, scale: Scale = "linear") -> Figure:
    """A figure with a panel for each title."""
    across = min(2, len(panels))
    down = -(-len(panels) // across)
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2 if across > 1 else 4.6, 2.6 * down + 0.35), layout="constrained")
        handles: dict[str, Artist] = {}
        for i, (title, (curves, unit, factor)) in enumerate(panels.items()):
            axes = figure.add_subplot(down, across, i + 1)
            axes.set(title=title, xlabel="training steps", ylabel=unit)
            for curve in curves:
                _plot(axes, curve, factor, handles)
            _set_scale(axes, scale)
        figure.legend(
            handles.values(), handles.keys(), loc="outside lower center", ncols=min(4, len(handles) or 1), fontsize=8
        )
    return figure


def _set_scale(axes: Axes, scale: Scale) -> None:
    if scale == "whole":
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(bottom=0)
    elif scale == "log":
        axes.set_yscale("symlog", linthresh=SMALL)
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.set_ylim(bottom=0)


def _plot(axes: Axes, curve: Curve, factor: float, handles: dict[str, Artist]) -> None:
    for run in curve.runs:
        points = [(row["step"], factor * row[curve.column]) for row in run.rows if curve.column in row]
        if points:
            steps, values = zip(*points, strict=True)
            marker = "o" if len(points) < 2 else None  # one point makes no line
            drawn = axes.plot(steps, values, curve.style, color=curve.color, linewidth=1.6, marker=marker, alpha=0.9)
            handles.setdefault(curve.legend, drawn[0])
    axes.margins(x=0.02)
