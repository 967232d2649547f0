"""Configurations as plain values: read from YAML, merged, described from objects, compared.

Only :mod:`semiverse.configuration.build` uses the parser; it is imported where something is built.
"""

import copy
import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from warnings import warn

import yaml

from semiverse.files import DataProblem, bearable, read_text, reading

USER_ERRORS = (ValueError, OSError, FloatingPointError, ImportError)
"""What is the data's, the call's or the installation's fault; everything else is ours and keeps its traceback."""

Plain = Any
"""None, bool, int, float, str, and lists and string-keyed dictionaries of them."""


def describe(value: object) -> Plain:
    """An object as the plain values that would build it again.

    Data classes become their fields; other objects ``class_path`` and ``init_args``, read from attributes that carry
    the names of the constructor's arguments; classes, functions and partial calls of them the same, with defaults
    filled in.

    Raises:
        TypeError: If an object does not keep its arguments under their own names, or a function has no name.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [describe(item) for item in value]
    if isinstance(value, type | partial) or inspect.isfunction(value):  # waits for its first argument
        called, given = (value.func, value.keywords) if isinstance(value, partial) else (value, {})
        defaults: dict[str, Any] = {}
        for _, signature, _ in reversed(signatures(called)):
            defaults |= {one.name: one.default for one in signature.parameters.values() if one.default is not one.empty}
        return {"class_path": _path(called), "init_args": describe(defaults | given)}
    if is_dataclass(value):
        return {field.name: describe(getattr(value, field.name)) for field in fields(value)}
    parameters = inspect.signature(type(value)).parameters
    names = [name for name, one in parameters.items() if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    missing = [name for name in names if not hasattr(value, name)]
    if missing:
        raise TypeError(
            f"{type(value).__name__} does not keep its arguments {', '.join(missing)}; expected attributes of the same "
            "names, from which its configuration is written: store them in __init__"
        )
    return {"class_path": _path(type(value)), "init_args": {name: describe(getattr(value, name)) for name in names}}


def signatures(called: Callable[..., Any]) -> list[tuple[Callable[..., Any], inspect.Signature, str]]:
    """A function, its signature and docstring; of a class its constructor, and those that get its ``**options``."""
    found: list[tuple[Callable[..., Any], inspect.Signature, str]] = []
    for kind in called.__mro__ if isinstance(called, type) else [called]:
        function = vars(kind).get("__init__") if isinstance(kind, type) else kind
        if function is not None:
            found.append((function, inspect.signature(function), kind.__doc__ or ""))
            if not any(one.kind is one.VAR_KEYWORD for one in found[-1][1].parameters.values()):
                break
    return found


def _path(called: Callable[..., Any]) -> str:
    """Where a class or function is imported from: the shortest package that offers it under its own name."""
    module, name = called.__module__, called.__qualname__
    if "<" in name:
        raise TypeError(
            f"{name} in {module} cannot be named in a configuration; expected a class or a function of a module: write "
            "one, or fill in options with functools.partial"
        )
    parts = module.split(".")
    packages = (".".join(parts[:length]) for length in range(1, len(parts)))
    offers = (package for package in packages if vars(sys.modules[package]).get(name) is called)
    return f"{next(offers, module)}.{name}"


def differences(old: Plain, new: Plain, where: str = "") -> list[str]:
    """Where two configurations differ, one line each: ``data.batch_size: 4, now 8``."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [f"{where}: {old}, now {new}"]
    sides = {f"{where}.{key}".lstrip("."): (old.get(key, "(absent)"), new.get(key, "(absent)")) for key in old | new}
    return [line for place, (was, now) in sides.items() for line in differences(was, now, place)]


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a key that stands twice: YAML would silently keep the last, such as the second of two equal domains."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if (key.tag, str(key.value)) in seen:
                found = f"key {key.value!r} stands twice (again in line {key.start_mark.line + 1})"
                raise DataProblem(found, "each once", "rename one of them")
            seen.add((key.tag, str(key.value)))
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int | str:  # type: ignore[override]
        """Whole numbers as people write them: 010 and 12:30 are text, not 8 and 750."""
        text = str(node.value)
        return text if ":" in text or re.fullmatch(r"[-+]?0\d+", text) else super().construct_yaml_int(node)


_UniqueKeyLoader.add_constructor("tag:yaml.org,2002:int", _UniqueKeyLoader.construct_yaml_int)


class _Dumper(yaml.SafeDumper):
    """Puts quotes around text that the loader would read as a number."""


# YAML 1.1 reads 1e-3 as text; papers write learning rates that way.
_EXPONENT = re.compile(r"^[-+]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$")
for _side in (_UniqueKeyLoader, _Dumper):
    _side.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789."))


