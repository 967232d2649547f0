"""What settings learn from, and which are measured against which."""

from collections.abc import Hashable, Mapping, Sequence
from statistics import mean
from typing import Any, Literal, NamedTuple

from semiverse.methods.method import ALWAYS
from semiverse.reporting.runs import Protocol, RunFacts
from semiverse.reporting.scores import flattened, protocols
from semiverse.reporting.settings import Setting
from semiverse.reporting.verdicts import Change, Comparison, Difference, paired_difference

GROUND = {
    "data": ("crop",),
    "domains": ("dataset", "labeled", "labeled_list", "cover_classes", "groups", "train", "val", "resolution"),
    "model": ("encoder", "decoder", "width", "pretrained", "weights", "frozen"),
}
"""What must be equal for settings to be compared."""
ORDER = ("domain", "domains", "transfer", "unlabeled", "labeled")
"""Which comparisons come first."""


class Lessons(NamedTuple):
    """What networks learn from, beside the labelled images of the domains they are for.

    ``separate`` networks see one domain each. ``transfer`` says from where they start, ``unlabeled`` what unlabelled
    images are read for, and ``labeled`` names further terms on labelled ones, and a start that was trained on them.
    """

    separate: bool
    transfer: tuple[str, ...]
    unlabeled: tuple[str, ...]
    labeled: tuple[str, ...]


def lessons(run: RunFacts) -> Lessons | None:
    """What a run learns from; None where its method does not say, and where the run is a network as it starts."""
    if run.declared is None or run.finished.get("steps") == 0:
        return None
    domains = run.config["data"]["domains"].values()
    further = ("unlabeled_split", "unlabeled_folder")
    there = {
        "unlabeled": any(d.get("unlabeled", True) or any(d.get(option) for option in further) for d in domains),
        "pseudolabels": any(d.get("pseudolabels") for d in domains),
    }
    found: dict[str, dict[str, None]] = {"transfer": {}, "unlabeled": {}, "labeled": {}}
    for option, role in run.declared.reads.items():
        on = option == ALWAYS or _option(run.config["method"].get("init_args") or {}, option)
        if on and there.get(role.kind, True):
            found["unlabeled" if role.kind == "pseudolabels" else role.kind][role.words] = None
    return Lessons(
        run.separate and len(domains) > 1, *(tuple(found[kind]) for kind in ("transfer", "unlabeled", "labeled"))
    )


def changes(ours: RunFacts, theirs: RunFacts) -> list[Change] | None:
    """What the first of two runs learns from beyond the second.

    None where they do not compare: other data, budgets, crop or network, or the second has something beyond the first.
    Another domain, or the transfer from it, is measured against nothing but labelled images.
    """
    mine, others = lessons(ours), lessons(theirs)
    if mine is None or others is None or not _same_ground(ours.config, theirs.config):
        return None
    if not (set(others.labeled) <= set(mine.labeled) and set(others.unlabeled) <= set(mine.unlabeled)):
        return None
    count, their_count = len(ours.domains), len(theirs.domains)
    found: list[Change] = []
    if count != their_count or mine[:2] != others[:2]:
        alone = others.separate or their_count == 1
        if others.transfer or others.labeled or others.unlabeled:
            return None
        if not (alone if mine.transfer else not mine.separate and (alone or their_count < count)):
            return None
        plural: Literal["domain", "domains"] = "domains" if count > 2 else "domain"
        found = [Change("transfer", words) for words in mine.transfer] or [Change(plural, f"other {plural}")]
    found += [Change("unlabeled", words) for words in mine.unlabeled if words not in others.unlabeled]
    return found + [Change("labeled", words) for words in mine.labeled if words not in others.labeled]


