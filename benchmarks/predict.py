"""From images to masks: the predictor against the plain loop of evaluation code, by network and by the folder.

The reference calls the model as it was trained, upsamples all logits and takes the arg-max; by the folder it also loads
with Pillow, image by image, and saves. Two processes are compared with one on the same folder; each has one thread.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from benchmarks.measure import Goal, compare
from semiverse.commands.predict import predict
from semiverse.inference.predictor import Predictor
from semiverse.labels import LabelSpace
from semiverse.models import ModelConfig, SegmentationModel

SPACE = LabelSpace("street", tuple(f"class {number}" for number in range(19)))
NETWORKS: dict[str, ModelConfig] = {
    "small": ModelConfig(encoder="tf_efficientnet_lite0", decoder="mlp", output_stride=32, pretrained=False),
    "drn_d_22": ModelConfig(),
}
GOALS = {"bf16": 2.3, "float32": 1.15}
IMAGES, SIZE = 72, (360, 480)


def run() -> dict[str, Any]:
    draw = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, 512, 1024), dtype=torch.uint8, generator=draw)
    results: dict[str, Any] = {}
    for name, config in NETWORKS.items():
        model = _model(config)
        for precision, goal in GOALS.items():
            predictor = Predictor(model, device="cpu", precision=precision)
            results[f"{name}, {precision}"] = compare(
                lambda model=model: _plain(model, image),
                lambda predictor=predictor: predictor(image, "street", sure=False),
                rounds=5,
                goal=Goal(time=goal),
            )
    with tempfile.TemporaryDirectory() as folder:
        results |= _folders(Path(folder))
    return results


def _model(config: ModelConfig) -> SegmentationModel:
    torch.manual_seed(0)
    return SegmentationModel(config, {"street": SPACE}).eval()


@torch.no_grad()
def _plain(model: SegmentationModel, image: Tensor) -> Tensor:
    logits = model.heads["street"](model.features(image[None], "street"))
    return F.interpolate(logits, image.shape[1:], mode="bilinear").argmax(dim=1)[0].to(torch.uint8)


def _folders(folder: Path) -> dict[str, Any]:
    """By the folder: a plain loop, one process, and two of one thread against one of one thread."""
    model = _model(NETWORKS["small"])
    model.save(folder / "model")
    coarse = np.random.default_rng(0).integers(0, 256, (IMAGES, 45, 60, 3), dtype=np.uint8)
    (folder / "photos").mkdir()
    for number, pixels in enumerate(coarse):
        photo = Image.fromarray(pixels).resize(SIZE[::-1], Image.Resampling.BICUBIC)
        photo.save(folder / "photos" / f"{number:02d}.jpg", quality=92)

    def plain() -> None:
        (folder / "plain").mkdir(exist_ok=True)
        loaded = SegmentationModel.load(folder / "model").eval()  # as every call of a command does
        for path in sorted((folder / "photos").iterdir()):
            pixels = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)
            Image.fromarray(_plain(loaded, pixels).numpy()).save(folder / "plain" / f"{path.stem}.png")

    def ours() -> None:
        predict(folder / "model", [folder / "photos"], out=folder / "ours", overlay=False, overwrite=True, device="cpu")

    by_folder = compare(plain, ours, rounds=3, goal=Goal(time=1.5))
    processes = compare(lambda: _start(folder, 1), lambda: _start(folder, 2), rounds=3, goal=Goal(time=1.7))
    return {"folder of 480 x 360": by_folder, "two processes": processes}


def _start(folder: Path, count: int) -> None:
    """Segment the folder, four views an image, by so many processes of one thread that are told as by torchrun."""
    code = "import sys; from semiverse.cli.main import main; sys.exit(main(sys.argv[1:]))"
    options = ["--out", str(folder / "shares"), "--overlay", "false", "--overwrite", "true", "--scales", "[1, 1]"]
    words = ["predict", str(folder / "model"), str(folder / "photos"), *options, "--flip", "true", "--device", "cpu"]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, *words],
            env=os.environ | {"RANK": str(rank), "WORLD_SIZE": str(count), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
        )
        for rank in range(count)
    ]
    if any(process.wait() for process in started):
        raise RuntimeError("a process failed; expected masks: run the command by itself to see why")
