"""What a method says about itself: what its options stand for, and what it records.

Verdicts and curves of a report are made from these, which a run keeps in ``method.json``; so a method from outside the
library has them like one inside.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Kind = Literal["labeled", "unlabeled", "transfer"]
ALWAYS = ""
"""The key in ``reads`` of what a method does whatever its options are."""


class Role(NamedTuple):
    """What training does where an option is not zero, false or null.

    Args:
        kind: It reads unlabelled images, adds something on labelled ones, or starts from another domain's network.
        words: What that is, as a verdict says it: "unlabelled images", "label embeddings as anchor".
    """

    kind: Kind
    words: str


class Curve(NamedTuple):
    """How a recorded number is shown.

    Args:
        title: What it is; of a panel with several of them, what they are together.
        unit: What stands at the axis.
        panel: Numbers with the same panel are drawn together; empty: alone.
        legend: What tells it apart there.
        scale: Of the axis: any values, whole numbers, or logarithms with zero at the bottom.
        factor: Brings values to the unit.
        by_class: There is one for each class, recorded as ``NAME/CLASS``.
    """

    title: str
    unit: str
    panel: str = ""
    legend: str = ""
    scale: Literal["linear", "whole", "log"] = "linear"
    factor: float = 1.0
    by_class: bool = False


def declared(method: type) -> dict[str, Any]:
    """What a method class declares, as plain values: ``reads`` by option, ``records`` by the last part of a column."""
    reads: Mapping[str, Role] = getattr(method, "reads", {})
    records: dict[str, Curve] = {}
    for kind in reversed(method.__mro__):
        records |= vars(kind).get("records", {})
    return {
        "reads": {option: role._asdict() for option, role in reads.items()},
        "records": {name: curve._asdict() for name, curve in records.items()},
    }
