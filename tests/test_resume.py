"""A training that is killed and called again ends as if it had not been; several processes train as one."""

import os
import signal
import subprocess
import sys
import time
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
  workers: WORKERS
model: {width: 0.0625}
method: METHOD
trainer: {max_steps: 20, accelerator: cpu, devices: DEVICES, precision: PRECISION}
networks_trainer: {max_steps: 6, accelerator: cpu}
validate_every: 4
"""
UNIVERSAL = "{class_path: Universal, init_args: {embed_dim: 8, theta: 0.5, warmup: [0.2, 0.4], lr: 0.01}}"
SUPERVISED = "{class_path: Supervised, init_args: {lr: 0.01}}"
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "CUDA_VISIBLE_DEVICES": ""}


def command(
    folder: Path, out: Path, method: str, workers: int = 0, devices: int = 1, precision: str = "32-true"
) -> list[str]:
    config = folder / f"{out.name}.yaml"
    values = {"METHOD": method, "WORKERS": workers, "DEVICES": devices, "PRECISION": precision}
    text = CONFIG
    for name, value in values.items():
        text = text.replace(name, str(value))
    config.write_text(text)
    return [sys.executable, "-m", "semiverse", "train", "--config", str(config), "--out", str(out)]


def run_to_end(words: list[str]) -> None:
    done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def kill_when(words: list[str], reached) -> None:
    """Start, wait until ``reached()``, and kill without warning."""
    process = subprocess.Popen(
        words, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    limit = time.monotonic() + 200
    while not reached() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.01)
    assert process.poll() is None, "the run ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def steps_in(run: Path) -> int:
    rows = Run(run).read_metrics()
    return int(rows[-1]["step"]) if rows else 0


def assert_same_run(one: Path, other: Path) -> None:
    """Weights, label embeddings, batch-norm statistics and the rows of scores and losses, bit for bit."""
    first, second = (load_file(run / "model" / "model.safetensors") for run in (one, other))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    rows = [
        [{name: value for name, value in row.items() if name != "images_per_second"} for row in Run(run).read_metrics()]
        for run in (one, other)
    ]
    assert rows[0] == rows[1]
    assert [int(row["step"]) for row in rows[0]] == [4, 8, 12, 16, 20]


@pytest.fixture(scope="module", params=["supervised", "universal"])
def finished(request, tmp_path_factory):
    method = {"supervised": SUPERVISED, "universal": UNIVERSAL}[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    run_to_end(command(folder, folder / "whole", method))
    return method, folder / "whole"


def test_killed_run_ends_like_one_that_was_not(finished, tmp_path):
    method, whole = finished
    again = command(tmp_path, tmp_path / "killed", method, workers=2)
    kill_when(again, lambda: steps_in(tmp_path / "killed") >= 8)
    assert not Run(tmp_path / "killed").finished
    run_to_end(again)
    assert_same_run(tmp_path / "killed", whole)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "killed").rglob("*")}
    run_to_end(again)  # finished: nothing changes
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "killed").rglob("*")}


def test_run_killed_while_its_networks_train_ends_like_one_that_was_not(finished, tmp_path):
    method, whole = finished
    if method != UNIVERSAL:
        pytest.skip("only Universal trains networks first")
    again = command(tmp_path, tmp_path / "killed", method)
    kill_when(again, lambda: steps_in(tmp_path / "killed" / "networks") >= 4)
    run_to_end(again)
    assert_same_run(tmp_path / "killed", whole)


@pytest.mark.parametrize("method", [SUPERVISED, UNIVERSAL], ids=["supervised", "universal"])
def test_two_processes_train_like_one(method, tmp_path):
    # in double precision: twenty steps from random weights make differences of rounding thousands of times larger
    for name, devices in (("one", 1), ("two", 2)):
        run_to_end(command(tmp_path, tmp_path / name, method, devices=devices, precision="64-true"))
    one, two = (Run(tmp_path / name).read_metrics() for name in ("one", "two"))
    assert len(one) == len(two) == 5
    for row, other in zip(one, two, strict=True):
        assert row.keys() == other.keys()
        of_a_batch = {name for name in row if name.endswith(("largest_score", "entropy_of_assignment"))}
        for name in row.keys() - of_a_batch - {"images_per_second"}:
            assert float(other[name]) == pytest.approx(float(row[name]), rel=1e-6, abs=1e-6), name
    first, second = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("one", "two"))
    assert all(torch.allclose(first[name], second[name], rtol=1e-5, atol=1e-7) for name in first)
