"""Two processes train like one on the same batches."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from semiverse.cli.main import main
from semiverse.commands import train as training
from semiverse.run import Run
from tests.fakes.basic import draw, write_mask, write_photo
from tests.tiny import command_in_child, command_in_children, free_port, in_children, needs_fork

pytestmark = [pytest.mark.slow, needs_fork]

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
model: {encoder: drn_d_22, width: 0.0625}
method: METHOD
optimizer: {lr: RATE}
trainer: {max_steps: 12, accelerator: cpu, devices: DEVICES, strategy: HOW, precision: 64-true}
networks_trainer: {max_steps: 4, accelerator: cpu, precision: 64-true}
validate_every: 4
"""
UNIVERSAL = "{class_path: Universal, init_args: {embed_dim: 8, theta: 0.5, warmup: [0.2, 0.4]}}"
SUPERVISED = "{class_path: Supervised}"
ADVERSARIAL = "{class_path: Adversarial, init_args: {pseudo_from: 2, threshold: 0.5}}"
LATENT = "{class_path: Latent, init_args: {branch: BRANCH, consistency_from: 2}}"
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "CUDA_VISIBLE_DEVICES": ""}


def command(out: Path, method: str, devices: int, steps: int = 12, strategy: str = "auto") -> list[str]:
    config = out.with_suffix(".yaml")
    text = (
        CONFIG.replace("METHOD", method)
        .replace("RATE", "0.001" if "_from" in method else "0.01")
        .replace("DEVICES", str(devices))
        .replace("HOW", strategy)
    )
    config.write_text(text.replace("max_steps: 12", f"max_steps: {steps}"))
    return ["train", "--config", str(config), "--out", str(out)]


def run_alone(words: list[str]) -> None:
    assert command_in_child(words) == 0


def run_together(words: list[str]) -> None:
    assert command_in_children(words, 2) == [0, 0]


@pytest.mark.parametrize(
    ("method", "steps", "strategies"),
    [
        (SUPERVISED, 8, ["ddp"]),
        (UNIVERSAL.replace("theta", "centroids: 3, theta"), 8, ["ddp", "fsdp"]),
        (UNIVERSAL.replace("theta", "update_from: pass, theta"), 8, ["fsdp"]),
        (ADVERSARIAL, 4, ["ddp", "fsdp"]),
        (LATENT.replace("BRANCH", "classes"), 4, ["ddp"]),
    ],
    ids=["supervised", "universal-with-three-rows", "universal-by-pass", "adversarial", "latent-with-classes"],
)
def test_two_processes_train_like_one(method, steps, strategies, tmp_path):
    # in double precision: eight steps from random weights make differences of rounding thousands of times larger
    run_alone(command(tmp_path / "one", method, 1, steps))
    for strategy in strategies:
        run_together(command(tmp_path / strategy, method, 2, steps, strategy))
        assert_alike(tmp_path / "one", tmp_path / strategy, steps)


def assert_alike(first: Path, second: Path, steps: int) -> None:
    """Two runs end with the same scores, losses and weights, up to rounding."""
    one, two = Run(first).read_metrics(), Run(second).read_metrics()
    assert len(one) == len(two) == steps // 4
    for row, other in zip(one, two, strict=True):
        assert row.keys() == other.keys()
        of_a_batch = {name for name in row if name.endswith(("largest_score", "entropy_of_assignment"))}
        for name in row.keys() - of_a_batch - {"images_per_second"}:
            assert float(other[name]) == pytest.approx(float(row[name]), rel=1e-6, abs=1e-6), name
    weights, others = (load_file(run / "model" / "model.safetensors") for run in (first, second))
    assert all(torch.allclose(weights[name], others[name], rtol=1e-5, atol=1e-7) for name in weights)


CONSISTENCY = (
    "{class_path: Consistency, init_args: {ramp: [0.0, 0.1], threshold: 0.2, floor: 0.1, views: 2, cross_mix: 0.5, "
    "anchor: 1.0, embed_dim: 8, rows: {class_path: RandomRows}}}"
)


