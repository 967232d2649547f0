"""Write a model as a file that other runtimes compute."""

from pathlib import Path
from typing import Literal

from semiverse.deployment.exporting import needs, write_onnx, write_program
from semiverse.deployment.graph import Graph, Inside
from semiverse.deployment.parity import Parity, compare, onnx_runtime, program_runtime
from semiverse.deployment.quantization import quantize, score, training_images
from semiverse.files import Outputs, work_beside
from semiverse.inference.asking import Asking
from semiverse.mixture import DomainMixture
from semiverse.models import SegmentationModel


def export(
    run: Path,
    out: Path,
    domain: str | None = None,
    labels: str | None = None,
    via: Literal["decoder", "embedding"] = "decoder",
    normalize: bool = True,
    pad: bool = True,
    argmax: bool = False,
    int8: bool = False,
    images: int = 100,
    overwrite: bool = False,
    data: DomainMixture | None = None,
) -> int:
    """Write a model as ONNX or as a program of torch, for any number of images of any size, and compare it.

    The file takes ``images``, (N, 3, H, W), at the working size of the domain and gives ``logits``, (N, C, H, W), or
    ``mask``, (N, H, W). It is then computed at two other sizes than that it was exported with: if logits differ by more
    than 1e-4, or more than 0.1 % of the pixels by class, the command says so and ends with 1, without the file.

    Args:
        run: A run folder, or the model folder in it.
        out: The file: .onnx, or .pt2 for a program of torch.export.
        domain: The domain that images are like; all: each in turn, with a result for each; None: the only one.
        labels: The domain whose classes are asked for; all: those of each, with a result for each; None: those of the
            same domain.
        via: By the decoder, or by the most similar label embedding.
        normalize: Take uint8 and normalise it inside; false: take what is normalised already, as float32.
        pad: Pad images of any size to whole strides inside, and cut the result; false: take whole strides alone.
        argmax: Give masks instead of logits.
        int8: Also write <out>_int8.onnx, and say what that costs in mIoU on validation images.
        images: Validation images that int8 is measured on, at most.
        overwrite: Replace files that an earlier export wrote.
        data: Where the images for int8 are; on the command line, as the run's configuration says.

    Returns:
        0, or 1 if the file does not compute what the model does.

    Raises:
        FileNotFoundError: If there is no model.
        ModuleNotFoundError: If the extra ``export`` is not installed.
        ValueError: If options do not go together, a file is there already, or the network cannot be exported.
    """
    small = out.with_name(f"{out.stem}_int8.onnx")
    outputs = Outputs(out.parent, "export")
    _check_options([out, small], int8, overwrite, data, outputs)
    model = SegmentationModel.load(run)
    if via == "embedding" and model.label_embeddings is None:
        raise ValueError("the model has no label embeddings; expected one that Universal trained: export the decoder")
    if domain == "auto":
        raise ValueError("an exported file cannot tell domains apart; expected a domain, or all: name one")
    asking = Asking(model, domain, labels)
    graph = Graph(model, asking.possible, Inside(normalize, pad, argmax, via))
    with work_beside(out) as folder:
        first = folder / f"model{out.suffix}"
        parity = _write_and_compare(graph, first)
        print(f"{out.name}: {parity}")
        if not parity.holds:
            print("not written: it does not compute what the model does; use another encoder or runtime")
            return 1
        outputs.take(out.name, first)
    print(f"written: {out} ({out.stat().st_size / 1e6:.1f} MB), results {', '.join(graph.outputs)}")
    if int8 and data is not None:
        with work_beside(small) as folder:
            quantize(out, training_images(graph, data), folder / small.name)
            outputs.take(small.name, folder / small.name)
        whole, less = (score(graph, onnx_runtime(file), data, images) for file in (out, small))
        change = 100 * (less - whole)
        print(f"written: {small} ({small.stat().st_size / 1e6:.1f} MB), int8")
        print(f"mIoU of {graph.questions[0].domain}: {100 * whole:.2f}, in int8 {100 * less:.2f}: {change:+.2f} points")
    return 0


def _write_and_compare(graph: Graph, path: Path) -> Parity:
    if path.suffix == ".pt2":
        write_program(graph, path)
        return compare(graph, program_runtime(path))
    write_onnx(graph, path)
    return compare(graph, onnx_runtime(path))


def _check_options(files: list[Path], int8: bool, overwrite: bool, data: DomainMixture | None, known: Outputs) -> None:
    """Refuse what is wrong before anything is computed."""
    out = files[0]
    if out.suffix not in (".onnx", ".pt2"):
        raise ValueError(f"out is {out}; expected a name that ends in .onnx or .pt2: choose one")
    if out.suffix == ".onnx":
        needs("onnx", "onnxscript", "onnxruntime")
    if int8 and (out.suffix != ".onnx" or data is None):
        found = "no data to measure it with" if out.suffix == ".onnx" else f"the file {out.name}"
        raise ValueError(
            f"int8 is asked for with {found}; expected an .onnx file and the run's data: change --out or run"
        )
    names = [file.name for file in files[: 1 + int8]]
    known.refuse_foreign(names)
    if not overwrite and known.there(names):
        raise ValueError(f"{out} exists already; expected a new file: choose another --out, or --overwrite true")
