"""Terms of latent classes on crops of 321 x 321, 21 classes and 20 latent ones, forward and backward to the logits.

The reference pairs every class with every latent class at every pixel, a tensor (N, C, L, H, W), and leaves gradients
to autograd. "whole_maps" is a second, milder one: matrix products as ours, but on whole maps of probabilities. Labels
are random, so the gradient of the conditional entropy is small and known to four digits only in single precision.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measure import Goal, compare
from semiverse.labels import IGNORE
from semiverse.losses import conditional_entropy, consistency, latent_given_class
from semiverse.upsampling import ScoreMap, Upsampling

IMAGES, CLASSES, LATENTS, CELLS, PIXELS = 2, 21, 20, 41, 321
SIZE = (PIXELS, PIXELS)
ALIGNED = Upsampling(align_corners=True)

Term = Callable[[], Tensor]


def run() -> dict[str, Any]:
    torch.manual_seed(0)
    semantic = torch.randn(IMAGES, CLASSES, CELLS, CELLS, requires_grad=True)
    latent = torch.randn(IMAGES, LATENTS, CELLS, CELLS, requires_grad=True)
    mask = torch.randint(0, CLASSES, (IMAGES, *SIZE))
    mask[torch.rand(mask.shape) < 0.1] = IGNORE
    mapping = latent_given_class(torch.rand(CLASSES, LATENTS))
    return {
        "conditional_entropy": _compared(
            latent,
            lambda: conditional_entropy(ScoreMap(latent, ALIGNED), mask, CLASSES)[0],
            lambda: _entropy_of(_joint_of_pairs(_probabilities(latent), mask)),
            lambda: _entropy_of(_joint_of_products(_probabilities(latent), mask)),
        ),
        "consistency": _compared(
            semantic,
            lambda: consistency(ScoreMap(semantic, ALIGNED), ScoreMap(latent, ALIGNED), mapping, SIZE),
            lambda: _consistency(_implied_by_pairs(_probabilities(semantic), mapping), _probabilities(latent)),
            lambda: _consistency(_implied_by_products(_probabilities(semantic), mapping), _probabilities(latent)),
        ),
    }


def _compared(logits: Tensor, ours: Term, pairs: Term, products: Term) -> dict[str, Any]:
    def step(term: Term) -> list[Tensor]:
        loss = term()
        return [loss.detach(), *torch.autograd.grad(loss, logits)]

    differences = [
        float((mine - slow).norm() / slow.norm()) for mine, slow in zip(step(ours), step(pairs), strict=True)
    ]
    return {
        "pairs": compare(lambda: step(pairs), lambda: step(ours), rounds=3, goal=Goal(time=4, memory=10)),
        "whole_maps": compare(lambda: step(products), lambda: step(ours), rounds=5, goal=Goal(time=1, memory=2)),
        "relative_difference": dict(zip(("loss", "gradient"), differences, strict=True)),
    }


def _probabilities(logits: Tensor) -> Tensor:
    return F.interpolate(logits, size=SIZE, mode="bilinear", align_corners=True).softmax(dim=1)


def _labels(mask: Tensor) -> Tensor:
    return (mask[:, None] == torch.arange(CLASSES)[:, None, None]).float()


def _joint_of_pairs(q: Tensor, mask: Tensor) -> Tensor:
    return (_labels(mask)[:, :, None] * q[:, None]).sum(dim=(0, 3, 4)) / (mask != IGNORE).sum()


def _joint_of_products(q: Tensor, mask: Tensor) -> Tensor:
    return torch.einsum("nchw,nlhw->cl", _labels(mask), q) / (mask != IGNORE).sum()


def _entropy_of(joint: Tensor) -> Tensor:
    return -(joint * (joint / joint.sum(dim=0)).log()).sum()


def _implied_by_pairs(p: Tensor, mapping: Tensor) -> Tensor:
    return (mapping[:, :, None, None] * p[:, :, None]).sum(dim=1)


def _implied_by_products(p: Tensor, mapping: Tensor) -> Tensor:
    return torch.einsum("cl,nchw->nlhw", mapping, p)


def _consistency(implied: Tensor, q: Tensor) -> Tensor:
    return -(q.detach() * implied.clamp(min=1e-8).log()).sum(dim=1).mean()
