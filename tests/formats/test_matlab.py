"""Both kinds of MATLAB files give the same values, and damaged ones are named."""

import numpy as np
import pytest
import torch
from scipy.io import savemat

from semiverse.files import DataProblem
from semiverse.formats.matlab import (
    is_hdf5,
    load_matlab,
    load_variable,
    open_hdf5,
    struct_entry,
    struct_field,
    train_ids,
)
from semiverse.labels import IGNORE
from tests.fakes.indoor import write_matlab5, write_matlab73

WRITE = {"v5": write_matlab5, "v7.3": write_matlab73}
MATRIX = np.arange(6, dtype=np.uint8).reshape(2, 3)
VARIABLES = {
    "matrix": MATRIX,
    "number": np.array([[7.0]]),
    "column": np.array([[1.0], [2.0]]),
    "text": "kv2/a",
    "cell": ["one", "three"],
    "struct": {"inner": MATRIX + 1, "name": "x"},
}


@pytest.fixture(params=WRITE)
def file(request, tmp_path):
    WRITE[request.param](tmp_path / "a.mat", VARIABLES)
    return tmp_path / "a.mat"


def test_a_file_of_either_kind_gives_its_variables(file):
    found = load_matlab(file)
    assert set(found) == set(VARIABLES)
    assert np.array_equal(found["matrix"], MATRIX)
    assert float(found["number"]) == 7.0
    assert found["column"].tolist() == [1.0, 2.0]
    assert found["text"] == "kv2/a"
    assert list(found["cell"]) == ["one", "three"]
    assert np.array_equal(found["struct"]["inner"], MATRIX + 1)
    assert found["struct"]["name"] == "x"


def test_a_variable_or_a_field_of_a_struct_is_found_by_its_names(file):
    assert load_variable(file, "text") == "kv2/a"
    assert load_variable(file, "struct", "name") == "x"
    for names in (("nothing",), ("struct", "nothing"), ("matrix", "inner")):
        with pytest.raises(ValueError, match=rf"a\.mat: found no {'.'.join(names)} in the file"):
            load_variable(file, *names)


@pytest.mark.parametrize("version", WRITE)
@pytest.mark.parametrize("count", [1, 3])
def test_one_field_of_an_array_of_structs(tmp_path, version, count):
    entries = [{"path": f"a/{i}", "other": np.eye(3)} for i in range(count)]
    WRITE[version](tmp_path / "a.mat", {"meta": entries})
    assert struct_field(tmp_path / "a.mat", "meta", "path") == [f"a/{i}" for i in range(count)]
    for variable, field in (("nothing", "path"), ("meta", "nothing")):
        with pytest.raises(ValueError, match=r"a\.mat"):
            struct_field(tmp_path / "a.mat", variable, field)


def test_one_entry_is_read_in_the_order_of_its_axes(tmp_path):
    write_matlab73(tmp_path / "a.mat", {"seg": [{"label": MATRIX}, {"label": MATRIX + 10}]})
    assert np.array_equal(struct_entry(tmp_path / "a.mat", "seg", "label", 2), MATRIX + 10)
    for number in (0, 3):
        with pytest.raises(ValueError, match=r"a\.mat: found 2 entries of seg"):
            struct_entry(tmp_path / "a.mat", "seg", "label", number)


def test_the_kind_is_told_by_the_content(tmp_path):
    for version, write in WRITE.items():
        write(tmp_path / f"{version}.mat", {"a": MATRIX})
    assert is_hdf5(tmp_path / "v7.3.mat")
    assert not is_hdf5(tmp_path / "v5.mat")
    with pytest.raises(ValueError, match=r"v5\.mat: found no HDF5 file"), open_hdf5(tmp_path / "v5.mat"):
        pass


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.mat: no such file"):
        load_matlab(tmp_path / "a.mat")


@pytest.mark.parametrize("size", [0, 100, 400])
def test_a_damaged_file_is_named(file, size):
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"a\.mat: cannot be read .*; expected a complete MATLAB file"):
        load_matlab(file)


def test_a_damaged_hdf5_file_is_named(tmp_path):
    write_matlab73(tmp_path / "a.mat", VARIABLES)
    (tmp_path / "a.mat").write_bytes((tmp_path / "a.mat").read_bytes()[:900])
    with pytest.raises(ValueError, match=r"a\.mat: cannot be read"):
        load_matlab(tmp_path / "a.mat")


def test_ids_outside_the_table_are_refused_with_the_pixel(tmp_path):
    table = np.array([IGNORE, 0, 1], dtype=np.uint8)
    assert torch.equal(train_ids(np.array([[2, 0]]), table, tmp_path), torch.tensor([[1, IGNORE]], dtype=torch.uint8))
    for value in (3, -1):
        with pytest.raises(ValueError, match=rf"mask value {value} at pixel \(x=1, y=0\).*expected 0 to 2"):
            train_ids(np.array([[0, value]]), table, tmp_path)


def test_a_file_is_walked_through_before_it_is_read(tmp_path):
    """Each place of a small file made extreme: it is read, or refused with its name; before, processes ended."""
    path = tmp_path / "a.mat"
    savemat(path, {"mask": np.eye(3, dtype=np.uint8), "cells": np.array([1, "x"], dtype=object)})
    whole = path.read_bytes()
    for place in range(124, len(whole), 3):
        for value in (0, 25, 255):
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            try:
                load_matlab(path)
            except DataProblem as problem:
                assert str(path) in str(problem)
