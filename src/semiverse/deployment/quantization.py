"""ONNX files in int8, by onnxruntime's own quantisation, and what that costs on real images."""

import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from semiverse.deployment.exporting import needs
from semiverse.deployment.graph import Graph
from semiverse.deployment.parity import Runtime
from semiverse.evaluation.confusion import confusion, miou
from semiverse.files import write_atomically
from semiverse.labels import IGNORE
from semiverse.mixture import DomainMixture


def quantize(source: Path, images: Sequence[Tensor], path: Path) -> None:
    """Write an ONNX file with convolutions in int8, whole or not at all.

    Ranges of maps are the smallest and largest values on the images (static quantisation, QDQ, per channel).

    Args:
        source: The file in float32.
        images: As it takes them, (N, 3, H, W) each; a dozen or two.
        path: The file to write.

    Raises:
        ModuleNotFoundError: If onnxruntime is not installed.
    """
    needs("onnx", "onnxruntime")
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Given(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            following = next(self.left, None)
            return None if following is None else {"images": following.numpy()}

    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "int8.onnx"
        quantize_static(
            source,
            made,
            Given(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv"],
        )
        write_atomically(path, made.read_bytes())


def training_images(graph: Graph, data: DomainMixture, count: int = 16) -> list[Tensor]:
    """Images of the first question's domain at their working size, as the graph takes them, one by one."""
    domain = data.domains[graph.questions[0].domain]
    samples = data.evaluation(graph.questions[0].domain, domain.train)
    step = max(1, len(samples) // count)
    return [as_input(graph, samples[place].image) for place in islice(range(0, len(samples), step), count)]


def as_input(graph: Graph, image: Tensor) -> Tensor:
    """An image, (3, H, W) uint8, as the graph takes it, (1, 3, H, W): cut to its stride where it does not pad."""
    if not graph.inside.pad:
        height, width = (side - side % graph.stride for side in image.shape[1:])
        image = image[:, :height, :width]
    return image[None].contiguous() if graph.inside.normalize else graph.model.normalized(image[None])


def score(graph: Graph, runtime: Runtime, data: DomainMixture, most: int) -> float:
    """Mean IoU of a file on validation images of the first question's domain, at most so many, in [0, 1]."""
    question = graph.questions[0]
    classes = len(graph.model.label_spaces[question.labels])
    matrix = torch.zeros(classes, classes + 1, dtype=torch.int64)
    for image, mask in _validation(graph, data, most):
        answer = runtime(image)[0]
        found = answer[0] if graph.inside.argmax else answer[0].argmax(dim=0).to(torch.uint8)
        found = found.masked_fill(found >= classes, IGNORE)
        matrix += confusion(found, mask[: found.shape[0], : found.shape[1]].contiguous(), classes)
    return miou(matrix, "default")


def _validation(graph: Graph, data: DomainMixture, most: int) -> Iterator[tuple[Tensor, Tensor]]:
    samples = data.evaluation(graph.questions[0].domain)
    for place in range(min(most, len(samples))):
        sample = samples[place]
        yield as_input(graph, sample.image), sample.mask
