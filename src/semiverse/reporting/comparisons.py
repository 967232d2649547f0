"""What settings learn from, which are measured against which, and what they gained or lost."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import mean, stdev
from typing import Any, NamedTuple

from scipy.stats import t

from semiverse.reporting.runs import Protocol, Setting
from semiverse.reporting.scores import flattened, protocols

OTHER_DOMAIN, TRANSFER, UNLABELED = "other domain", "transfer from the other domain", "unlabelled images"
READING = {
    "Supervised": (),
    "Finetune": (),
    "Universal": ("alpha", "beta"),
    "Adversarial": ("unlabeled_adversary", "pseudo_weight"),
    "Latent": ("unlabeled_adversary", "pseudo_weight", "consistency_weight"),
    "Adaptation": ("adversary", "auxiliary_adversary"),
}
"""Weights of the terms on unlabelled images, by method; where all are 0 no such image is read."""
LABELED_TERMS = {
    "Universal": {"anchor": "label embeddings as anchor", "rows.start": "start from a supervised network"},
    "Adversarial": {"labeled_adversary": "adversary on labelled images"},
    "Latent": {"latent_weight": "second branch", "labeled_adversary": "adversary on labelled images"},
    "Adaptation": {"auxiliary_weight": "auxiliary head"},
}
"""Weights of further terms on labelled images, and a start that was trained on them, in words, by method."""
GROUND = {
    "domains": ("dataset", "labeled", "labeled_list", "cover_classes", "groups", "train", "val", "resolution"),
    "model": ("encoder", "decoder", "width", "pretrained", "weights"),
}
"""What must be equal for settings to be compared, beside the crop."""


class Role(NamedTuple):
    """What networks learn from, beside the labelled images of the domains they are for.

    ``separate`` networks see one domain each; ``transfer`` says that they start from another domain's. ``terms`` names
    further terms on labelled images, and a start that was trained on them; ``unlabeled`` says whether unlabelled ones
    are read.
    """

    separate: bool
    transfer: bool
    terms: tuple[str, ...]
    unlabeled: bool


def role(config: Mapping[str, Any]) -> Role | None:
    """Role of a resolved configuration; None for a method that this library does not have."""
    method, domains = config["method"]["class_path"].rpartition(".")[2], config["data"]["domains"].values()
    if method not in READING:
        return None
    weights = config["method"].get("init_args") or {}
    terms = [words for key, words in LABELED_TERMS.get(method, {}).items() if _option(weights, key)]
    there = any(d.get("unlabeled", True) or d.get("unlabeled_split") or d.get("unlabeled_folder") for d in domains)
    reads = there and any(weights.get(key, 1) for key in READING[method])
    separate = bool(config.get("model", {}).get("separate")) and len(domains) > 1
    return Role(separate, method == "Finetune", tuple(terms), reads)


def changes(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str] | None:
    """What the first of two resolved configurations learns from beyond the second, in words.

    None where they do not compare: other data, budgets, crop or network, or the second has something beyond the first.
    Another domain, or the transfer from it, is measured against nothing but labelled images.
    """
    mine, others = role(ours), role(theirs)
    if mine is None or others is None or not _same_ground(ours, theirs):
        return None
    if not set(others.terms) <= set(mine.terms):
        return None
    found = [_domain_change(ours, theirs, mine, others), _unlabeled_change(mine, others)]
    kinds = [kind for kind in found if kind is not None]
    further = [term for term in mine.terms if term not in others.terms]
    return [*filter(None, kinds), *further] if len(kinds) == len(found) else None


def _option(arguments: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401
    """An argument by its dotted name; 1, which is on, where it is not given."""
    value: Any = arguments
    for key in name.split("."):
        value = value.get(key, 1) if isinstance(value, Mapping) else 1
    return value


def _same_ground(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Whether all domains of the second are domains of the first, with the same labels, crop and network."""
    our_domains, their_domains = ours["data"]["domains"], theirs["data"]["domains"]
    our_model, their_model = ours.get("model", {}), theirs.get("model", {})
    return (
        set(their_domains) <= set(our_domains)
        and ours["data"].get("crop") == theirs["data"].get("crop")
        and all(our_model.get(key) == their_model.get(key) for key in GROUND["model"])
        and all(
            our_domains[name].get(key) == values.get(key)
            for name, values in their_domains.items()
            for key in GROUND["domains"]
        )
    )


