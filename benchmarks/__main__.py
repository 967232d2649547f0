"""Run benchmarks by name and write what was measured as JSON."""

import argparse
import json
from importlib import import_module
from pathlib import Path

from benchmarks.measure import machine

NAMES = (
    "entropy",
    "conditional_entropy",
    "confusion",
    "argmax",
    "centroids",
    "training_step",
    "loop",
    "peer",
    "depthwise",
    "dense",
    "channels_last",
    "allocation",
    "consistency",
    "data_loading",
    "clustering",
    "service",
    "predict",
    "scale",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which of {', '.join(NAMES)}; all when none is named")
    parser.add_argument("--out", type=Path, help="also write the JSON to this file")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(NAMES))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    results = {"machine": machine(), "benchmarks": {}}
    for name in arguments.names or NAMES:
        results["benchmarks"][name] = import_module(f"benchmarks.{name}").run()
        print(json.dumps({name: results["benchmarks"][name]}, indent=2), flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
