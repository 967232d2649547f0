"""A model as a graph of tensors alone: what is exported."""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semiverse.inference.predictor import Question
from semiverse.labels import IGNORE
from semiverse.models import LabelEmbeddings, SegmentationModel, fold_batch_norm, select_group
from semiverse.upsampling import border_weights


class Inside(NamedTuple):
    """What happens inside a graph.

    Args:
        normalize: Images come as uint8 in 0..255 and are normalised; else as float32, normalised already.
        pad: Images of any size are padded below and on the right to multiples of the network's stride, with the mean
            colour, and the result is cut; else sizes have to be such multiples.
        argmax: The result is a mask, (N, H, W) uint8, ``IGNORE`` where no class is predicted; else logits, (N, C, H, W)
            float32.
        via: By the decoder, or by the most similar label embedding.
    """

    normalize: bool = True
    pad: bool = True
    argmax: bool = False
    via: str = "decoder"


AS_FILES = Inside()


class Graph(nn.Module):
    """What a model says about images, for one question or several; batch norm is folded in.

    Args:
        model: Left as it is.
        questions: What is asked of each image.
        inside: What happens inside.

    Attributes:
        stride: Height and width of images are multiples of it, inside the graph.
        outputs: Names of the results.
    """

    def __init__(self, model: SegmentationModel, questions: Sequence[Question], inside: Inside = AS_FILES) -> None:
        super().__init__()
        self.inside, self.questions = inside, list(questions)
        self.model = copy.deepcopy(model).cpu().eval().requires_grad_(False)
        first = self.model.network(questions[0].domain)
        self.stride = max(cast(Any, first.encoder).strides)
        kind = "mask" if inside.argmax else "logits"
        several = len({question.domain for question in questions}) > 1 < len({one.labels for one in questions})
        names = ["_".join(dict.fromkeys(one)) if several else one.labels for one in questions]
        self.outputs = [kind] if len(questions) == 1 else [f"{kind}_{name}" for name in names]
        self.networks = nn.ModuleDict()
        self._network_of: dict[str, str] = {}
        for domain in dict.fromkeys(question.domain for question in questions):
            own, group = self.model.network(domain), self.model.group(domain)
            names_of = {id(network): name for name, network in self.model.networks.items()}
            key = self._network_of[domain] = f"{names_of[id(own)]}_{group}"
            if key not in self.networks:
                network = copy.deepcopy(own)
                select_group(network, group)
                fold_batch_norm(network, torch.zeros(1, 3, 64, 64))
                self.networks[key] = _with_plain_padding(network)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images, (N, 3, H, W), as ``inside`` says → an answer to each question."""
        height, width, stride = images.shape[2], images.shape[3], self.stride
        seen = self.model.normalized(images) if self.inside.normalize else images
        rows, columns = height, width
        if self.inside.pad:
            rows, columns = (height + stride - 1) // stride * stride, (width + stride - 1) // stride * stride
            seen = F.pad(seen, (0, columns - width, 0, rows - height))
        features = {key: network(seen) for key, network in self.networks.items()}
        answers = []
        for domain, labels in self.questions:
            scores = self._scores(features[self._network_of[domain]], labels)
            pixels = F.interpolate(scores, (rows, columns), mode="bilinear", align_corners=self._aligned)
            if self.model.upsampling.zero_border:
                down, across = (
                    border_weights(cells, count, scores)
                    for cells, count in zip(scores.shape[2:], (rows, columns), strict=True)
                )
                pixels = pixels * down[:, None] * across
            if self.inside.pad:  # copied, as a view would make the program depend on whether anything was padded
                pixels = pixels.index_select(2, torch.arange(height)).index_select(3, torch.arange(width))
            answers.append(self._mask(pixels, labels) if self.inside.argmax else pixels)
        return tuple(answers)

    @property
    def _aligned(self) -> bool:
        return self.model.upsampling.align_corners

    def _scores(self, features: Tensor, labels: str) -> Tensor:
        if self.inside.via == "decoder":
            return self.model.classify(features, labels).values
        embeddings = cast(LabelEmbeddings, self.model.label_embeddings)
        return embeddings.logits(features, self.model.space_key(labels)).values

    def _mask(self, pixels: Tensor, labels: str) -> Tensor:
        best = pixels.argmax(dim=1)
        classes = len(self.model.label_spaces[labels])
        return torch.where(best < classes, best, IGNORE).to(torch.uint8)


class _PlainPadding(nn.Module):
    """A convolution with "same" padding of timm, for maps whose sides are multiples of its stride.

    Its padding is then always the same, which a graph for images of any size can hold as numbers.
    """

    def __init__(self, source: nn.Conv2d) -> None:
        super().__init__()
        self.source = source
        totals = [
            max(0, (kernel - 1) * dilation - (stride - 1))
            for kernel, dilation, stride in zip(source.kernel_size, source.dilation, source.stride, strict=True)
        ]
        (above, below), (before, behind) = ((total // 2, total - total // 2) for total in totals)
        self.padding = (before, behind, above, below)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) → (N, D, h / stride, w / stride)."""
        own = self.source
        return F.conv2d(F.pad(x, self.padding), own.weight, own.bias, own.stride, 0, own.dilation, own.groups)


def _with_plain_padding(module: nn.Module) -> nn.Module:
    """Replace convolutions with "same" padding of timm inside a module, in place."""
    for name, child in list(module.named_children()):
        same = type(child).__name__ == "Conv2dSame" or getattr(child, "same", False)
        if same and isinstance(child, nn.Conv2d):
            setattr(module, name, _PlainPadding(child))
        else:
            _with_plain_padding(child)
    return module