def _domain_change(ours: Mapping[str, Any], theirs: Mapping[str, Any], mine: Role, others: Role) -> str | None:
    count, their_count = len(ours["data"]["domains"]), len(theirs["data"]["domains"])
    if count == their_count and mine[:2] == others[:2]:
        return ""
    if others.transfer or others.terms or others.unlabeled:
        return None
    alone = others.separate or their_count == 1
    if mine.transfer:
        return TRANSFER if alone else None
    further = not mine.separate and (alone or their_count < count)
    return OTHER_DOMAIN + "s" * (count > 2) if further else None


def _unlabeled_change(mine: Role, others: Role) -> str | None:
    if mine.unlabeled == others.unlabeled:
        return ""
    return UNLABELED if mine.unlabeled else None


def further_differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Dotted names of other values that differ and can matter: schedule, network, options that both methods have."""
    one, two = dict(flattened(ours)), dict(flattened(theirs))
    weights = {key for keys in READING.values() for key in keys} | {k for keys in LABELED_TERMS.values() for k in keys}
    same_method = ours["method"]["class_path"] == theirs["method"]["class_path"]
    joins = bool(ours.get("model", {}).get("separate")) != bool(theirs.get("model", {}).get("separate"))
    joins = joins or len(ours["data"]["domains"]) != len(theirs["data"]["domains"])

    def matters(key: str) -> bool:
        section, _, name = key.partition(".")
        if section == "method":
            of_both = same_method or (key in one and key in two)
            return (
                key.startswith("method.init_args.") and of_both and key.removeprefix("method.init_args.") not in weights
            )
        if section == "model":
            return name != "separate" and not (joins and name == "batch_norm")
        if section == "trainer":
            return name.startswith(("max_", "min_")) or name == "precision"
        return section == "optimizer" or (section == "data" and name.startswith(("batch_size", "augmentation")))

    keys = dict.fromkeys([*one, *two])
    return [key for key in keys if matters(key) and one.get(key) != two.get(key)]


COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences with its 95 % interval of Student's t distribution.

    Args:
        mean: Ours minus theirs, in the unit of what was compared.
        low: Lower end of the interval; None for one pair, of which no spread can be told.
        high: Upper end.
        count: Number of pairs.
    """

    mean: float
    low: float | None
    high: float | None
    count: int

    @property
    def helped(self) -> bool:
        """Whether the interval lies wholly above zero."""
        return self.low is not None and self.low > 0

    @property
    def hurt(self) -> bool:
        """Whether the interval lies wholly below zero."""
        return self.high is not None and self.high < 0

    @property
    def outcome(self) -> str:
        """What the interval says, in a few words."""
        if self.low is None:
            return "one run cannot tell"
        return "helped" if self.helped else "hurt" if self.hurt else "no difference can be told"


def paired_difference(ours: Mapping[Hashable, float], theirs: Mapping[Hashable, float]) -> Difference | None:
    """Mean difference over the keys that both have, such as seeds; None where they share none.

    The interval is mean ± t(0.975, n - 1) s / sqrt(n) for the standard deviation s of n differences.
    """
    differences = [value - theirs[key] for key, value in ours.items() if key in theirs]
    if not differences:
        return None
    center, count = mean(differences), len(differences)
    if count == 1:
        return Difference(center, None, None, 1)
    reach = float(t.ppf(0.975, count - 1)) * stdev(differences) / sqrt(count)
    return Difference(center, center - reach, center + reach, count)


def verdict(ours_name: str, theirs_name: str, what: str, difference: Difference) -> str:
    """A sentence that says which scores more, by how many points, and how sure that is.

    Args:
        ours_name: Whose value the difference was taken from.
        theirs_name: What it is compared with.
        what: What was compared, as in "the sum of mIoU".
        difference: Of shares in [0, 1], which become points of percent.
    """
    points = points_of_percent(abs(difference.mean))
    more = "more" if difference.mean > 0 else "less"
    amount = "as much as" if points == "0.0" else f"{points} points {more} than"
    said = f"{ours_name} scores {amount} {theirs_name} in {what}"
    if difference.low is None or difference.high is None:
        return f"{said} in the one seed run: one run cannot tell it from chance."
    seeds = COUNTS[difference.count] if difference.count < len(COUNTS) else str(difference.count)
    low, high = points_of_percent(difference.low), points_of_percent(difference.high)
    interval = f"(95 % interval {low} to {high}, {seeds} seeds)"
    if difference.helped or difference.hurt:
        return f"{said} {interval}: it {difference.outcome}."
    return f"{said}: {difference.outcome} {interval}."


def points_of_percent(share: float) -> str:
    """A share as points of percent with one digit, never as a negative zero."""
    return f"{round(100 * share, 1) + 0.0:.1f}"


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
