"""Everything that ``evaluate`` finds out beyond scores, image by image and domain by domain."""

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from semiverse.data import Sample
from semiverse.embeddings.estimate import ClassSums
from semiverse.evaluation.boundary import boundary_counts, boundary_iou, boundary_width
from semiverse.evaluation.calibration import BINS, calibration, calibration_sums
from semiverse.evaluation.confusion import confusion, miou
from semiverse.evaluation.features import FeatureSample, similarity
from semiverse.evaluation.score import by_class, counts, number
from semiverse.inference.bands import Bands
from semiverse.inference.predictor import Predictor, Segmentation
from semiverse.upsampling import ScoreMap, argmax


class ObservedPredictor(Predictor):
    """A predictor that keeps what it saw in the last image: one pass through the network answers all questions.

    Attributes:
        features: What the heads saw of the last image, (1, D, h, w), put together from windows.
        scores: Scores of the classes of every domain of the model, (1, C, h, w) each. With separate networks, those of
            another domain are its own network's.
    """

    features: Tensor
    scores: dict[str, Tensor]
    _channels: list[int]

    def _bands(self, images: Tensor, domain: str, asked: Sequence[str]) -> Bands:
        maps = torch.cat(list(self._rows_of_windows(images, domain, asked)), dim=2)
        self.features, *scores = torch.split(maps, self._channels, dim=1)
        self.scores = dict(zip(self.model.label_spaces, scores, strict=True))
        (labels,) = asked
        return Bands.of(ScoreMap(self.scores[labels], self.model.upsampling))

    def _scores_of_piece(self, images: Tensor, domain: str, asked: Sequence[str]) -> Tensor:  # noqa: ARG002 - all are
        features = self.networks.features(images.to(self.device), domain)
        maps = [features]
        for other in self.model.label_spaces:
            own_network = self.model.config.separate and other != domain
            seen = self.networks.features(images.to(self.device), other) if own_network else features
            maps.append(self._classified(seen, other))
        self._channels = [part.shape[1] for part in maps]
        return torch.cat(maps, dim=1)


class Details:
    """The details of several domains.

    Args:
        predictor: What the images go through.
    """

    def __init__(self, predictor: ObservedPredictor) -> None:
        self.predictor = predictor
        self.domains: dict[str, DomainDetails] = {}

    def add(self, domain: str, sample: Sample, found: Segmentation) -> None:
        """Count the image that went through the predictor last.

        Args:
            domain: The image's domain.
            sample: The image and its mask.
            found: What the predictor said.
        """
        if domain not in self.domains:
            self.domains[domain] = DomainDetails(self.predictor, domain)
        self.domains[domain].add(sample, found)

    def of(self, domain: str) -> dict[str, Any]:
        """What was found of a domain."""
        return self.domains[domain].results()

    def across(self) -> dict[str, Any]:
        """How alike the classes of different domains are; nothing to compare where networks are separate."""
        centroids = {
            (name, title): mean
            for name, one in self.domains.items()
            for title, mean, pixels in zip(one.labels.classes, one.centroids.means(), one.centroids.pixels, strict=True)
            if pixels and not self.predictor.model.config.separate
        }
        pairs, same_name = similarity(centroids)
        return {
            "centroid_similarity": {
                "/".join(one): {"/".join(other): number(value) for other, value in others.items()}
                for one, others in pairs.items()
            },
            "same_name_similarity": number(same_name),
        }

    def features(self) -> bytes:
        """The sampled features of all domains as an npz file without pickles: features, domains, classes."""
        samples = {name: one.sample for name, one in self.domains.items()}
        titles = {name: np.array(one.labels.classes) for name, one in self.domains.items()}
        buffer = io.BytesIO()
        np.savez(
            buffer,
            features=torch.cat([sample.vectors for sample in samples.values()]).numpy(),
            domains=np.repeat(np.array(list(samples)), [len(sample.classes) for sample in samples.values()]),
            classes=np.concatenate([titles[name][sample.classes.numpy()] for name, sample in samples.items()]),
        )
        return buffer.getvalue()


class DomainDetails:
    """The details of one domain.

    Args:
        predictor: What the images go through.
        domain: Their domain.
    """

    def __init__(self, predictor: ObservedPredictor, domain: str) -> None:
        self.predictor = predictor
        spaces = predictor.model.label_spaces
        self.labels = spaces[domain]
        classes, channels = len(self.labels), predictor.model.feature_channels
        self.image_mious: list[tuple[str, float]] = []
        self.boundary = torch.zeros(2, classes, dtype=torch.int64)
        self.boundary_widths: list[int] = []
        self.calibration = torch.zeros(3, BINS, dtype=torch.float64)
        self.seen_as = {
            other: torch.zeros(classes, len(space), dtype=torch.int64)
            for other, space in spaces.items()
            if other != domain
        }
        self.centroids = ClassSums(channels, classes, predictor.model.upsampling)
        self.sample = FeatureSample(channels, classes)

    @torch.inference_mode()
    def add(self, sample: Sample, found: Segmentation) -> None:
        """Count the image that went through the predictor last."""
        classes, mask = len(self.labels), sample.mask
        self.image_mious.append((sample.id, miou(confusion(found.mask, mask, classes))))
        width = boundary_width(*mask.shape)
        self.boundary_widths.append(width)
        self.boundary += boundary_counts(found.mask, mask, classes, width)
        self.calibration += calibration_sums(found.mask, found.confidence, mask, classes)
        for other, matrix in self.seen_as.items():
            matrix += self._seen_as(other, mask)
        self.centroids.add(self.predictor.features, mask[None])
        self.sample.add(self.predictor.features, mask)

    def _seen_as(self, other: str, mask: Tensor) -> Tensor:
        """Pixels of the last image by true class and by class of another domain, (C, C of the other) int64."""
        scores = ScoreMap(self.predictor.scores[other], self.predictor.model.upsampling)
        said = argmax(scores, (mask.shape[0], mask.shape[1]))[0].cpu()
        rows, columns = self.seen_as[other].shape
        return confusion(said, mask, max(rows, columns))[:rows, :columns]

    def results(self) -> dict[str, Any]:
        """What was found, as plain values."""
        of_images = [(image, value) for image, value in self.image_mious if not math.isnan(value)]
        boundary = boundary_iou(self.boundary)
        calibrated = calibration(self.calibration)
        bins = zip(
            calibrated.confidence.tolist(), calibrated.accuracy.tolist(), calibrated.pixels.tolist(), strict=True
        )
        classes, spaces = self.labels.classes, self.predictor.model.label_spaces
        return {
            "image_miou": number(sum(value for _, value in of_images) / len(of_images)),
            "image_mious": {image: number(value) for image, value in of_images},
            "boundary_iou": by_class(classes, boundary.tolist()),
            "boundary_miou": number(float(boundary.nanmean())),
            "boundary_width": number(sum(self.boundary_widths) / len(self.boundary_widths)),
            "calibration": {
                "error": number(calibrated.error),
                "bins": [
                    {"confidence": number(confidence), "accuracy": number(accuracy), "pixels": pixels}
                    for confidence, accuracy, pixels in bins
                ],
            },
            "seen_as": {
                other: counts(matrix, classes, spaces[other].classes) for other, matrix in self.seen_as.items()
            },
        }
