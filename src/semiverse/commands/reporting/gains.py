"""Which settings are measured against which, and what they gained or lost."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean

from semiverse.commands.reporting.comparisons import protocols
from semiverse.commands.reporting.paired import Difference, paired_difference
from semiverse.commands.reporting.roles import OTHER_DOMAIN, TRANSFER, UNLABELED, changes, further_differences
from semiverse.commands.reporting.runs import Setting
from semiverse.commands.reporting.scores import Protocol

ORDER = (OTHER_DOMAIN, f"{OTHER_DOMAIN}s", TRANSFER, UNLABELED)
"""Which comparisons come first; those of terms on labelled images come last."""
LOSS = 0.05
"""A class that loses more than this share of its intersection over union in the mean is named."""


@dataclass
class Comparison:
    """A setting against one that learns from less.

    Args:
        ours: The setting.
        theirs: What it is measured against.
        kinds: What it learns from beyond that, in words.
        further: Other options in which the two differ.
        scores: Differences of the mIoU by manner of scoring and domain ("sum": over domains), in [0, 1] each domain.
        classes: Differences of the intersection over union by domain and class.
    """

    ours: Setting
    theirs: Setting
    kinds: list[str]
    further: list[str]
    scores: Mapping[tuple[str, str], Difference] = field(default_factory=dict)
    classes: Mapping[tuple[str, str], Difference] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What is judged."""
        return " and ".join([*filter(None, [", ".join(self.kinds[:-1])]), self.kinds[-1]])

    @property
    def losses(self) -> dict[tuple[str, str], Difference]:
        """Classes that lost much, the worst first."""
        lost = {key: change for key, change in self.classes.items() if change.mean < -LOSS}
        return dict(sorted(lost.items(), key=lambda item: item[1].mean))

    @property
    def hurt(self) -> bool:
        """Whether a score, or a class that lost much, has an interval wholly below zero."""
        return any(change.hurt for change in [*self.scores.values(), *self.losses.values()])


def compare(settings: Sequence[Setting]) -> list[Comparison]:
    """Every setting against those that learn from less, on the same data and labels with the same network.

    What differs in several ways at once is left out where the step over the other domain was trained as well, and of
    several settings to measure against those count that differ in the fewest other options.
    """
    found = [pair for ours in settings for theirs in settings if (pair := _comparison(ours, theirs)) is not None]
    steps = {(pair.ours.name, pair.theirs.name): pair.kinds for pair in found}

    def in_two_steps(pair: Comparison) -> bool:
        return len(pair.kinds) > 1 and any(
            pair.kinds[0].startswith(OTHER_DOMAIN)
            and steps.get((between.name, pair.theirs.name)) == pair.kinds[:1]
            and (pair.ours.name, between.name) in steps
            for between in settings
        )

    kept = [pair for pair in found if not in_two_steps(pair)]
    fewest: dict[tuple[str, str], int] = {}
    for pair in kept:
        key = (pair.ours.name, pair.kind)
        fewest[key] = min(fewest.get(key, len(pair.further)), len(pair.further))
    nearest = [pair for pair in kept if len(pair.further) == fewest[pair.ours.name, pair.kind]]
    return sorted(nearest, key=lambda pair: ORDER.index(pair.kinds[0]) if pair.kinds[0] in ORDER else len(ORDER))


def _comparison(ours: Setting, theirs: Setting) -> Comparison | None:
    one, two = ours.runs[0].config, theirs.runs[0].config
    kinds = changes(one, two)
    if not kinds:
        return None
    domains = [name for name in ours.runs[0].domains if name in theirs.runs[0].domains]
    shared = {
        manner: [protocol for protocol in members if protocol.domain in domains]
        for manner, members in protocols([ours, theirs]).items()
    }
    scores = {
        (manner, domain): _paired(ours, theirs, chosen)
        for manner, members in shared.items()
        for domain, chosen in _parts(members).items()
    }
    classes = {
        (protocol.domain, title): _paired(ours, theirs, [protocol], title)
        for protocol in shared.get("by decoder", [])
        for title in _titles(ours, protocol)
    }
    further = further_differences(one, two)
    return Comparison(ours, theirs, kinds, further, _known(scores), _known(classes))


def _parts(members: Sequence[Protocol]) -> dict[str, list[Protocol]]:
    """What differences are formed of: the sum over domains, where there are several, and each of them."""
    total = {"sum": list(members)} if len(members) > 1 else {}
    return total | {protocol.domain: [protocol] for protocol in members}


def _titles(setting: Setting, protocol: Protocol) -> list[str]:
    scores = [run.scores[protocol] for run in setting.runs if protocol in run.scores]
    return list(dict.fromkeys(title for score in scores for title in score.iou))


def _known(
    differences: Mapping[tuple[str, str], Difference | None],
) -> dict[tuple[str, str], Difference]:
    return {key: change for key, change in differences.items() if change is not None}


def _paired(ours: Setting, theirs: Setting, members: Sequence[Protocol], title: str | None = None) -> Difference | None:
    """Difference of the sum of mIoU, or of a class, paired over the seeds of training and data."""
    return paired_difference(_by_seeds(ours, members, title), _by_seeds(theirs, members, title))


def _by_seeds(setting: Setting, members: Sequence[Protocol], title: str | None) -> dict[Hashable, float]:
    """Values by seeds; evaluations apart from last validations, those of trainings that go on left out."""
    found: dict[Hashable, list[float]] = {}
    for run in setting.runs:
        scores = [run.scores[protocol] for protocol in members if protocol in run.scores]
        values = [score.miou if title is None else score.iou.get(title) for score in scores]
        known = [value for value in values if value is not None]
        evaluated = tuple(score.step is None for score in scores)
        if len(known) == len(members) and (run.finished or all(evaluated)):
            seeds = (run.config.get("seed"), run.config["data"].get("seed"))
            found.setdefault((*seeds, evaluated), []).append(sum(known))
    return {key: mean(values) for key, values in found.items()}
