"""The first run: two rendered worlds, a handful of labels, two ways to learn from them."""

import json
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

from semiverse.commands.evaluate import evaluate
from semiverse.commands.report import report
from semiverse.commands.train import train
from semiverse.data import Augmentation
from semiverse.datasets import SyntheticRooms, SyntheticStreets
from semiverse.inference.labeling import Labeling, label_mixture
from semiverse.methods import Optimizer, Supervised, Universal
from semiverse.mixture import Balance, Domain, DomainMixture
from semiverse.models import ModelConfig

ADAMW = Optimizer(algorithm="adamw", lr=5e-4, decoder_factor=4.0, head_factor=4.0, weight_decay=0.01, decay="step")


def demo(
    out: Path = Path("runs/demo"),
    labeled: int = 8,
    steps: int = 200,
    seed: int = 0,
    joint: bool = False,
    paper: bool = False,
) -> int:
    """Train the embedded streets and rooms alone, then together with what these networks say of unlabelled images.

    Starts from a network that was trained on ImageNet and comes with the installation: nothing is downloaded. Takes a
    few minutes on two cores. Called again it resumes what was interrupted.

    Args:
        out: Where the runs go, a folder each, and the report.
        labeled: Labelled images of each world; another 142 of each are used without their labels.
        steps: Training steps of each method.
        seed: Of everything.
        joint: Train also one network on the labels of both worlds alone, for comparison.
        paper: Train also the universal method exactly as published, for comparison.

    Returns:
        0
    """
    one = ModelConfig(encoder="tf_efficientnet_lite0")
    methods: dict[str, tuple[ModelConfig, partial[Any]]] = {
        "supervised-only": (replace(one, separate=True), partial(Supervised)),
        "self-training": (one, partial(Supervised)),
    }
    if joint:
        methods["joint"] = (one, partial(Supervised))
    if paper:
        as_published = partial(Universal, alpha=1.0, beta=1.0, anchor=0.0, warmup=(0.0, 0.0), start=None)
        methods["universal-paper"] = (replace(one, batch_norm="shared"), as_published)
    trainer = {"max_steps": steps, "precision": "auto", "accelerator": "cpu"}
    learn = partial(train, trainer=trainer, seed=seed, keep="last", check=False, optimizer=ADAMW, validate_every=steps)
    runs, data = list[Path](), worlds(labeled, seed)
    for name, (config, method) in methods.items():
        print(f"{name}: {steps} steps on {labeled} labelled images of each world")
        given = data
        if name == "self-training":  # the networks of each world alone label the other images, once
            given = label_mixture(runs[0], data, out / "labels", Labeling(), "cpu")
        run = learn(given, method, config, out=out / name, networks=out / "supervised-only" if paper else None)
        with redirect_stdout(StringIO()):  # its class-wise table stands in the report
            evaluate(run, data, device="cpu", details=True)
        runs.append(run)
    page = report(runs, out / "report")
    print(summary(runs, labeled))
    print(f"\nCurves, examples and class-wise scores: {page}")
    print(f"Try the model on your own pictures: semiverse predict {runs[1]} PICTURE --domain streets --out predictions")
    return 0


def worlds(labeled: int, seed: int) -> DomainMixture:
    """Streets (8 classes) and rooms (9 classes), 150 images each, of which a few keep their labels."""
    return DomainMixture(
        {
            "streets": Domain(SyntheticStreets(images=150, val_images=40), labeled=labeled),
            "rooms": Domain(SyntheticRooms(images=150, val_images=40), labeled=labeled),
        },
        batch_size=4,
        crop=(96, 128),
        augmentation=Augmentation(scale=(0.6, 1.5), flip=0.5, color=0.3),
        balance=Balance(),
        seed=seed,
    )


def summary(runs: list[Path], labeled: int) -> str:
    """The table of the runs, and in a sentence what it says."""
    lines, totals = [], []
    for run in runs:
        scores = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
        seconds = json.loads((run / "finished.json").read_text(encoding="utf-8"))["seconds"]
        mious = "".join(f"{100 * result['miou']:>10.1f}" for result in scores["domains"].values())
        names, images = "".join(f"{name:>10}" for name in scores["domains"]), len(scores["domains"]) * labeled
        totals.append(100 * scores["sum_miou"])
        lines.append(f"{run.name:<18}{mious}{totals[-1]:>8.1f}{images:>8}{seconds:>9.0f}")
    lines.insert(0, f"\n{'method':<18}{names}{'sum':>8}{'labels':>8}{'seconds':>9}")
    alone, taught, *_ = totals
    lines.append(
        f"\nmIoU in percent on images never seen. From the same {images} labels, one model for both worlds that also "
        f"learns from images without labels scores {taught - alone:+.1f} points against a model for each world alone "
        "(one seed; docs/results.md has three)."
    )
    return "\n".join(lines)
