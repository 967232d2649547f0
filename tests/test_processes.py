"""Two processes train like one on the same batches."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from semiverse.run import Run

pytestmark = pytest.mark.slow

CONFIG = """
data:
  domains:
    streets:
      dataset: {class_path: SyntheticStreets, init_args: {images: 12, val_images: 2, size: [32, 48]}}
      labeled: 6
    rooms:
      dataset: {class_path: SyntheticRooms, init_args: {images: 12, val_images: 2, size: [32, 48]}}
      labeled: 4
  batch_size: 2
  crop: [32, 32]
  augmentation: {scale: [0.8, 1.2], flip: 0.5, color: 0.2}
  workers: 0
model: {width: 0.0625}
method: METHOD
trainer: {max_steps: 12, accelerator: cpu, devices: DEVICES, precision: 64-true}
networks_trainer: {max_steps: 4, accelerator: cpu}
validate_every: 4
"""
UNIVERSAL = "{class_path: Universal, init_args: {embed_dim: 8, theta: 0.5, warmup: [0.2, 0.4], lr: 0.01}}"
SUPERVISED = "{class_path: Supervised, init_args: {lr: 0.01}}"
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "CUDA_VISIBLE_DEVICES": ""}


def command(out: Path, method: str, devices: int) -> list[str]:
    config = out.with_suffix(".yaml")
    config.write_text(CONFIG.replace("METHOD", method).replace("DEVICES", str(devices)))
    return [sys.executable, "-m", "semiverse", "train", "--config", str(config), "--out", str(out)]


def run_to_end(words: list[str]) -> None:
    done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("method", [SUPERVISED, UNIVERSAL], ids=["supervised", "universal"])
def test_two_processes_train_like_one(method, tmp_path):
    # in double precision: a dozen steps from random weights make differences of rounding thousands of times larger
    for name, devices in (("one", 1), ("two", 2)):
        run_to_end(command(tmp_path / name, method, devices))
    one, two = (Run(tmp_path / name).read_metrics() for name in ("one", "two"))
    assert len(one) == len(two) == 3
    for row, other in zip(one, two, strict=True):
        assert row.keys() == other.keys()
        of_a_batch = {name for name in row if name.endswith(("largest_score", "entropy_of_assignment"))}
        for name in row.keys() - of_a_batch - {"images_per_second"}:
            assert float(other[name]) == pytest.approx(float(row[name]), rel=1e-6, abs=1e-6), name
    first, second = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("one", "two"))
    assert all(torch.allclose(first[name], second[name], rtol=1e-5, atol=1e-7) for name in first)
