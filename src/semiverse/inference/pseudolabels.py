"""Labels that a model is sure of: for which images, from which confidence on, and the dataset that they become."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from semiverse.configuration import describe
from semiverse.data import Resolution, SegmentationDataset
from semiverse.data.images import IMAGE_EXTENSIONS, read_image
from semiverse.data.pairing import refuse_other_encoding
from semiverse.datasets import Remapped
from semiverse.files import DataProblem, write_atomically
from semiverse.inference.images import encode_mask, encoded, image_files
from semiverse.inference.journal import Entry
from semiverse.inference.predictor import Segmentation
from semiverse.labels import IGNORE, LabelSpace
from semiverse.mixture import DomainMixture
from semiverse.mixture.domain import choose_unlabeled
from semiverse.mixture.pseudolabels import DRAWN


class Source(NamedTuple):
    """An image to be labelled.

    Args:
        name: What the new dataset calls it: sub-folders, and no extension.
        path: Its file, or what its dataset takes for one.
        read: Gives its pixels, (3, H, W) uint8.
    """

    name: str
    path: Path
    read: Callable[[Path], Tensor]


def given_images(places: Sequence[Path], problems: dict[str, str], apart: Path | None = None) -> list[Source]:
    """Image files, and those in folders by their path in them.

    Args:
        places: Files and folders.
        problems: Takes what lies there and cannot be used, by its path, and why.
        apart: The folder of the results, which is not looked into.

    Raises:
        FileNotFoundError: If a place does not exist or a folder has no image.
        ValueError: If two images have one name.
    """
    sources: list[Source] = []
    for name, path in image_files(places, problems, apart):
        try:
            refuse_other_encoding(path)  # a dataset is named in lists
        except DataProblem as problem:
            problems[repr(os.fsencode(path))] = str(problem)
        else:
            sources.append(Source(name.lstrip("."), path, read_image))  # a dataset does not see hidden files
    return _distinct(sources)


def unlabeled_images(data: DomainMixture | None, name: str) -> list[Source]:
    """Training images of a domain that keep no mask, and its further images, whether its training uses them or not.

    Raises:
        FileNotFoundError: If files are missing.
        ValueError: If there is no such domain or image, or two images have one name.
    """
    if data is None:
        raise ValueError(
            "no images are given, and no run whose config.yaml says where its images are; expected one of them: name "
            "images or folders"
        )
    if name not in data.domains:
        raise ValueError(f"the data has no domain {name!r}; expected one of {', '.join(data.domains)}: name images")
    found = _without_labels(data, name, unlabeled=True)
    if not found:
        raise ValueError(
            f"domain {name}: all its training images have labels; expected some without: name images or folders"
        )
    return found


def images_without_labels(data: DomainMixture) -> dict[str, list[Source]]:
    """Of each domain that has any, the images without a mask that its training may learn from.

    Raises:
        FileNotFoundError: If files are missing.
        ValueError: If two images have one name, or no domain has any.
    """
    found = {name: _without_labels(data, name, domain.unlabeled) for name, domain in data.domains.items()}
    if not any(found.values()):
        raise ValueError(
            f"no domain of {', '.join(found)} has images without labels; expected some to label: lower "
            "data.domains.NAME.labeled, or name an unlabeled_folder"
        )
    return {name: sources for name, sources in found.items() if sources}


def _without_labels(data: DomainMixture, name: str, unlabeled: bool) -> list[Source]:
    """Images of a domain that keep no mask: of its training split, if it is asked for, and its further ones."""
    domain = data.domains[name].changed(unlabeled=unlabeled, exclude_labeled=True)
    records = choose_unlabeled(name, domain, data.labeled[name])
    read = read_image if _reads_files(domain.dataset) else domain.dataset.read_image
    return _distinct([Source(record.id, record.image, read) for record in records])


def _reads_files(dataset: SegmentationDataset) -> bool:
    """Whether its images are ordinary files, which every dataset reads alike."""
    inner = dataset.dataset if isinstance(dataset, Remapped) else dataset
    return type(inner).read_image is SegmentationDataset.read_image


def _distinct(sources: list[Source]) -> list[Source]:
    """The same images, no two of one name."""
    known: dict[str, Path] = {}
    for name, path, _ in sources:
        if name in known:
            raise ValueError(
                f"{known[name]} and {path} have one name; expected different ones, as files of the dataset are called "
                "by them: rename one, or label them apart"
            )
        known[name] = path
    return sources


BINS = 1000
EDGES = (1 - torch.linspace(1, 0, BINS + 1, dtype=torch.float64)[:-1] ** 4).float()
"""Lowest confidence of each bin, ascending from 0. The bins are equally wide in the fourth root of 1 - confidence:
0.004 at 0, but 0.00002 at 0.999. A trained network is that sure of most pixels, and equal steps would merge them."""


def given_thresholds(labels: LabelSpace, threshold: float | Mapping[str, float]) -> list[float]:
    """The threshold of each class: the same for all, or its own by its name.

    Raises:
        ValueError: If a class is not named or not known, or a threshold is no probability.
    """
    named = threshold if isinstance(threshold, Mapping) else dict.fromkeys(labels.classes, threshold)
    missing = [title for title in labels.classes if title not in named]
    unknown = [title for title in named if title not in labels.classes]
    if missing or unknown:
        parts = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"names {', '.join(unknown)}"] * bool(unknown)
        raise ValueError(
            f"threshold {' and '.join(parts)}; expected one number, or one for each of {', '.join(labels.classes)}: "
            "correct it"
        )
    for title, value in named.items():
        if not 0 <= value <= 1:
            raise ValueError(f"the threshold of {title} is {value}; expected a probability in [0, 1]: change it")
    return [float(named[title]) for title in labels.classes]


class ConfidenceHistogram:
    """Predicted pixels by class and confidence: what it takes to find thresholds without keeping any confidence.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes: int) -> None:
        self.counts = torch.zeros(classes, BINS, dtype=torch.int64)

    def add(self, mask: Tensor, confidence: Tensor) -> None:
        """Count the pixels of a prediction.

        Args:
            mask: Train ids or ``IGNORE``, which is not counted; (H, W) uint8.
            confidence: Probability of each pixel's class, (H, W) float32 in [0, 1].
        """
        predicted = mask != IGNORE
        bins = torch.bucketize(confidence[predicted], EDGES, right=True) - 1
        cells = mask[predicted].long() * BINS + bins
        self.counts += torch.bincount(cells, minlength=self.counts.numel()).view_as(self.counts)

    def thresholds(self, keep: float) -> list[float | None]:
        """From which confidence on the most confident share of the pixels of each predicted class is kept.

        As in class-balanced self-training (Zou et al., ECCV 2018, section 4.3 and algorithm 2), the threshold of class
        c is the confidence ranked at round(p N_c) among the N_c pixels predicted as c; here, the lower edge of its bin.
        So a class keeps the share p, and at most the rest of one bin more.

        Args:
            keep: The share p, in (0, 1].

        Returns:
            A threshold a class, None for classes that no pixel is predicted as.
        """
        ranks = (keep * self.counts.sum(dim=1)).round().clamp(min=1)
        at_least = self.counts.flip(1).cumsum(dim=1).flip(1)  # pixels in this bin or a higher one
        bins = (at_least >= ranks[:, None]).sum(dim=1) - 1
        return [float(EDGES[i]) if i >= 0 else None for i in bins.tolist()]