def _option(arguments: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401
    """An argument by its dotted name; 1, which is on, where it is not given."""
    value: Any = arguments
    for key in name.split("."):
        value = value.get("init_args", value) if isinstance(value, Mapping) else {}
        value = value.get(key, 1)
    return value


def _same_ground(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Whether all domains of the second are domains of the first, with the same labels, crop and network."""
    our_domains, their_domains = ours["data"]["domains"], theirs["data"]["domains"]
    if not set(their_domains) <= set(our_domains):
        return False
    parts = [("data", ours["data"], theirs["data"]), ("model", ours.get("model", {}), theirs.get("model", {}))]
    parts += [("domains", our_domains[name], values) for name, values in their_domains.items()]
    return all(one.get(key) == other.get(key) for part, one, other in parts for key in GROUND[part])


def further_differences(ours: RunFacts, theirs: RunFacts) -> list[str]:
    """Dotted names of other values that differ and can matter: schedule, network, options that both methods have."""
    one, two = dict(flattened(ours.config)), dict(flattened(theirs.config))
    declared = {option for run in (ours, theirs) if run.declared is not None for option in run.declared.reads}
    same_method = ours.config["method"]["class_path"] == theirs.config["method"]["class_path"]
    joins = ours.separate != theirs.separate or len(ours.domains) != len(theirs.domains)

    def matters(key: str) -> bool:
        section, _, name = key.partition(".")
        if section == "method":
            option = name.removeprefix("init_args.")
            return option != name and option not in declared and (same_method or (key in one and key in two))
        if section == "model":
            return name != "separate" and not (joins and name == "batch_norm")
        if section == "optimizer":
            return True
        if section == "trainer":
            return name.startswith(("max_", "min_")) or name == "precision"
        return section == "optimizer" or (section == "data" and name.startswith(("batch_size", "augmentation")))

    return [key for key in dict.fromkeys([*one, *two]) if matters(key) and one.get(key) != two.get(key)]


def compare(settings: Sequence[Setting]) -> list[Comparison]:
    """Every setting against those that learn from less, on the same data and labels with the same network.

    What differs in several ways at once is left out where the step over the other domain was trained as well, and of
    several settings to measure against those count that differ in the fewest other options.
    """
    found = [pair for ours in settings for theirs in settings if (pair := _comparison(ours, theirs)) is not None]
    steps = {(pair.ours.name, pair.theirs.name): pair.changes for pair in found}

    def in_two_steps(pair: Comparison) -> bool:
        first, *others = pair.changes
        return bool(others) and any(
            first.kind in ("domain", "domains")
            and steps.get((between.name, pair.theirs.name)) == [first]
            and (pair.ours.name, between.name) in steps
            for between in settings
        )

    kept = [pair for pair in found if not in_two_steps(pair)]
    fewest: dict[tuple[str, str], int] = {}
    for pair in sorted(kept, key=lambda pair: len(pair.further)):
        fewest.setdefault((pair.ours.name, pair.kind), len(pair.further))
    nearest = [pair for pair in kept if len(pair.further) == fewest[pair.ours.name, pair.kind]]
    return sorted(nearest, key=lambda pair: ORDER.index(pair.changes[0].kind))


def _comparison(ours: Setting, theirs: Setting) -> Comparison | None:
    one, two = ours.runs[0], theirs.runs[0]
    found = changes(one, two)
    if not found:
        return None
    parts: dict[tuple[str, str], list[Protocol]] = {}
    for manner, every in protocols([ours, theirs]).items():
        members = [protocol for protocol in every if protocol.domain in {*one.domains} & {*two.domains}]
        parts |= {(manner, "sum"): members} if len(members) > 1 else {}
        parts |= {(manner, protocol.domain): [protocol] for protocol in members}
    titles = [
        (protocol, title)
        for (manner, domain), (protocol, *_) in parts.items()
        for title in dict.fromkeys(title for score in ours.scored(protocol) for title in score.iou)
        if (manner, domain) == ("by decoder", protocol.domain)
    ]

    def paired(members: Sequence[Protocol], title: str | None = None) -> Difference | None:
        return paired_difference(_by_seeds(ours, members, title), _by_seeds(theirs, members, title))

    scores = {key: paired(members) for key, members in parts.items()}
    classes = {(p.domain, title): paired([p], title) for p, title in titles}
    known = [{k: change for k, change in pairs.items() if change is not None} for pairs in (scores, classes)]
    return Comparison(ours, theirs, found, further_differences(one, two), *known)


def _by_seeds(setting: Setting, members: Sequence[Protocol], title: str | None) -> dict[Hashable, float]:
    """Sums of mIoU, or of a class, by seeds; last validations stand apart, those of unfinished trainings left out."""
    found: dict[Hashable, list[float]] = {}
    for run in setting.runs:
        total, validated = run.total(members, title), tuple(run.validated(members))
        if total is not None and (run.finished or not any(validated)):
            seeds = (run.config.get("seed"), run.config["data"].get("seed"))
            found.setdefault((*seeds, validated), []).append(total)
    return {key: mean(values) for key, values in found.items()}
