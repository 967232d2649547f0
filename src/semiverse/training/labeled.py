"""Which images kept their labels in a run, so that it never goes on with others."""

import json
from collections.abc import Sequence
from typing import Any

from semiverse.data import digest
from semiverse.files import write_atomically
from semiverse.mixture import DomainMixture
from semiverse.mixture.domain import labeling_facts
from semiverse.run import Run

LABELED = "labeled.json"


def note_labeled(run: Run, data: DomainMixture) -> None:
    """Write ids, rule, seed and digest of the labelled images of every domain to ``labeled.json``."""
    facts = {name: labeling_facts(data.domains[name], records, data.seed) for name, records in data.labeled.items()}
    write_atomically(run.folder / LABELED, json.dumps(facts, indent=1) + "\n")


def refuse_other_labels(run: Run, data: DomainMixture) -> None:
    """Make sure that the labelled images are those that a run began with.

    The configuration is the same, but the files may not be: with one image more a draw gives others, and a list may
    have been edited.

    Raises:
        ValueError: If they are not.
    """
    path = run.folder / LABELED
    if not path.is_file():
        return
    kept: dict[str, dict[str, Any] | list[str]] = json.loads(path.read_text(encoding="utf-8"))
    for name, records in data.labeled.items():
        ids, facts = [record.id for record in records], kept[name]
        if isinstance(facts, list):  # as runs of version 0.1 have it
            facts = {"ids": facts, "sha256": digest(facts)}
        if facts["sha256"] != digest(ids):
            raise ValueError(
                f"domain {name}: the labelled images are not those that {run.folder} began with "
                f"({_changes(facts['ids'], ids)}); expected the same, as a run must not change its labels: restore "
                f"the files or the list ({path} names the images), or choose another --out"
            )


def _changes(old: Sequence[str], new: Sequence[str]) -> str:
    """How one list differs from another, in words."""
    gone, added = sorted(set(old) - set(new)), sorted(set(new) - set(old))
    parts = [f"{len(gone)} of {len(old)} left, such as {gone[0]}"] if gone else []
    parts += [f"{len(added)} came, such as {added[0]}"] if added else []
    return ", ".join(parts) or "the same in another order"