def load_yaml(text: str) -> Plain:
    """Plain values from YAML text.

    Raises:
        ValueError: If a key stands twice, or the text is no YAML.
    """
    try:
        return copy.deepcopy(_loaded(text))
    except DataProblem as error:
        raise ValueError(str(error)) from error  # who knows the file names it
    except (yaml.YAMLError, RecursionError, TypeError, ValueError, OverflowError) as error:  # such as 30 February
        place = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error)
        where = f" in line {place.line + 1}, column {place.column + 1}" if place is not None else ""
        reason = bearable(f"{reason}{where}")
        raise ValueError(
            f"not readable as YAML ({reason}); expected keys and values: check indents and quotes"
        ) from error


@lru_cache(maxsize=128)
def _loaded(text: str) -> Plain:
    """Values that nobody may change: the runs of a table share files, and reading is slow."""
    return yaml.load(text, _UniqueKeyLoader)


def dump_yaml(values: Plain) -> str:
    """Plain values as YAML text, in the order given."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def read_yaml(path: Path, expected: str) -> Plain:
    """Plain values from a YAML file, which is there.

    Args:
        path: The file.
        expected: What it should hold, for messages.

    Raises:
        ValueError: If it is no such text; the message names the file.
    """
    text = read_text(path, f"{expected}, in UTF-8")
    with reading(path, expected, "check indents and quotes"):
        try:
            return load_yaml(text)
        except ValueError as error:
            raise DataProblem(f"{path}: {error}") from error


def read_config(path: Path, silent: bool = False) -> dict[str, Plain]:
    """Options from a YAML file in today's form; a warning shows it where the file has another, unless ``silent``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no YAML, or no mapping.
    """
    if not path.is_file():
        near = get_close_matches(path.name, [other.name for other in path.parent.glob("*.y*ml")], n=1)
        hint = f"did you mean {path.with_name(near[0])}?" if near else "check the path"
        raise FileNotFoundError(f"{path}: no such file; expected a YAML file with options: {hint}")
    values = read_yaml(path, "options as YAML")
    if not isinstance(values, dict):
        raise ValueError(
            f"{path}: found {type(values).__name__}; expected options as keys and values: see the examples"
        )
    return modernized(values, silent)


def merged(old: Plain, new: Plain) -> Plain:
    """The new value; of two mappings, what either says, and the new one where both do, unless they are two classes."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    if "class_path" in new and new["class_path"] != old.get("class_path"):
        return new
    return old | {name: merged(old.get(name), value) for name, value in new.items()}


MOVED = {name: f"optimizer.{name}" for name in ("lr", "momentum", "weight_decay", "power", "decay", "clip")} | {
    "head_lr": "optimizer.head_factor",
    "schedule": "optimizer.decay_steps",
    "zero_border": "model.zero_border",
}
"""Where options of methods of version 0.1 stand now."""
NEWER = ("Consistency",)
"""Methods that version 0.1 did not have, whose options may have such names."""
AS_BEFORE = {"algorithm": "sgd", "decoder_factor": 1.0, "warmup": 0, "decay_steps": None}
"""What optimisers of version 0.1 were like without saying so."""
FEATURE_ROWS = {"joint_pca": False, "project_from_pca": False, "pixels": 50_000}
"""What label embeddings of version 0.1 were made by if nothing else was said."""

ADDED: dict[str, dict[str, Plain]] = {
    "semiverse.methods.Universal": {"update_from": "epoch"},
    "semiverse.methods.Supervised": {"pseudo_weight": 1.0, "strong": None},
    "semiverse.methods.Consistency": {"pseudo_weight": 1.0, "cross_mix": 0.0, "adjust": 0.0, "trust": "threshold"}
    | {"anchor": 0.0, "embed_dim": 128, "rows": None},
}
"""Options that methods have got since, and what they did before."""
ADDED_TO_VIEWS: dict[str, Plain] = {"hide": 0.0}
"""Likewise of the strong views of methods (``strong``)."""

ADDED_TO_DATASETS: dict[str, dict[str, Plain]] = {
    "semiverse.datasets.Coco": {"empty": "refuse"},
    "semiverse.datasets.Folder": {"image_folder": None, "mask_folder": None, "without_mask": "refuse"},
    "semiverse.datasets.VocFolder": {"unmasked": "refuse"},
}
"""Likewise of datasets."""


def modernized(values: dict[str, Plain], silent: bool = False) -> dict[str, Plain]:
    """A training's configuration in today's form, with a warning that shows it if version 0.1 wrote it otherwise.

    That of a run (``silent``) says every value; what version 0.1 was like without saying so is added to it, and what
    methods did that had fewer options.
    """
    new, moved = rewritten(values)
    if silent and isinstance(method := new.get("method"), dict) and method.get("class_path") in ADDED:
        arguments = ADDED[method["class_path"]] | (method.get("init_args") or {})
        if isinstance(strong := arguments.get("strong"), dict):
            arguments["strong"] = ADDED_TO_VIEWS | strong
        new = new | {"method": method | {"init_args": arguments}}
    if moved and not silent:
        warn(
            "options of version 0.1 are read, and will be refused from version 0.3 on; write instead:\n"
            + dump_yaml(moved).rstrip(),
            stacklevel=2,
        )
    if not silent:
        return new
    return _completed(new | {"optimizer": AS_BEFORE | new["optimizer"]} if "optimizer" in moved else new)


