"""One segmentation model for all your datasets, from a handful of labels.

Importing the package imports nothing heavy: public names are looked up on first use.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Domain": "semiverse.mixture",
    "DomainMixture": "semiverse.mixture",
    "LabelSpace": "semiverse.labels",
    "ModelConfig": "semiverse.models",
    "Predictor": "semiverse.inference.predictor",
    "SegmentationModel": "semiverse.models",
    "check": "semiverse.commands.check",
    "cluster": "semiverse.commands.cluster",
    "download": "semiverse.commands.download",
    "evaluate": "semiverse.commands.evaluate",
    "init": "semiverse.commands.init",
    "predict": "semiverse.commands.predict",
    "export": "semiverse.commands.export",
    "pseudolabel": "semiverse.commands.pseudolabel",
    "push": "semiverse.commands.push",
    "serve": "semiverse.commands.serve",
    "report": "semiverse.commands.report",
    "selftrain": "semiverse.commands.selftrain",
    "split": "semiverse.commands.split",
    "train": "semiverse.commands.train",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:  # noqa: ANN401  (a module's attribute may be anything)
    """Import the home of a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'semiverse' has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
