"""Latent classes of runs: what occurred together in training and in validation images, and masks of examples."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from torch import Tensor

from semiverse.inference.predictor import Predictor
from semiverse.labels import Color, LabelSpace
from semiverse.losses import co_occurrence, latent_given_class
from semiverse.models import SegmentationModel
from semiverse.models.latent_branch import LatentBranch
from semiverse.reporting.examples import UNREADABLE, Examples, mixture
from semiverse.reporting.figures import (
    MOST_NUMBERS,
    STYLE,
    Picture,
    heat_map,
    legend,
    picture_grid,
    two_digits,
    unlabeled_entry,
)
from semiverse.reporting.runs import read_if_there
from semiverse.reporting.settings import Setting
from semiverse.reporting.tables import in_words
from semiverse.upsampling import ScoreMap, argmax


@dataclass
class LatentClasses:
    """What the latent branch of a setting's first run found in a domain.

    Args:
        setting: Name of the setting.
        labels: The domain's label space.
        counts: Co-occurrences of classes and latent classes, (C, L), by the images that they come from.
        masks: Numbers of latent classes, (H, W), of every example.
    """

    setting: str
    labels: LabelSpace
    counts: dict[str, Tensor]
    masks: list[Tensor] = field(default_factory=list)

    @property
    def colors(self) -> LabelSpace:
        """Latent classes with their colours, which mean nothing but stay the same."""
        return LabelSpace("latent classes", tuple(f"latent {i}" for i in range(self.count)))

    @property
    def count(self) -> int:
        """L."""
        return self.counts["training"].shape[1]

    def columns(self, order: "Order") -> list[int]:
        """Latent classes in this order, by the co-occurrences of the training."""
        counts = self.counts["training"]
        given = latent_given_class(counts) * (counts.sum(dim=1) > 0)[:, None]
        return column_order(given.numpy()) if order == "class" else list(range(self.count))


def read_latent_classes(
    settings: Sequence[Setting], examples: Sequence[Examples], validation: bool, device: str
) -> tuple[dict[str, list[LatentClasses]], list[str]]:
    """Latent classes by domain, of settings that have any, and what could not be read.

    Args:
        settings: The runs.
        examples: Images that the latent branch shall look at.
        validation: Count co-occurrences in all validation images as well.
        device: Where to compute.
    """
    found: dict[str, list[LatentClasses]] = {}
    problems: list[str] = []
    for setting in settings:
        if not read_if_there(setting.runs[0].run.model / "labels.json", []).get("latent_branch"):
            continue
        try:
            predictor = Predictor(SegmentationModel.load(setting.runs[0].run.folder), resize=False, device=device)
            for domain, latent in _found_by(predictor.model, setting, examples, validation).items():
                found.setdefault(domain, []).append(latent)
        except UNREADABLE as error:
            problems.append(f"No latent classes of {setting.name}: {error}")
    return found, problems


def _found_by(
    model: SegmentationModel, setting: Setting, examples: Sequence[Examples], validation: bool
) -> dict[str, LatentClasses]:
    branch = cast(LatentBranch, model.latent_branch)
    found = {
        domain: LatentClasses(setting.name, labels, {"training": branch.co_occurrence(model.space_key(domain)).cpu()})
        for domain, labels in model.label_spaces.items()
    }
    for example in examples:
        if model.label_spaces.get(example.domain) == example.labels:
            latent = found[example.domain]
            for sample in example.samples:
                logits = _latent_logits(model, sample.image, example.domain)
                latent.masks.append(argmax(logits, (sample.image.shape[1], sample.image.shape[2]))[0].cpu())
            if validation:
                latent.counts["validation"] = _validated(model, setting, example.domain)
    return found


@torch.inference_mode()
def _latent_logits(model: SegmentationModel, image: Tensor, domain: str) -> ScoreMap:
    """(1, L, h, w) for an image, (3, H, W)."""
    features = model.features(image[None].to(model.mean.device), domain)
    return cast(LatentBranch, model.latent_branch).logits(features, model.space_key(domain))


def _validated(model: SegmentationModel, setting: Setting, domain: str) -> Tensor:
    """Sum over the validation images of masks times S_l, (C, L)."""
    samples = mixture(setting.runs[0]).evaluation(domain)
    total = torch.zeros(())
    for sample in (samples[i] for i in range(len(samples))):
        logits = _latent_logits(model, sample.image, domain)
        mask = sample.mask[None].to(logits.values.device)
        total = total + co_occurrence(logits, mask, len(model.label_spaces[domain])).cpu()
    return total


Order = Literal["class", "number"]
"""Of latent classes: by the class that predicts each most, or by number."""

LEAST = 0.1
"""A latent class that no class predicts with a higher probability counts as unused (the lower threshold of Table 4)."""


def given_class_figure(found: Sequence[LatentClasses], order: Order = "class") -> Figure:
    """P(l|c): a row a class, a column a latent class, a panel for each setting and source of co-occurrences.

    Args:
        found: Latent classes of settings that have the same classes.
        order: Of the columns.
    """
    panels = [(latent, source) for latent in found for source in latent.counts]
    widths = [latent.count for latent, _ in panels]
    seen = torch.stack([latent.counts["training"].sum(dim=1) > 0 for latent in found]).any(dim=0)
    names = [n if there else f"{n} (never seen)" for n, there in zip(found[0].labels.classes, seen, strict=True)]
    inches = sum(0.3 + count * (0.36 if count <= MOST_NUMBERS else 0.18) for count in widths)
    with rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(2.6 + inches, 1.0 + 0.3 * len(names)), layout="constrained")
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False, width_ratios=widths)[0]
        for place, (latent, source) in zip(axes, panels, strict=True):
            counts = latent.counts[source]
            picture = _draw_given_class(place, counts, latent.columns(order), names, latent.colors.palette)
            several = [latent.setting] * (len(found) > 1) + [f"of {source} images"] * (len(latent.counts) > 1)
            place.set_title(", ".join(several))
        figure.colorbar(picture, ax=axes, label="P(latent class | class)", pad=0.02)
    return figure


def _draw_given_class(
    axes: Axes, counts: Tensor, columns: Sequence[int], names: Sequence[str], palette: Sequence[Color]
) -> AxesImage:
    shown = latent_given_class(counts).numpy()[:, columns]
    shown[counts.sum(dim=1).numpy() == 0] = np.nan  # classes that never occurred have no latent class
    written = np.where(shown >= 0.05, two_digits(shown), "")
    picture = heat_map(axes, shown, (names, [str(i) for i in columns]), (0, 1), written, aspect="auto")
    axes.set_xlabel("latent class")
    axes.tick_params(axis="x", length=0, pad=5, rotation=0, labelsize=7 if len(columns) <= MOST_NUMBERS else 5)
    axes.tick_params(axis="y", length=0)
    for text, i in zip(axes.get_xticklabels(), columns, strict=True):
        red, green, blue = (part / 255 for part in palette[i])
        text.set_color("white" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.5 else "black")
        text.set_bbox({"facecolor": (red, green, blue), "edgecolor": "none", "boxstyle": "round,pad=0.25"})
    return picture


def column_order(probabilities: np.ndarray) -> list[int]:
    """Latent classes by the class that predicts each most, those that are unused at the end."""
    best, highest = probabilities.argmax(axis=0), probabilities.max(axis=0)
    return sorted(range(len(best)), key=lambda i: (highest[i] <= LEAST, best[i], -highest[i]))


def latent_pictures(
    domain: str, found: Sequence[LatentClasses], example: Examples | None, order: Order
) -> list[Picture]:
    """P(l|c) of settings, side by side where they fit, and the latent classes of each over the examples."""
    by_class = " Ordered by the class that predicts each most; unused ones, below 0.1 everywhere, last."
    pictures = []
    for members in side_by_side(found):
        names = [latent.setting for latent in members]
        caption = (
            f"How the classes of {domain} predict the latent classes of {in_words(names)}; a row sums to 1. Their "
            f"numbers and colours mean nothing.{by_class * (order == 'class')}"
        )
        name = "_".join(["latent_given_class", domain, *(names if len(names) == 1 else [])])
        pictures.append(Picture(name, caption, given_class_figure(members, order)))
    shown = [one for one in found if example is not None and one.masks and one.setting in example.predictions]
    return pictures + [_examples(domain, latent, cast(Examples, example)) for latent in shown]


def side_by_side(found: Sequence[LatentClasses]) -> list[list[LatentClasses]]:
    """Settings that share a figure: of the same classes, and no more columns in all than have room for numbers."""
    rows: list[list[LatentClasses]] = []
    for latent in found:
        row = [*rows[-1], latent] if rows else [latent]
        fits = sum(one.count * len(one.counts) for one in row) <= MOST_NUMBERS
        if rows and fits and latent.labels == rows[-1][0].labels:
            rows[-1] = row
        else:
            rows.append([latent])
    return rows


def _examples(domain: str, found: LatentClasses, example: Examples) -> Picture:
    """Classes and latent classes of a setting, laid over the examples."""
    caption = f"Classes and latent classes that {found.setting} sees, in colours over the grey images."
    labels, predictions = found.labels, example.predictions[found.setting]
    truths = [sample.mask for sample in example.samples] if example.labelled else []
    rows = []
    for i, sample in enumerate(example.samples):
        classes = [labels.colorize(mask) for mask in (*truths[i : i + 1], predictions[i])]
        masks = [*classes, found.colors.colorize(found.masks[i])]
        rows.append([sample.image.permute(1, 2, 0), *(laid_over(sample.image, mask) for mask in masks)])
    entries = legend([*truths, *predictions], labels) + legend(found.masks, found.colors) + unlabeled_entry(truths)
    captions = [[sample.id] for sample in example.samples]
    headings = ["image", *["truth"] * example.labelled, "classes", "latent classes"]
    figure = picture_grid(rows, headings, entries, captions)
    return Picture(f"latent_examples_{domain}_{found.setting}", caption, figure)


def laid_over(image: Tensor, colors: Tensor) -> Tensor:
    """Colours, (H, W, 3) uint8, seven tenths of them, over the grey values of an image, (3, H, W) uint8."""
    grey = image.float().mean(dim=0)[..., None]
    return (0.7 * colors + 0.3 * grey).round().to(torch.uint8)
