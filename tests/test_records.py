"""What files say is compared with the types of what it becomes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

from semiverse.configuration.records import checked, fits, record


class Inner(NamedTuple):
    name: str
    share: float | None = None


@dataclass(frozen=True)
class Outer:
    count: int
    inner: list[Inner] = field(default_factory=list)
    kind: Literal["a", "b"] = "a"


def test_records_are_made_with_what_lies_in_them():
    made = record(Outer, {"count": 2, "inner": [{"name": "x", "share": 1}]}, "f.json")
    assert made == Outer(2, [Inner("x", 1)])


@pytest.mark.parametrize(
    "values, told",
    [
        (3, "f.json is 3; expected mapping"),
        ({}, "f.json has no 'count'"),
        ({"count": True}, "f.json: count is True; expected whole number"),
        ({"count": 1, "more": 2}, "f.json has 'more'"),
        ({"count": 1, "kind": "c"}, "f.json: kind is 'c'; expected a, b"),
        ({"count": 1, "inner": [{"name": 3}]}, "f.json: inner.0: name is 3; expected text"),
        ({"count": 1, "inner": ["x"]}, "f.json: inner is \\['x'\\]"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(values, told):
    with pytest.raises(ValueError, match=told):
        record(Outer, values, "f.json")


@pytest.mark.parametrize(
    "value, hint, fitting",
    [
        (1, float, True), (True, float, False), (10**400, float, False),
        ("x", list[str], False), (["x"], list[str], True),
        (None, int | None, True),
        ({"a": 1}, dict[str, int], True), ({"a": "1"}, dict[str, int], False), ([1, 2], tuple[int, int], True),
        ([1], tuple[int, int], False), ("x", Path, True), ({1: 2}, Any, True), (1.0, int, False),
        (True, Literal[1], False),
    ],
)  # fmt: skip
def test_values_have_types(value, hint, fitting):
    assert fits(value, hint) is fitting


def test_a_long_value_is_told_in_short():
    with pytest.raises(ValueError) as caught:
        checked("x" * 10**6, int, "f.json")
    assert len(str(caught.value)) < 300
