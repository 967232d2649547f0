"""Read MATLAB files of both kinds: version 5 to 7, read as a whole, and version 7.3, which is HDF5, read in pieces.

Every reader raises FileNotFoundError if there is no such file; ValueError if it is no complete MATLAB file of its kind,
or lacks what is asked for; and ImportError if a package is missing.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from semiverse.files import DataProblem, MissingData, reading
from semiverse.formats.matlab5 import unpacked


def load_matlab(path: Path) -> dict[str, Any]:
    """All variables of a small file of either kind, by name.

    Args:
        path: The file.

    Returns:
        Arrays without their axes of length 1, numbers, strings; a struct is a dict, an array of structs or a cell
        array a list or an array of these.
    """
    if is_hdf5(path):
        with open_hdf5(path) as file:
            return {name: _plain(file, item) for name, item in file.items() if not name.startswith("#")}
    return {name: value for name, value in _load_v5(path).items() if not name.startswith("__")}


def load_variable(path: Path, *names: str) -> Any:  # noqa: ANN401  (whatever the file holds)
    """One variable of a small file, or a field of a struct in it (several names), as ``load_matlab`` gives it."""
    value: Any = load_matlab(path)
    for name in names:
        if not isinstance(value, dict) or name not in value:
            raise _lacking(path, ".".join(names))
        value = value[name]
    return value


def struct_field(path: Path, variable: str, field: str) -> list[Any]:
    """One field of every entry of an array of structs, without converting the other fields."""
    if is_hdf5(path):
        with open_hdf5(path) as file:
            return [_plain(file, file[reference]) for reference in file[variable][field][()].ravel()]
    entries = np.atleast_1d(_load_v5(path, simplify_cells=False, squeeze_me=True).get(variable, ()))
    if field not in (entries.dtype.names or ()):
        raise _lacking(path, f"{variable}.{field}")
    return list(entries[field])


def is_hdf5(path: Path) -> bool:
    """Whether the file is of version 7.3."""
    if not path.is_file():
        raise MissingData(f"{path}: no such file", "a MATLAB file", "correct the root or download it")
    with path.open("rb") as file:
        head = file.read(520)
    return b"\x89HDF\r\n\x1a\n" in (head[:8], head[512:])  # where HDF5 begins, and behind MATLAB's header


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """A file of version 7.3, open for reading pieces of it (an ``h5py.File``) until the block ends.

    MATLAB's axes come out in reverse order. Nothing stays open in between, because worker processes would inherit an
    open file together with its position; opening costs a third of a millisecond.
    """
    if not is_hdf5(path):
        expected = "a MATLAB file of version 7.3, as its owner offers it"
        raise DataProblem(f"{path}: found no HDF5 file", expected, "download it again")
    read = _package("h5py", path).File
    with reading(path, "a complete MATLAB file", "copy or download it again"), read(path, "r") as file:
        yield file


def struct_entry(path: Path, variable: str, field: str, number: int) -> np.ndarray:
    """One field of one entry of an array of structs in a file of version 7.3; nothing else is read.

    Args:
        path: The file.
        variable: Name of the array.
        field: Name of the field.
        number: Which entry, counted from 1 as in MATLAB.

    Returns:
        The array, its axes in MATLAB's order.
    """
    with open_hdf5(path) as file:
        references = file[variable][field]
        if not 1 <= number <= references.size:
            found = f"{path}: found {references.size} entries of {variable}"
            raise DataProblem(found, f"at least {number}", "download it again")
        return np.asarray(file[references[np.unravel_index(number - 1, references.shape)]][()].T)


def train_ids(values: np.ndarray, table: np.ndarray, path: Path) -> Tensor:
    """Train ids, (H, W) uint8, of raw ids that were read from a MATLAB file.

    Args:
        values: (H, W), raw ids.
        table: Train id or ``IGNORE`` of each raw id, (number of raw ids,) uint8.
        path: Where the values are from, for the message.

    Raises:
        ValueError: If a value has no place in the table.
    """
    with reading(path, "class ids, (height, width)", "is it the owner's file?", "its values cannot be used"):
        given = np.asarray(values)
        values = np.ascontiguousarray(given).astype(np.int64)
        if given.ndim != 2 or not given.size or not np.array_equal(given, values):
            found = f"{path}: found values of shape {given.shape}, or others than whole numbers"
            raise DataProblem(found, "class ids, (height, width)", "is it the owner's file?")
    if values.min() < 0 or values.max() >= len(table):
        row, column = (int(i) for i in np.argwhere((values < 0) | (values >= len(table)))[0])
        found = f"{path}: mask value {values[row, column]} at pixel (x={column}, y={row}) is outside the label space"
        raise DataProblem(found, f"0 to {len(table) - 1}", "is it the owner's file?")
    return torch.from_numpy(table[values])


def _load_v5(path: Path, **options: bool) -> dict[str, Any]:
    read = _package("scipy.io", path).loadmat
    with reading(path, "a complete MATLAB file", "copy or download it again"):
        return dict(read(io.BytesIO(unpacked(path.read_bytes())), **(options or {"simplify_cells": True})))


def _lacking(path: Path, name: str) -> ValueError:
    return DataProblem(f"{path}: found no {name} in the file", "the owner's file of this name", "download it again")


def _package(name: str, path: Path) -> Any:  # noqa: ANN401  (neither package has types)
    try:
        return import_module(name)
    except ImportError as error:
        needed = name.partition(".")[0]
        found = f"{path}: reading it needs the package {needed}, which is not installed"
        raise ImportError(f"{found}: pip install {needed}") from error


def _plain(file: Any, item: Any) -> Any:  # noqa: ANN401
    """An HDF5 object as what it was in MATLAB."""
    kind = item.attrs.get("MATLAB_class", b"").decode()
    if hasattr(item, "keys"):
        return {name: _plain(file, child) for name, child in item.items()}
    if item.dtype == object:  # references: a cell array, or a field of an array of structs
        return [_plain(file, file[reference]) for reference in item[()].T.ravel()]
    if kind == "char":
        return "".join(chr(code) for code in item[()].T.ravel()) if "MATLAB_empty" not in item.attrs else ""
    return item[()].T.squeeze()[()]
