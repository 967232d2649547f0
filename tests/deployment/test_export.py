"""Exported files compute what the model does, at sizes other than the exported one."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from semiverse.cli.main import main
from semiverse.deployment.exporting import write_onnx, write_program
from semiverse.deployment.graph import Graph, Inside
from semiverse.deployment.parity import Parity, compare, onnx_runtime, program_runtime
from semiverse.inference.predictor import Predictor, Question
from semiverse.labels import IGNORE, LabelSpace
from semiverse.models import ModelConfig, SegmentationModel

SPACES = {
    "park": LabelSpace("park", ("grass", "tree", "bench")),
    "room": LabelSpace("room", ("wall", "floor", "table", "lamp")),
}
DRN = {"encoder": "drn_d_22", "width": 0.0625}
SMALL = {"drn": DRN, "drn, zero border": DRN | {"zero_border": True}}
NETWORKS = {
    "deeplab": {"encoder": "deeplab_resnet101", "decoder": "aspp_sum", "width": 0.03125},
    "lite": {"encoder": "tf_efficientnet_lite0", "decoder": "mlp", "output_stride": 32, "pretrained": False},
    "convnext": {"encoder": "convnext_atto", "decoder": "mlp", "output_stride": 32, "pretrained": False},
    "vit": {"encoder": "vit_tiny_patch16_224", "decoder": "dpt", "output_stride": 16, "pretrained": False},
}
PARK = [Question("park", "park")]


def build(**options) -> SegmentationModel:
    torch.manual_seed(0)
    return SegmentationModel(ModelConfig(**({"head_deviation": None} | options)), SPACES).eval()


@pytest.fixture
def runtime():
    return pytest.importorskip("onnxruntime", reason="the extra export is not installed")


@pytest.mark.parametrize("options", [*SMALL.values(), NETWORKS["lite"], NETWORKS["vit"]], ids=str)
def test_graph_of_whole_strides_is_the_model(options):
    model = build(**options)
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    with torch.inference_mode():
        (found,) = Graph(model, PARK)(images)
        torch.testing.assert_close(found, model(images, "park"), atol=1e-4, rtol=1e-4)


def test_graph_pads_other_sizes_with_the_mean_colour_and_cuts_the_result():
    model = build(**DRN)
    images = torch.randint(0, 256, (1, 3, 21, 30), dtype=torch.uint8)
    with torch.inference_mode():
        seen = F.pad(model.normalized(images), (0, 2, 0, 3))
        scores = model.heads["park"](model.networks["shared"](seen))
        expected = F.interpolate(scores, (24, 32), mode="bilinear")[:, :, :21, :30]
        (found,) = Graph(model, PARK)(images)
        (same,) = Graph(model, PARK, Inside(normalize=False))(model.normalized(images))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(same, found)


def test_several_results_by_embedding_and_by_domain():
    model = build(**DRN, none_class=True)
    model.add_label_embeddings(embed_dim=6)
    image = torch.randint(0, 256, (3, 32, 40), dtype=torch.uint8)
    questions = [Question("park", "park"), Question("park", "room")]
    graph = Graph(model, questions, Inside(argmax=True, via="embedding"))
    assert graph.outputs == ["mask_park", "mask_room"] and len(graph.networks) == 1
    predictor = Predictor(model, "embedding", device="cpu")
    with torch.inference_mode():
        for mask, (domain, labels) in zip(graph(image[None]), questions, strict=True):
            assert mask.dtype == torch.uint8
            assert (mask[0] == predictor(image, domain, labels).mask).float().mean() > 0.999
    with torch.no_grad():
        model.heads["room"].bias[-1] = 1e6
    each = Graph(model, [Question(name, name) for name in SPACES], Inside(argmax=True))
    assert each.outputs == ["mask_park", "mask_room"] and len(each.networks) == 2
    assert each(image[None])[1].unique().tolist() == [IGNORE]


@pytest.mark.slow
@pytest.mark.parametrize("options", [*SMALL.values(), *NETWORKS.values()], ids=[*SMALL, *NETWORKS])
def test_onnx_file_computes_what_the_model_does_at_other_sizes(options, tmp_path, runtime):
    graph = Graph(build(**options), PARK)
    write_onnx(graph, tmp_path / "model.onnx")
    parity = compare(graph, onnx_runtime(tmp_path / "model.onnx"))
    assert parity.holds and len(set(parity.sizes)) == 2, parity


@pytest.mark.slow
@pytest.mark.parametrize("inside", [Inside(pad=False), Inside(normalize=False, argmax=True)], ids=str)
def test_program_computes_what_the_model_does_at_other_sizes(inside, tmp_path):
    graph = Graph(build(**DRN), PARK, inside)
    write_program(graph, tmp_path / "model.pt2")
    parity = compare(graph, program_runtime(tmp_path / "model.pt2"))
    assert parity.holds, parity


def test_comparison_finds_a_file_that_computes_something_else():
    graph = Graph(build(**DRN), PARK)
    right = compare(graph, lambda images: list(graph(images)))
    wrong = compare(graph, lambda images: [one + 1e-3 for one in graph(images)])
    other = compare(graph, lambda images: [one.flip(1) for one in graph(images)])
    cut = compare(graph, lambda images: [one[:, :, 1:] for one in graph(images)])
    assert right == Parity(0.0, 1.0, right.sizes) and right.holds
    assert 1e-4 < wrong.difference < 1.01e-3 and not wrong.holds and wrong.agreement == 1
    assert other.agreement < 0.9 and not other.holds and not cut.holds


@pytest.mark.slow
def test_command_writes_a_file_with_its_classes_and_int8_beside_it(trained, tmp_path, capsys, runtime):
    out = tmp_path / "model.onnx"
    words = ["export", str(trained), "--domain", "streets", "--argmax", "true", "--int8", "true", "--out", str(out)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "% of pixels agree" in said and " points\n" in said
    session = runtime.InferenceSession(out)
    facts = json.loads(session.get_modelmeta().custom_metadata_map["semiverse"])
    model = SegmentationModel.load(trained)
    assert facts["outputs"]["mask"]["classes"] == list(model.label_spaces["streets"].classes)
    image = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    for file, least in ((out, 0.999), (tmp_path / "model_int8.onnx", 0.3)):
        session = runtime.InferenceSession(file)
        (mask,) = session.run(None, {"images": image.transpose(2, 0, 1)[None].copy()})
        assert mask.shape == (1, 24, 40) and mask.dtype == np.uint8
        expected = Predictor(model, device="cpu")(tmp_path / "a.png", "streets").mask.numpy()
        assert (mask[0] == expected).mean() >= least
    assert main(words) == 2 and "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"--out": "model.pth"}, "ends in .onnx or .pt2"),
        ({"--out": "model.pt2", "--int8": "true"}, "expected an .onnx file"),
        ({"--domain": "sea"}, "'sea'"),
        ({"--domain": "auto"}, "cannot tell domains apart"),
        ({"--via": "embedding"}, "no label embeddings"),
    ],
    ids=str,
)
def test_wrong_call_is_refused_before_anything_is_written(change, part, tmp_path, capsys, runtime):
    build(**DRN).save(tmp_path / "model")
    options = {"--out": str(tmp_path / "out.onnx"), "--domain": "park"} | change
    if change.get("--out"):
        options["--out"] = str(tmp_path / change["--out"])
    assert main(["export", str(tmp_path / "model"), *[word for pair in options.items() for word in pair]]) == 2
    said = capsys.readouterr().err
    assert part in said and "Traceback" not in said, said
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_file_that_is_not_the_model_is_not_written(tmp_path, capsys, monkeypatch):
    build(**DRN).save(tmp_path / "model")
    module = "semiverse.commands.export._write_and_compare"
    monkeypatch.setattr(module, lambda *_: Parity(0.01, 0.98, ((1, 8, 8),)))
    call = ["export", str(tmp_path / "model"), "--domain", "park", "--out", str(tmp_path / "out.pt2")]
    assert main(call) == 1
    said = capsys.readouterr().out
    assert "1.0e-02" in said and "98.000 %" in said and "not written" in said
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