def _completed(values: dict[str, Plain]) -> dict[str, Plain]:
    """The configuration of a run, with what version 0.1 was like where it wrote nothing.

    No domain had pseudo-labels, and no balance drew images. The encoder was DRN-D-22 unless another was named. Padding
    was black; without a crop there was none, so that it is whatever it is today. Of the library's own networks it wrote
    that they are not pre-trained, which today goes without saying.
    """
    data, model = values.get("data"), values.get("model")
    if not isinstance(data, dict) or "domains" not in data:
        return values
    if isinstance(data.get("balance"), dict):
        data = data | {"balance": {"temperature": None} | data["balance"]}
    domains = {
        name: {"pseudolabels": None} | {k: _completed_dataset(v) if k == "dataset" else v for k, v in domain.items()}
        for name, domain in data["domains"].items()
    }
    if not isinstance(model, dict) or "padding" in model:
        return values | {"data": data | {"domains": domains}}
    domains = {name: {"crop": None} | domain for name, domain in domains.items()}
    before: dict[str, Plain] = {"padding": "mean" if data.get("crop") is None else "black"}
    before |= {"encoder": "drn_d_22", "decoder": "linear", "output_stride": 8}
    before |= {"head_deviation": None, "decoder_norm": False, "frozen": 0}
    own = str(model.get("encoder", "drn_")).startswith(("drn_", "deeplab_"))
    unsaid = {"pretrained": None} if own and model.get("pretrained") is False else {}
    return values | {"data": {"balance": None} | data | {"domains": domains}, "model": before | model | unsaid}


def _completed_dataset(value: Plain) -> Plain:
    """The dataset of a run, and one in it, with the options that it has got since."""
    if not isinstance(value, dict):
        return value
    arguments = value.get("init_args")
    arguments = arguments if isinstance(arguments, dict) else {}
    inner = {"dataset": _completed_dataset(arguments["dataset"])} if "dataset" in arguments else {}
    completed = ADDED_TO_DATASETS.get(str(value.get("class_path")), {}) | arguments | inner
    return value | {"init_args": completed} if completed else value


def rewritten(values: dict[str, Plain]) -> tuple[dict[str, Plain], dict[str, Plain]]:
    """A training's configuration in today's form, and those of its options that stood elsewhere in version 0.1."""
    method = values.get("method")
    if not isinstance(method, dict):
        return values, {}
    kind = str(method.get("class_path", ""))
    if ("." in kind and not kind.startswith("semiverse.")) or kind.rpartition(".")[2] in NEWER:
        return values, {}  # a method of somebody else's may well have an option of such a name
    described = bool(kind) or "init_args" in method
    given = (method.get("init_args") or {}) if described else method
    sections_given = [values.get(name.partition(".")[0]) or {} for name in MOVED.values()]
    if not all(isinstance(part, dict) for part in (given, *sections_given)):
        return values, {}  # whoever reads the options says so
    arguments = dict(given)
    moved: dict[str, dict[str, Plain]] = {}
    rows = arguments.get("rows")
    if isinstance(rows, dict) and "class_path" not in rows:
        del arguments["rows"]
        moved_rows = _row_source(rows)
        arguments |= moved_rows
        moved["method"] = {"init_args": moved_rows}
    for name in [name for name in arguments if name in MOVED]:
        section, _, key = MOVED[name].partition(".")
        value = arguments.pop(name)  # as text if a command line gave it
        moved.setdefault(section, {})[key] = load_yaml(value) if isinstance(value, str) else value
    if not moved:
        return values, {}
    sections = {name: (values.get(name) or {}) | moved[name] for name in moved if name != "method"}
    rest = {key: value for key, value in method.items() if key == "class_path"}
    rest |= {"init_args": arguments} if described and arguments else arguments
    return values | sections | {"method": rest or None}, moved


def _row_source(rows: dict[str, Plain]) -> dict[str, Plain]:
    """Options ``rows`` and ``start`` for what ``rows`` was in version 0.1."""
    rest = dict(rows)
    found: dict[str, Plain] = {"start": rest.pop("start")} if "start" in rest else {}
    source, file = rest.pop("source", "supervised"), rest.pop("file", None)
    if file is not None:
        return found | {"rows": {"class_path": "RowsFromFile", "init_args": {"file": file}}}
    if source == "random":
        return found | {"rows": {"class_path": "RandomRows"}}
    if any(FEATURE_ROWS.get(name) != value for name, value in rest.items()):
        return found | {"rows": {"class_path": "FeatureRows", "init_args": rest}}
    return found | {"rows": None} if rest or not found else found