class PseudoLabelFolder:
    """Writes images and pseudo-labels, and counts.

    A pixel keeps its predicted class or becomes ``IGNORE``. This is where it differs from Zou et al. (ECCV 2018,
    section 4.2), who give it the class whose probability is largest in relation to the class's threshold.

    Args:
        folder: Where to.
        labels: Label space of the masks.
        thresholds: Least confidence of each class in [0, 1]; None keeps nothing of it.
        least: Least share of an image's pixels; an image of which less is kept, or nothing, is left out.
        link: Link to image files instead of copying them.
    """

    def __init__(
        self, folder: Path, labels: LabelSpace, thresholds: Sequence[float | None], least: float, link: bool
    ) -> None:
        self.folder, self.labels, self.thresholds, self.least, self.link = folder, labels, thresholds, least, link
        self.images: dict[str, dict[str, Any]] = {}
        self.left_out: dict[str, dict[str, Any]] = {}
        self._least_sure = torch.full((IGNORE + 1,), torch.inf)
        for i, threshold in enumerate(thresholds):
            self._least_sure[i] = torch.inf if threshold is None else threshold
        self._predicted, self._kept, self._written = torch.zeros(3, IGNORE + 1, dtype=torch.int64)

    def add(self, source: Source, image: Tensor, found: Segmentation, drawn: Tensor) -> Entry:
        """Write one image, (3, H, W) uint8, and what is kept of its prediction, unless too little is.

        Masks that were drawn, (draws, H, W), keep the same pixels.

        Returns:
            What is to be known of it, for ``take``.

        Raises:
            OSError: If a file cannot be written.
        """
        left_out = ~(found.confidence >= self._least_sure[found.mask.long()])
        mask = found.mask.masked_fill(left_out, IGNORE)
        share = int((mask != IGNORE).sum()) / mask.numel()
        written = share > 0 and share >= self.least
        entry: Entry = {"file": str(source.path), "kept_share": round(share, 6), "written": written}
        entry |= {"predicted": _sparse(_count(found.mask)), "kept": _sparse(_count(mask))}
        if written:
            self._write_image(source, image)
            write_atomically(self.folder / "masks" / f"{source.name}.png", encode_mask(mask, self.labels))
            for number, one in enumerate(drawn.masked_fill(left_out, IGNORE)):
                place = self.folder / DRAWN / str(number) / f"{source.name}.png"
                write_atomically(place, encode_mask(one, self.labels))
        return entry

    def take(self, name: str, entry: Entry) -> None:
        """Count an image that was added, by this process or by another one."""
        facts = {"file": entry["file"], "kept_share": entry["kept_share"]}
        predicted, kept = _dense(entry["predicted"]), _dense(entry["kept"])
        self._predicted += predicted
        self._kept += kept
        if not entry["written"]:
            self.left_out[name] = facts
            return
        self._written += kept
        self.images[name] = facts

    def _write_image(self, source: Source, image: Tensor) -> None:
        """Copy or link the file; what only its dataset can read, or ``Folder`` would not find, becomes a PNG."""
        path, images = source.path, self.folder / "images"
        if source.read is not read_image or path.suffix.lower() not in IMAGE_EXTENSIONS or not path.is_file():
            pixels = Image.fromarray(image.permute(1, 2, 0).numpy())
            write_atomically(images / f"{source.name}.png", encoded(pixels, "PNG"))
            return
        goal = images / f"{source.name}{path.suffix}"
        if not self.link:
            write_atomically(goal, path.read_bytes())
            return
        try:
            goal.parent.mkdir(parents=True, exist_ok=True)
            goal.unlink(missing_ok=True)  # of a call that was interrupted
            goal.symlink_to(path.resolve())
        except OSError as error:
            raise OSError(
                f"{goal} cannot be made a link ({error.strerror}); expected that it can: copy, without --link"
            ) from error

    def class_facts(self) -> dict[str, dict[str, Any]]:
        """Of every class: threshold, pixels predicted as it, the share of them kept, and its pixels in the masks."""
        facts = {}
        for i, (title, threshold) in enumerate(zip(self.labels.classes, self.thresholds, strict=True)):
            predicted, kept = int(self._predicted[i]), int(self._kept[i])
            share = round(kept / predicted, 6) if predicted else None
            facts[title] = {"threshold": threshold, "predicted": predicted, "kept_share": share}
            facts[title]["pixels"] = int(self._written[i])
        return facts

    def summary(self, configuration: str, problems: Mapping[str, str]) -> Iterator[str]:
        """What was written, a line a class; how to train from it; what was left out."""
        yield f"{'class':<25} {'threshold':>9} {'predicted':>11} {'kept':>7}"
        for title, values in self.class_facts().items():
            threshold = "-" if values["threshold"] is None else f"{values['threshold']:.6f}"
            share = "-" if values["kept_share"] is None else f"{100 * values['kept_share']:.2f}"
            yield f"{title:<25} {threshold:>9} {values['predicted']:>11} {share:>7}"
        total = len(self.images) + len(self.left_out) + len(problems)
        yield f"{len(self.images)} of {total} images written to {self.folder}; train from them with its dataset.yaml:"
        yield configuration.rstrip()
        for title, values in self.left_out.items():
            yield f"left out: {title}: {100 * values['kept_share']:.2f} % of its pixels are kept"
        for message in problems.values():
            yield f"left out: {message}"

    def configuration(self, domain: str, resolution: Resolution) -> dict[str, Any]:
        """The values by which the dataset is trained on: a domain beside the one that its images are like."""
        arguments = {
            "root": str(self.folder.absolute()),
            "classes": list(self.labels.classes),
            "masks": "palette",
            "palette": [list(color) for color in self.labels.palette],
            "name": self.labels.name,
        }
        values = {"dataset": {"class_path": "Folder", "init_args": arguments}, "train": "all", "val": "all"}
        if resolution != Resolution():
            values["resolution"] = describe(resolution)
        return {"data": {"domains": {f"{domain}_pseudo": values}}}


def _sparse(counts: Tensor) -> dict[str, int]:
    """Counts that are not 0, as JSON keeps them."""
    return {str(value): int(counts[value]) for value in counts.nonzero().flatten().tolist()}


def _dense(counts: Mapping[str, int]) -> Tensor:
    """Counts by value, (256,)."""
    found = torch.zeros(IGNORE + 1, dtype=torch.int64)
    for value, count in counts.items():
        found[int(value)] = count
    return found


def _count(mask: Tensor) -> Tensor:
    """Pixels by value, (256,)."""
    return torch.bincount(mask.flatten(), minlength=IGNORE + 1)
