"""Latent classes of runs: what occurred together in training and in validation images, and masks of examples."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor

from semiverse.commands.reporting.examples import UNREADABLE, Examples, mixture
from semiverse.commands.reporting.runs import Setting
from semiverse.labels import LabelSpace
from semiverse.losses import co_occurrence
from semiverse.models import SegmentationModel
from semiverse.models.latent_branch import LatentBranch
from semiverse.predict import Predictor
from semiverse.upsampling import argmax


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
        return LabelSpace("latent", tuple(f"latent {i}" for i in range(next(iter(self.counts.values())).shape[1])))


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
        if "latent_classes" not in setting.runs[0].config["method"].get("init_args", {}):
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
            latent.masks = [_latent_mask(model, sample.image, example.domain) for sample in example.samples]
            if validation:
                latent.counts["validation"] = _validated(model, setting, example.domain)
    return found


@torch.inference_mode()
def _latent_logits(model: SegmentationModel, image: Tensor, domain: str) -> Tensor:
    """(1, L, h, w) for an image, (3, H, W)."""
    features = model.features(image[None].to(model.mean.device), domain)
    return cast(LatentBranch, model.latent_branch).logits(features, model.space_key(domain))


def _latent_mask(model: SegmentationModel, image: Tensor, domain: str) -> Tensor:
    logits = _latent_logits(model, image, domain)
    return argmax(logits, (image.shape[1], image.shape[2]), model.config.align_corners)[0].cpu()


def _validated(model: SegmentationModel, setting: Setting, domain: str) -> Tensor:
    """Sum over the validation images of masks times S_l, (C, L)."""
    samples, corners = mixture(setting.runs[0].config["data"]).evaluation(domain), model.config.align_corners
    total = torch.zeros(())
    for i in range(len(samples)):
        logits = _latent_logits(model, samples[i].image, domain).cpu()
        total = total + co_occurrence(logits, samples[i].mask[None], len(model.label_spaces[domain]), corners)
    return total
