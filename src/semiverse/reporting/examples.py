"""Which images are shown: the best, the worst and the most improved by their own mIoU."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from statistics import mean
from typing import Any

import numpy as np
from torch import Tensor

from semiverse.configuration.build import build
from semiverse.data import Content, Sample
from semiverse.inference.predictor import Predictor
from semiverse.labels import LabelSpace
from semiverse.mixture import DomainMixture
from semiverse.models import SegmentationModel
from semiverse.progress import Progress
from semiverse.reporting.figures import Picture, legend, picture_grid, unlabeled_entry
from semiverse.reporting.runs import RunFacts, Setting
from semiverse.reporting.scores import Frequencies

IMPROVED = "most improved"
ImageScores = Mapping[str, Mapping[str, float]]
"""The mIoU of every image by itself, by name of the setting and id of the image."""


def image_scores(settings: Sequence[Setting], domain: str, split: str) -> dict[str, Mapping[str, float]]:
    """Scores of the images of a split by the decoder of the first run of each setting, where it has them."""
    found: dict[str, Mapping[str, float]] = {}
    for setting in settings:
        for protocol, score in setting.runs[0].scores.items():
            if (protocol.domain, protocol.split, protocol.via) == (domain, split, "decoder") and score.image_mious:
                found[setting.name] = {title: v for title, v in score.image_mious.items() if v is not None}
    return found


def choose_examples(scores: ImageScores, baseline: str, ids: Sequence[str], count: int) -> list[tuple[str, str]]:
    """Ids of up to ``count`` images that every setting scored, each with its kind: best first, most improved last.

    Best and worst by the mean over settings; improvement is the mean of the others minus the baseline, and only above
    zero. No image is chosen twice.

    Args:
        scores: Of the images.
        baseline: Name of the setting that the others are measured against.
        ids: Of the images that there are.
        count: How many to choose.
    """
    known = [one for one in ids if scores and all(one in by_image for by_image in scores.values())]
    average = {one: mean(by_image[one] for by_image in scores.values()) for one in known}
    others = [by_image for name, by_image in scores.items() if name != baseline] if baseline in scores else []
    gains = {one: mean(by_image[one] for by_image in others) - scores[baseline][one] for one in known if others}
    rankings = {
        "best": sorted(known, key=lambda one: -average[one]),
        "worst": sorted(known, key=lambda one: average[one]),
        IMPROVED: sorted((one for one in known if gains.get(one, 0.0) > 0), key=lambda one: -gains[one]),
    }
    chosen: dict[str, str] = {}
    for kind in cycle(("worst", "best", IMPROVED)):  # in this order where few images are shown
        if len(chosen) >= min(count, len(known)):
            break
        left = [one for one in rankings[kind] if one not in chosen]
        if left:
            chosen[left[0]] = kind
    return [(one, kind) for kind in rankings for one in rankings[kind] if chosen.get(one) == kind]


def choice(kinds: Sequence[str], scores: ImageScores, baseline: str) -> str:
    """How examples were chosen, in words."""
    if not kinds:
        return "chosen evenly"
    by_mean = " in the mean over the settings" if len(scores) > 1 else ""
    improved = f", and those that gained most over {baseline}" if IMPROVED in kinds else ""
    return f"the best and worst by their own mIoU{by_mean}{improved}"


UNREADABLE = (ValueError, OSError)
"""What data or a model that is not there, or not any more what it was, brings about."""


@dataclass
class Examples:
    """Images of a domain's validation split, and predictions by setting.

    Args:
        domain: Its name.
        labels: Its label space.
        samples: Images and masks at working size.
        split_size: Number of images of the split.
        frequencies: How often classes occur in the split's masks.
        kinds: Why each sample was chosen, as "best"; empty: evenly over the split.
        scores: The mIoU of every image by itself, by name of the setting and id of the image.
        predictions: Masks (H, W) of every sample, by name of the setting.
    """

    domain: str
    labels: LabelSpace
    samples: list[Sample]
    split_size: int
    frequencies: Frequencies
    kinds: list[str] = field(default_factory=list)
    scores: ImageScores = field(default_factory=dict)
    predictions: dict[str, list[Tensor]] = field(default_factory=dict)


def read_examples(settings: Sequence[Setting], count: int) -> tuple[list[Examples], list[str]]:
    """Examples of every domain whose data is there, without predictions yet; and what is not there.

    They are the best, worst and most improved where the images were scored, else evenly chosen.
    """
    sources: dict[str, RunFacts] = {}
    for run in [run for setting in settings for run in setting.runs]:
        for domain in run.domains:
            sources.setdefault(domain, run)
    found: list[Examples] = []
    problems: list[str] = []
    for domain, run in sources.items():
        try:
            data = mixture(run.config["data"])
            split, labels, name = data.evaluation(domain), data.label_spaces[domain], data.domains[domain].val
            scores = image_scores(settings, domain, name)
            places = {record.id: i for i, record in enumerate(split.records)}
            chosen = choose_examples(scores, settings[0].name, list(places), count)
            samples = [split[places[title]] for title, _ in chosen] or [split[i] for i in evenly(len(split), count)]
            shares, kinds = frequencies(data.contents(domain, name), labels), [kind for _, kind in chosen]
            found.append(Examples(domain, labels, samples, len(split), shares, kinds, scores))
        except UNREADABLE as error:
            problems.append(
                f"No pictures of {domain} and no class frequencies, because its data cannot be read: {error}"
            )
    return found, problems


def mixture(values: Mapping[str, Any]) -> DomainMixture:
    """The data that a configuration describes.

    Raises:
        ValueError: If it names classes or options that do not exist here, or that do not go together.
    """
    return build(DomainMixture, values, "data")


def frequencies(contents: Sequence[Content], labels: LabelSpace) -> Frequencies:
    """Share of all pixels of the masks, ignored ones included, and number of images of each class.

    Empty without a readable mask.
    """
    counted = [content.pixels for content in contents if content.pixels is not None]
    if not counted:
        return {}
    pixels = np.stack(counted)
    shares, images = pixels.sum(axis=0) / max(1, pixels.sum()), (pixels > 0).sum(axis=0)
    return {title: (float(shares[i]), int(images[i])) for i, title in enumerate(labels.classes)}


def evenly(total: int, count: int) -> list[int]:
    """Up to ``count`` indices, evenly spread over 0..total-1."""
    count = min(count, total)
    return [int((i + 0.5) * total / count) for i in range(count)]


def add_predictions(examples: Sequence[Examples], settings: Sequence[Setting], device: str) -> list[str]:
    """Let one run of every setting segment the examples; returns what could not be done."""
    problems: list[str] = []
    total = len(settings) * sum(len(example.samples) for example in examples)
    with Progress("example pictures", total) as bar:
        for setting in settings:
            missing = f"No predictions of {setting.name}"
            try:
                predictor = Predictor(SegmentationModel.load(setting.runs[0].run.folder), resize=False, device=device)
                for example in examples:
                    known = predictor.model.label_spaces.get(example.domain)
                    if known == example.labels:
                        masks = [predictor(sample.image, example.domain).mask for sample in example.samples]
                        example.predictions[setting.name] = masks
                    elif known is not None:
                        problems.append(f"{missing} for {example.domain}: it was trained on other classes.")
                    bar.advance(len(example.samples))
            except UNREADABLE as error:
                problems.append(f"{missing}: {error}")
    return problems


def example_picture(example: Examples, compared: Sequence[Setting]) -> Picture:
    """Examples with what the first run of every setting makes of them: a row an image, a column a prediction."""
    several = [f"{setting.name} is shown by {setting.runs[0].name}" for setting in compared if len(setting.runs) > 1]
    caption = (
        f"{len(example.samples)} of the {example.split_size} validation images, "
        f"{choice(example.kinds, example.scores, compared[0].name)}. Black in the truth: no "
        f"label, not scored.{' ' * bool(several)}{'; '.join(several)}{'.' * bool(several)}"
    )
    labels, samples = example.labels, example.samples
    columns = [[sample.mask for sample in samples], *example.predictions.values()]
    rows = [
        [sample.image.permute(1, 2, 0), *(labels.colorize(masks[i]) for masks in columns)]
        for i, sample in enumerate(samples)
    ]
    captions = []
    for i, sample in enumerate(samples):  # the image's id, why it was chosen, and its own mIoU by each prediction
        scores = [example.scores.get(setting, {}).get(sample.id) for setting in example.predictions]
        numbers = ["" if score is None else f"mIoU {100 * score:.1f}" for score in scores]
        captions.append([sample.id, *example.kinds[i : i + 1], *(numbers if example.kinds else [])])
    shown = [mask for masks in columns for mask in masks]
    classes = legend(shown, labels) + unlabeled_entry(shown)
    figure = picture_grid(rows, ["image", "truth", *example.predictions], classes, captions)
    return Picture(f"examples_{example.domain}", caption, figure)
