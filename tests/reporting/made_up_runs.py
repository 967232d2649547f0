"""Run folders that were never trained, with scores that a test chooses."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from semiverse.configuration import dump_yaml
from semiverse.reporting.runs import read_runs
from semiverse.reporting.settings import Setting, settings

Changes = Mapping[str, Any]


def make_run(
    folder: Path,
    scores: Mapping[str, float | None] | None = None,
    method: str = "Supervised",
    arguments: Changes | None = None,
    seed: int = 0,
    budgets: Mapping[str, int] | None = None,
    **changes: Any,
) -> Path:
    """A run of these domains, evaluated with these scores by domain; changes by dotted path with two underscores."""
    scores = scores or {}
    budgets = budgets or dict.fromkeys(scores or ("street", "room"), 3)
    dataset = {"class_path": "semiverse.datasets.CamVid", "init_args": {"root": "/no-such-data"}}
    config: dict[str, Any] = {
        "data": {
            "domains": {name: {"dataset": dataset, "labeled": budgets[name], "val": "val"} for name in budgets},
            "crop": [64, 64],
            "seed": seed,
        },
        "method": {"class_path": f"semiverse.methods.{method}", "init_args": dict(arguments or {})},
        "model": {"encoder": "drn_d_22", "decoder": "linear", "separate": False},
        "optimizer": {"lr": 0.01},
        "trainer": {"max_steps": 100},
        "seed": seed,
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        inner = config
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(dump_yaml(config))
    labeled = {name: [f"{name}{i}" for i in range(count)] for name, count in budgets.items()}
    (folder / "labeled.json").write_text(json.dumps(labeled))
    if scores:
        common = {"images": 7, "split": "val", "via": "decoder", "variant": "default"}
        domains = {
            name: {"miou": value, "iou": {"sky": value, "lamp": 0.5}, **common} for name, value in scores.items()
        }
        (folder / "evaluation.json").write_text(json.dumps({"domains": domains}))
    return folder


def change_evaluation(run: Path, domain: str, **values: Any) -> None:
    """Other values in what the evaluation says of a domain."""
    file = run / "evaluation.json"
    evaluation = json.loads(file.read_text())
    evaluation["domains"][domain] |= values
    file.write_text(json.dumps(evaluation))


def read(*folders: Path) -> list[Setting]:
    return settings(read_runs(list(folders)))