@pytest.mark.parametrize("method", [SUPERVISED, CONSISTENCY], ids=["supervised", "consistency"])
def test_two_processes_learn_pseudolabels_like_one(method, tmp_path):
    for i in range(5):
        write_photo(tmp_path / "pseudo" / "images" / f"{i}.png", seed=i, size=(32, 48))
        write_mask(tmp_path / "pseudo" / "masks" / f"{i}.png", draw(i, (0, 1, 4, 255), (32, 48)))
    for devices in (1, 2):
        words = command(tmp_path / f"by{devices}", method, devices, steps=4)
        file = (tmp_path / f"by{devices}").with_suffix(".yaml")
        text = file.read_text().replace("labeled: 6", f"labeled: 6\n      pseudolabels: {tmp_path / 'pseudo'}")
        file.write_text(text.replace("batch_size: 2", "batch_size: 4"))  # boxes come from the same process
        (run_alone if devices == 1 else run_together)(words)
    one, two = (load_file(tmp_path / f"by{devices}" / "model" / "model.safetensors") for devices in (1, 2))
    assert all(torch.allclose(one[name], two[name], rtol=1e-5, atol=1e-7) for name in one)
    (one,), (two,) = (Run(tmp_path / f"by{devices}").read_metrics() for devices in (1, 2))
    assert float(one["streets/pseudolabeled"]) == pytest.approx(float(two["streets/pseudolabeled"]), rel=1e-6)


def by_torchrun(words: list[str], port: int) -> list[int]:
    """Exit codes of the launchers of two nodes, which start an interpreter each."""
    nodes = []
    for rank in (0, 1):
        options = ["--nnodes=2", "--nproc-per-node=1", f"--node-rank={rank}", "--master-addr=localhost"]
        launcher = [sys.executable, "-m", "torch.distributed.run", *options, f"--master-port={port}"]
        nodes.append(subprocess.Popen([*launcher, "-m", "semiverse", *words], env=ENVIRONMENT))
    return [node.wait(timeout=300) for node in nodes]


def by_slurm(words: list[str], port: int) -> list[int]:
    """Exit codes of two processes that know of each other what SLURM tells them."""

    def node(rank: int) -> int:
        os.environ |= {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "train", "SLURM_NODELIST": "localhost"}
        os.environ |= {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "1", "SLURM_NNODES": "2", "SLURM_LOCALID": "0"}
        os.environ |= {"SLURM_PROCID": str(rank), "SLURM_NODEID": str(rank), "MASTER_PORT": str(port)}
        return main(words)

    return in_children([partial(node, rank) for rank in (0, 1)])


@pytest.mark.parametrize("launch", [by_torchrun, by_slurm])
def test_two_nodes_train_like_one_process(launch, tmp_path):
    run_alone(command(tmp_path / "one", SUPERVISED, 1, steps=4))
    words = command(tmp_path / "two", SUPERVISED, 1, steps=4, strategy="fsdp, num_nodes: 2")
    assert launch(words, free_port()) == [0, 0]
    first, second = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("one", "two"))
    assert all(torch.allclose(first[name], second[name], rtol=1e-5, atol=1e-7) for name in first)
    assert len(Run(tmp_path / "two").read_metrics()) == 1


class Witness(training.Recorder):
    """Keeps what each process ends with."""

    def finish(self) -> None:
        super().finish()
        torch.save(self.method.state_dict(), self.run.folder / f"process{self.fabric.global_rank}.pt")


def witness() -> None:
    training.Recorder = Witness


def test_two_processes_that_form_entropies_of_their_own_shares_end_with_the_same_weights(tmp_path):
    words = command(tmp_path / "run", LATENT.replace("BRANCH", "latent"), 2, steps=3)
    assert command_in_children(words, 2, witness) == [0, 0]
    states = [torch.load(tmp_path / "run" / f"process{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert states[0]["latent_branch.co_occurrence_streets"].sum() > 0
    different = {name for name in states[0] if not torch.equal(states[0][name], states[1][name])}
    assert not different


HALF = """
import torch
from semiverse.methods import Adversarial

class Half(Adversarial):
    def terms(self, batch):
        for term in super().terms(batch):
            yield term * float("nan") if (torch.distributed.get_rank(), self.steps_done) == (1, 1) else term
"""


def test_a_loss_that_is_not_finite_on_one_process_stops_both_and_is_kept(tmp_path):
    # in new interpreters, of which Fabric starts the second: as a user calls it
    (tmp_path / "half.py").write_text(HALF)
    words = [sys.executable, "-m", "semiverse", *command(tmp_path / "run", "{class_path: half.Half}", 2)]
    environment = ENVIRONMENT | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert done.stderr.count("the loss terms[0] is nan at step 1") == 2
    failure = Run(tmp_path / "run").failure
    assert json.loads(failure.failed.read_text())["step"] == 1
    assert torch.load(failure.last, weights_only=True)["steps_done"] == 1
