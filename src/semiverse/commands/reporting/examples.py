"""Example pictures: validation images with their masks and what runs make of them."""

from argparse import ArgumentError
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from jsonargparse import ArgumentParser
from torch import Tensor
from tqdm import tqdm

from semiverse.commands.reporting.choices import ImageScores, choose, image_scores
from semiverse.commands.reporting.frequencies import Frequencies, frequencies
from semiverse.commands.reporting.runs import RunFacts, Setting
from semiverse.data import Sample
from semiverse.labels import LabelSpace
from semiverse.mixture import DomainMixture
from semiverse.models import SegmentationModel
from semiverse.predict import Predictor

UNREADABLE = (ArgumentError, ValueError, OSError)
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
    """Examples of every domain whose data is there, without predictions yet; and what is not there."""
    sources: dict[str, RunFacts] = {}
    for run in [run for setting in settings for run in setting.runs]:
        for domain in run.domains:
            sources.setdefault(domain, run)
    found: list[Examples] = []
    problems: list[str] = []
    for domain, run in sources.items():
        try:
            data = mixture(run.config["data"])
            scores = image_scores(settings, domain, data.domains[domain].val)
            found.append(_examples(data, domain, count, scores, settings[0].name))
        except UNREADABLE as error:
            problems.append(
                f"No pictures of {domain} and no class frequencies, because its data cannot be read: {error}"
            )
    return found, problems


def mixture(values: Mapping[str, Any]) -> DomainMixture:
    """The data that a configuration describes.

    Raises:
        ArgumentError: If it names classes or options that do not exist here.
        ValueError: If they do not go together.
    """
    import_module("semiverse.datasets")  # so that class names are known
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(DomainMixture, "data", sub_configs=True)
    parsed = parser.parse_object({"data": deepcopy(values)})  # which changes what it is given
    data: DomainMixture = parser.instantiate(parsed).data
    return data


def _examples(data: DomainMixture, domain: str, count: int, scores: ImageScores, baseline: str) -> Examples:
    """Examples of a domain: the best, worst and most improved where its images were scored, else evenly chosen."""
    split, labels = data.evaluation(domain), data.label_spaces[domain]
    places = {record.id: i for i, record in enumerate(split.records)}
    chosen = choose(scores, baseline, list(places), count)
    samples = [split[places[title]] for title, _ in chosen] or [split[i] for i in evenly(len(split), count)]
    contents = data.contents(domain, data.domains[domain].val)
    kinds = [kind for _, kind in chosen]
    return Examples(domain, labels, samples, len(split), frequencies(contents, labels), kinds, scores)


def evenly(total: int, count: int) -> list[int]:
    """Up to ``count`` indices, evenly spread over 0..total-1."""
    count = min(count, total)
    return [int((i + 0.5) * total / count) for i in range(count)]


def add_predictions(examples: Sequence[Examples], settings: Sequence[Setting], device: str) -> list[str]:
    """Let one run of every setting segment the examples; returns what could not be done."""
    problems: list[str] = []
    total = len(settings) * sum(len(example.samples) for example in examples)
    with tqdm(total=total, desc="example pictures", delay=2, leave=False) as bar:
        for setting in settings:
            try:
                problems += _predict(examples, setting, device, bar)
            except UNREADABLE as error:
                problems.append(f"No predictions of {setting.name}: {error}")
    return problems


def _predict(examples: Sequence[Examples], setting: Setting, device: str, bar: "tqdm[Any]") -> list[str]:
    """Add the predictions of a setting; returns where its classes are others than those of the examples."""
    model = SegmentationModel.load(setting.runs[0].run.folder)
    predictor = Predictor(model, resize=False, device=device)
    problems = []
    for example in examples:
        known = model.label_spaces.get(example.domain)
        if known == example.labels:
            masks = [predictor(sample.image, example.domain).mask for sample in example.samples]
            example.predictions[setting.name] = masks
        elif known is not None:
            problems.append(f"No predictions of {setting.name} for {example.domain}: it was trained on other classes.")
        bar.update(len(example.samples))
    return problems
