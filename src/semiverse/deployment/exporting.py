"""Graphs as files: ONNX, and programs of torch.export."""

import contextlib
import io
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from semiverse.deployment.graph import Graph
from semiverse.files import write_atomically

OPSET = 18


def program_of(graph: Graph) -> ExportedProgram:
    """A graph as a program of torch.export, with the number of images, their height and their width left open.

    Raises:
        ValueError: If the network does something that depends on more than tensors.
    """
    # With padding inside no multiples of the stride, or "nothing is padded" would become a property of the program.
    height, width = (3 * graph.stride - graph.inside.pad * 3, 4 * graph.stride - graph.inside.pad * 5)
    kind = torch.uint8 if graph.inside.normalize else torch.float32
    example = torch.zeros(2, 3, height, width, dtype=kind)
    sizes: dict[int, Any] = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    if not graph.inside.pad:
        sizes |= {2: graph.stride * Dim("rows", min=1, max=2**16), 3: graph.stride * Dim("columns", min=1, max=2**16)}
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.export(graph, (example,), dynamic_shapes=(sizes,), strict=False)
    except Exception as error:  # of any kind, as everything that a network calls may refuse
        first = str(error).strip().splitlines()[0]
        raise ValueError(
            f"the network cannot be exported for images of any size ({first}); expected one that is made of tensors "
            "alone: use another encoder"
        ) from error


def write_program(graph: Graph, path: Path) -> None:
    """Write a program of torch.export (.pt2), whole or not at all; ``torch.export.load`` reads it."""
    buffer = io.BytesIO()
    torch.export.save(program_of(graph), buffer, extra_files={"semiverse.json": json.dumps(facts_of(graph))})
    write_atomically(path, buffer.getvalue())


def write_onnx(graph: Graph, path: Path) -> None:
    """Write an ONNX file with the classes and the way of its images in its metadata, whole or not at all.

    Raises:
        ModuleNotFoundError: If the packages of the extra ``export`` are not installed.
        ValueError: If the network cannot be exported.
    """
    needs("onnx", "onnxscript")
    import onnx

    exported = program_of(graph)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        made = torch.onnx.export(
            exported,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=["images"],
            output_names=graph.outputs,
        )
    assert made is not None
    model = made.model_proto
    onnx.helper.set_model_props(model, {"semiverse": json.dumps(facts_of(graph))})
    write_atomically(path, model.SerializeToString())


def facts_of(graph: Graph) -> dict[str, Any]:
    """What a program needs to know that feeds the file and reads its results."""
    model = graph.model
    return {
        "input": {
            "values": "uint8, 0..255, red green blue" if graph.inside.normalize else "float32, normalised",
            "mean": [float(value) for value in model.mean.flatten()],
            "deviation": [float(value) for value in model.std.flatten()],
            "blue_first": model.convention.bgr,
            "multiple_of": 1 if graph.inside.pad else graph.stride,
        },
        "outputs": {
            name: {
                "domain": question.domain,
                "classes": list(model.label_spaces[question.labels].classes),
                "palette": [list(color) for color in model.label_spaces[question.labels].palette],
                "scale": model.resolutions[question.domain].scale,
                "size": model.resolutions[question.domain].size,
            }
            for name, question in zip(graph.outputs, graph.questions, strict=True)
        },
    }


def needs(*packages: str) -> None:
    """Make sure that optional packages are there.

    Raises:
        ModuleNotFoundError: If one is not.
    """
    from importlib.util import find_spec

    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"an export needs {', '.join(missing)}, not installed here; expected the extra: pip install "
            '"semiverse[export]"'
        )
