"""Which images are shown: the best, the worst and the most improved by their own mIoU."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

from semiverse.configuration.build import build
from semiverse.data import Contents, Sample
from semiverse.inference.pictures import overlay
from semiverse.inference.predictor import Predictor
from semiverse.labels import IGNORE, LabelSpace
from semiverse.mixture import DomainMixture
from semiverse.models import SegmentationModel
from semiverse.progress import Progress
from semiverse.reporting.figures import Picture, legend, picture_grid, selected, unlabeled_entry
from semiverse.reporting.runs import RunFacts
from semiverse.reporting.scores import Frequencies
from semiverse.reporting.settings import Setting
from semiverse.reporting.tables import in_words

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
        predictions: Masks (H, W) of every sample, by name of the setting or model.
        seen_as: As images of which domain those see them that do not know theirs.
    """

    domain: str
    labels: LabelSpace
    samples: list[Sample]
    split_size: int
    frequencies: Frequencies
    kinds: list[str] = field(default_factory=list)
    scores: ImageScores = field(default_factory=dict)
    predictions: dict[str, list[Tensor]] = field(default_factory=dict)
    seen_as: dict[str, str] = field(default_factory=dict)

    @property
    def labelled(self) -> bool:
        """Whether there is a truth to show."""
        return any(bool((sample.mask != IGNORE).any()) for sample in self.samples)


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
            data = mixture(run)
            if domain not in data.validated:
                continue
            split, labels, name = data.evaluation(domain), data.label_spaces[domain], data.validated[domain]
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


def mixture(run: RunFacts) -> DomainMixture:
    """The data of a run, divided as it was when the run began.

    Raises:
        ValueError: If it names classes or options that do not exist here, or that do not go together.
    """
    data: DomainMixture = build(DomainMixture, run.config["data"], "data")
    run.run.restore_held_out(data)
    return data


def frequencies(contents: Contents, labels: LabelSpace) -> Frequencies:
    """Share of all pixels of the masks, ignored ones included, and number of images of each class.

    Empty without a readable mask.
    """
    pixels = contents.pixels[contents.counted]
    if not len(pixels):
        return {}
    shares, images = pixels.sum(axis=0) / max(1, pixels.sum()), (pixels > 0).sum(axis=0)
    return {title: (float(shares[i]), int(images[i])) for i, title in enumerate(labels.classes)}


def evenly(total: int, count: int) -> list[int]:
    """Up to ``count`` indices, evenly spread over 0..total-1."""
    count = min(count, total)
    return [int((i + 0.5) * total / count) for i in range(count)]


def add_predictions(
    examples: Sequence[Examples], models: Mapping[str, Path], device: str, seen_as: Sequence[str] = ()
) -> list[str]:
    """Let models segment the examples; returns what could not be done.

    Args:
        examples: To be segmented.
        models: Folders of models, or runs, by the names that they are shown under.
        device: Where to compute.
        seen_as: Domains that the images may be like. A model that does not know the domain of an example takes it for
            one of the first of these that it knows; none: it shows nothing.
    """
    problems: list[str] = []
    known: set[str] = set()
    with Progress("example pictures", len(models) * sum(len(example.samples) for example in examples)) as bar:
        for name, folder in models.items():
            missing = f"No predictions of {name}"
            try:
                predictor = Predictor(SegmentationModel.load(folder), resize=False, device=device)
                spaces = predictor.model.label_spaces
                known |= {*spaces}
                for example in examples:
                    domain = next((one for one in (example.domain, *seen_as) if one in spaces), None)
                    if domain is not None and spaces[domain].classes == example.labels.classes:
                        masks = [predictor(sample.image, domain).mask for sample in example.samples]
                        example.predictions[name] = masks
                        example.seen_as |= {name: domain} if domain != example.domain else {}
                    elif domain is not None:
                        problems.append(f"{missing} for {example.domain}: it was trained on other classes.")
                    bar.advance(len(example.samples))
            except UNREADABLE as error:
                problems.append(f"{missing}: {error}")
    strange = [domain for domain in seen_as if domain not in known]
    if strange:
        listed = ", ".join(sorted(known))
        problems.append(f"No model knows {', '.join(strange)}; expected one of {listed}: correct --as.")
    return problems


def example_picture(
    example: Examples, compared: Sequence[Setting], classes: Collection[str] | None = None
) -> list[Picture]:
    """Examples with what models make of them: a row an image, a column a prediction, and one of truths that there are.

    Args:
        example: What is shown.
        compared: All settings, each of which is shown by its first run.
        classes: Those that are shown alone, over pale images; None: all. Without one of them there is no picture.
    """
    labels, samples = example.labels, example.samples
    titles = selected(classes, example.domain, labels.classes)
    if not titles or not samples:
        return []
    truths = [labels.only(sample.mask, titles) for sample in samples]
    predictions = [[labels.only(mask, titles) for mask in masks] for masks in example.predictions.values()]
    columns = [truths, *predictions] if example.labelled else predictions
    rows = [
        [sample.image.permute(1, 2, 0), *(_shown(sample.image, masks[i], labels, classes) for masks in columns)]
        for i, sample in enumerate(samples)
    ]
    captions = []
    for i, sample in enumerate(samples):  # the image's id, why it was chosen, and its own mIoU by each prediction
        scores = [example.scores.get(name, {}).get(sample.id) for name in example.predictions]
        numbers = ["" if score is None else f"mIoU {100 * score:.1f}" for score in scores]
        captions.append([sample.id, *example.kinds[i : i + 1], *(numbers if example.kinds else [])])
    shown = [mask for masks in columns for mask in masks]
    entries = legend(shown, labels) + (unlabeled_entry(shown) if classes is None else [])
    headings = ["image", *["truth"] * example.labelled, *example.predictions]
    figure = picture_grid(rows, headings, entries, captions)
    return [Picture(f"examples_{example.domain}", _caption(example, compared, titles, classes), figure)]


def _shown(image: Tensor, mask: Tensor, labels: LabelSpace, classes: Collection[str] | None) -> Tensor:
    """A mask in colours, (H, W, 3) uint8: by itself, or over the pale image where only some classes are shown."""
    if classes is None:
        return labels.colorize(mask)
    pale = (128 + image.float().mean(dim=0) / 2).to(torch.uint8).expand(3, -1, -1)
    return overlay(pale, mask, labels, strength=0.8).permute(1, 2, 0)


def _caption(
    example: Examples, compared: Sequence[Setting], titles: Sequence[str], classes: Collection[str] | None
) -> str:
    """What an example picture shows."""
    chosen = choice(example.kinds, example.scores, compared[0].name)
    sentences = [f"{len(example.samples)} of the {example.split_size} validation images, {chosen}."]
    if classes is not None:
        sentences.append(f"Only {in_words(titles)} {'is' if len(titles) == 1 else 'are'} shown.")
    elif example.labelled:
        sentences.append("Black in the truth: no label, not scored.")
    for domain in dict.fromkeys(example.seen_as.values()):
        names = [name for name, other in example.seen_as.items() if other == domain]
        sentences.append(f"{in_words(names)} take{'s' * (len(names) == 1)} them for images of {domain}.")
    several = [f"{setting.name} is shown by {setting.runs[0].name}" for setting in compared if len(setting.runs) > 1]
    return " ".join(sentences + [f"{'; '.join(several)}."] * bool(several))
