"""Whether an exported file computes what the model does."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from semiverse.deployment.exporting import needs
from semiverse.deployment.graph import Graph

TOLERANCE = 1e-4
"""Largest difference of logits, of those above 1 as a share of the largest."""
AGREEMENT = 0.999
"""Least share of pixels with the same class."""

Runtime = Callable[[Tensor], list[Tensor]]


class Parity(NamedTuple):
    """How far a file is from its model, over all sizes and results.

    Args:
        difference: Largest difference of logits, as ``TOLERANCE`` says; 0 of masks.
        agreement: Least share of pixels with the same class.
        sizes: (N, H, W) of the images that were compared.
    """

    difference: float
    agreement: float
    sizes: tuple[tuple[int, int, int], ...]

    @property
    def holds(self) -> bool:
        """Whether it is near enough."""
        return self.difference <= TOLERANCE and self.agreement >= AGREEMENT

    def __str__(self) -> str:
        sizes = ", ".join("x".join(map(str, size)) for size in self.sizes)
        return f"logits differ by {self.difference:.1e} at most, {100 * self.agreement:.3f} % of pixels agree ({sizes})"


def sizes_to_try(graph: Graph) -> tuple[tuple[int, int, int], ...]:
    """Two sizes, (N, H, W), other than the exported one."""
    stride = graph.stride
    return ((1, 4 * stride, 2 * stride), (3, 2 * stride - 3, 5 * stride + 5)) if graph.inside.pad else (
        (1, 4 * stride, 2 * stride), (3, 2 * stride, 5 * stride)
    )  # fmt: skip


def compare(graph: Graph, runtime: Runtime) -> Parity:
    """Compare a file with its graph on images of other sizes than the exported one.

    Args:
        graph: What was exported.
        runtime: Computes the file: images, as it takes them, to results.
    """
    difference, agreement, draw = 0.0, 1.0, torch.Generator().manual_seed(0)
    for count, height, width in sizes_to_try(graph):
        coarse = torch.rand(count, 3, height // 8 + 2, width // 8 + 2, generator=draw)
        images = F.interpolate(coarse, (height, width), mode="bilinear")
        images = (images * 255).to(torch.uint8) if graph.inside.normalize else 4 * images - 2
        with torch.inference_mode():
            expected = graph(images)
        for ours, theirs in zip(expected, runtime(images), strict=True):
            if ours.shape != theirs.shape:
                return Parity(float("inf"), 0.0, sizes_to_try(graph))
            classes = (ours, theirs) if graph.inside.argmax else (ours.argmax(dim=1), theirs.argmax(dim=1))
            agreement = min(agreement, float((classes[0] == classes[1]).float().mean()))
            if not graph.inside.argmax:
                finite = ours.abs() < 1e30  # classes without label rows
                largest = max(1.0, float(ours[finite].abs().max()))
                difference = max(difference, float((ours - theirs)[finite].abs().max()) / largest)
    return Parity(difference, agreement, sizes_to_try(graph))


def onnx_runtime(path: Path) -> Runtime:
    """An ONNX file computed by onnxruntime on the processor.

    Raises:
        ModuleNotFoundError: If it is not installed.
    """
    needs("onnxruntime")
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> list[Tensor]:
        results: Sequence[np.ndarray] = session.run(None, {"images": images.numpy()})
        return [torch.from_numpy(result) for result in results]

    return run


def program_runtime(path: Path) -> Runtime:
    """A program of torch.export, as torch computes it."""
    module = torch.export.load(path).module()

    def run(images: Tensor) -> list[Tensor]:
        with torch.inference_mode():
            return list(module(images))

    return run
