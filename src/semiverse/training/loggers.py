"""Where else the numbers of a training go: any object with ``log_metrics``, such as Lightning's loggers."""

import inspect
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from semiverse.run import Run

SHORT = {
    "CSVLogger": ("lightning_fabric.loggers.CSVLogger",),
    "TensorBoardLogger": ("lightning_fabric.loggers.TensorBoardLogger",),
    "WandbLogger": ("lightning.pytorch.loggers.WandbLogger", "pytorch_lightning.loggers.WandbLogger"),
    "MLFlowLogger": ("lightning.pytorch.loggers.MLFlowLogger", "pytorch_lightning.loggers.MLFlowLogger"),
}
"""Where loggers that are named without a module are looked for."""
FOLDERS = ("root_dir", "save_dir")
"""Arguments that are the run folder, unless they are given."""


def build_loggers(given: Sequence[Any], run: Run) -> list[Any]:
    """Loggers, of objects as they are and of ``class_path`` and ``init_args``.

    Args:
        given: Objects, or plain values that say of which class they are.
        run: Whose folder they write to, if they ask for one.

    Raises:
        ImportError: If a class, or what it needs, is not installed.
        ValueError: If one is described wrongly, or has no ``log_metrics``.
    """
    return [_checked(_made(one, run) if isinstance(one, str | dict) else one) for one in given]


def _made(given: str | dict[str, Any], run: Run) -> object:
    values: dict[str, Any] = {"class_path": given} if isinstance(given, str) else given
    if not isinstance(values.get("class_path"), str) or not {*values} <= {"class_path", "init_args"}:
        expected = "class_path and init_args, or one of " + ", ".join(SHORT)
        raise ValueError(f"loggers: found {values}; expected {expected}: correct it")
    kind, arguments = _find(values["class_path"]), dict(values.get("init_args") or {})
    known = inspect.signature(kind).parameters
    arguments |= {name: str(run.folder) for name in FOLDERS if name in known and name not in arguments}
    try:
        inspect.signature(kind).bind(**arguments)
    except TypeError as error:
        raise ValueError(
            f"loggers: {kind.__name__}: {error}; expected {', '.join(known)}: correct init_args"
        ) from error
    return kind(**arguments)


def _find(path: str) -> type:
    """The class of a path."""
    reason = "it is no dotted path"
    for place in SHORT.get(path, (path,)):
        module, _, name = place.rpartition(".")
        try:
            kind = getattr(import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            reason = str(error)
        else:
            if isinstance(kind, type):
                return kind
            reason = f"{name} is no class"
    raise ImportError(
        f"loggers: {path} cannot be imported ({reason}); expected the import path of a class, or one of "
        f"{', '.join(SHORT)}: install its package, or correct the path"
    )


def _checked(logger: object) -> object:
    if not callable(getattr(logger, "log_metrics", None)):
        found = f"loggers: {type(logger).__name__} has no method log_metrics"
        raise ValueError(f"{found}; expected an object that is given metrics and a step: name another")
    return logger


def finish_loggers(loggers: Sequence[Any], done: bool) -> None:
    """Let loggers write what they keep; ``done`` says whether the training came to its end."""
    for logger in loggers:
        if callable(finalize := getattr(logger, "finalize", None)):
            finalize("success" if done else "failed")
