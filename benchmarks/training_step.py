"""A step of universal training, DRN-D-22, two domains, 2 labelled and 2 unlabelled images of 256 x 256 pixels each.

The reference is the published order of operations in float32: every image through both decoders and their upsampling,
and for unlabelled images a 128-channel embedding map at full resolution. Ours is ``Universal`` in bfloat16 with
channels last.
"""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.measure import Goal, compare
from semiverse.data import Sample
from semiverse.labels import LabelSpace
from semiverse.methods import Universal
from semiverse.mixture import TrainBatch
from semiverse.models import ModelConfig, SegmentationModel

SPACES = {
    "first": LabelSpace("nineteen", tuple(f"class {i}" for i in range(19))),
    "second": LabelSpace("eleven", tuple(f"class {i}" for i in range(11))),
}
IMAGES, SIZE, STRIDE = 2, (256, 256), 8


class _Data:
    """What ``Universal`` asks its mixture for."""

    batch_size = IMAGES


def _batch() -> TrainBatch:
    def sample(classes: int) -> Sample:
        images = torch.randint(0, 256, (IMAGES, 3, *SIZE), dtype=torch.uint8)
        masks = torch.randint(0, classes, (IMAGES, SIZE[0] // 32, SIZE[1] // 32), dtype=torch.uint8)
        return Sample(images, masks.repeat_interleave(32, 1).repeat_interleave(32, 2), "")

    labeled = {name: sample(len(space)) for name, space in SPACES.items()}
    return TrainBatch(labeled, {name: sample(len(space)) for name, space in SPACES.items()})


def _upsample(maps: Tensor) -> Tensor:
    """The frozen transposed convolution of dilated residual networks: x8, one channel at a time."""
    ramp = torch.tensor([1, 3, 5, 7, 9, 11, 13, 15, 15, 13, 11, 9, 7, 5, 3, 1]) / 16
    kernel = (ramp[:, None] * ramp[None]).expand(maps.shape[1], 1, 16, 16)
    return F.conv_transpose2d(maps, kernel, stride=STRIDE, padding=4, groups=maps.shape[1])


def _published_terms(model: SegmentationModel, batch: TrainBatch) -> Any:
    embeddings = model.label_embeddings
    for domain, sample in batch.labeled.items():
        features = model.features(sample.image, domain)
        both = {name: _upsample(model.classify(features, name).values) for name in SPACES}
        yield F.cross_entropy(both[domain], sample.mask.long(), ignore_index=255)
    for domain, sample in batch.unlabeled.items():
        features = model.features(sample.image, domain)
        for name in SPACES:
            _upsample(model.classify(features, name).values)
        pixels = _upsample(embeddings.projection(features))
        loss = pixels.new_zeros(())
        for name in SPACES:
            scores = F.conv2d(pixels, embeddings.rows(name)[:, :, None, None])
            loss = loss - (scores.softmax(1) * scores.log_softmax(1)).sum(1).mean()
        yield loss


def run() -> dict[str, Any]:
    torch.manual_seed(0)
    batch = _batch()
    model = SegmentationModel(ModelConfig("drn_d_22", zero_border=True), SPACES)
    method = Universal(model, anchor=0.0, warmup=(0.0, 0.0))
    method.data = _Data()  # type: ignore[assignment]
    published = copy.deepcopy(method.model)
    method.model.to(memory_format=torch.channels_last)

    def step(model: nn.Module, terms: Any) -> None:
        optimizer.param_groups[0]["params"] = list(model.parameters())
        optimizer.zero_grad()
        for term in terms:
            term.backward()
        optimizer.step()

    optimizer = torch.optim.SGD(method.parameters(), 1e-3, momentum=0.9)

    def reference() -> None:
        step(published, _published_terms(published, batch))

    def ours() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            step(method.model, method.terms(batch))

    return compare(reference, ours, rounds=4, goal=Goal(time=2.1, memory=2.5))
