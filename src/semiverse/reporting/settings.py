"""Which runs are repetitions of one setting: they differ only in their seeds."""

import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from semiverse.reporting.runs import Declared, Protocol, RunFacts, Score


@dataclass(frozen=True)
class Setting:
    """Runs that differ only in their seeds."""

    name: str
    runs: list[RunFacts]

    @property
    def declared(self) -> Declared | None:
        """What its method says of itself."""
        return self.runs[0].declared

    def scored(self, protocol: Protocol) -> list[Score]:
        """Scores of its runs by a protocol."""
        return [run.scores[protocol] for run in self.runs if protocol in run.scores]

    @property
    def columns(self) -> list[str]:
        """Those of metrics.csv in all runs."""
        return list(dict.fromkeys(column for run in self.runs for row in run.rows for column in row))


def settings(runs: Sequence[RunFacts]) -> list[Setting]:
    """Runs in groups that differ only in the seed (of training or data), in where networks lie, or in loading."""
    return [Setting(common_name(group), group) for group in alike(runs, lambda run: without_seeds(run.config))]


def alike(runs: Sequence[RunFacts], values: Callable[[RunFacts], object]) -> list[list[RunFacts]]:
    """Runs in groups of equal values."""
    groups: dict[str, list[RunFacts]] = {}
    for run in runs:
        groups.setdefault(json.dumps(values(run), sort_keys=True, default=str), []).append(run)
    return [*groups.values()]


def without_seeds(config: Mapping[str, Any]) -> dict[str, Any]:
    """What repetitions of a setting have in common."""
    common = deepcopy(dict(config))
    for section, keys in ((common, ("seed", "networks", "check")), (common["data"], ("seed", "workers"))):
        for key in keys:
            section.pop(key, None)
    return common


def common_name(runs: Sequence[RunFacts]) -> str:
    """How the names of repetitions begin; the method if they have nothing in common."""
    if len(runs) == 1:
        return runs[0].name
    letters = zip(*(run.name for run in runs), strict=False)
    common = "".join(first for first, *_ in takewhile(lambda same: len(set(same)) == 1, letters))
    return common.rstrip("0123456789-_. ").removesuffix("seed").rstrip("-_. /") or runs[0].method
