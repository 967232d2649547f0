"""Sentences and lists of the page: what was trained on what, where, and what came of it."""

from collections.abc import Hashable, Mapping, Sequence
from statistics import mean
from typing import Any, TypeVar

from semiverse.reporting.runs import RunFacts, Setting
from semiverse.reporting.scores import protocols, score_cell, sums
from semiverse.reporting.tables import in_words


def label_lists(runs: Sequence[RunFacts]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Domain, names of runs, and the images that keep their labels in all of these."""
    lists = [(run.name, (domain, *ids)) for run in runs for domain, ids in run.labeled.items() if ids]
    return [(domain, names, tuple(ids)) for (domain, *ids), names in _shared(lists).items()]


def environments(runs: Sequence[RunFacts]) -> list[tuple[str, dict[str, str]]]:
    """Environments without the values that every run has of its own, with the names of the runs that share them."""
    found = []
    for run in runs:
        facts = {key: value for key, value in run.environment.items() if key not in ("command", "seed")}
        versions = facts.pop("versions", {})
        found.append((run.name, tuple((key, _text(value)) for key, value in (facts | versions).items())))
    return [(names, dict(facts)) for facts, names in _shared(found).items() if facts]


Value = TypeVar("Value", bound=Hashable)


def _shared(owned: Sequence[tuple[str, Value]]) -> dict[Value, str]:
    """Names of the owners of each value, of pairs of an owner and a value."""
    owners: dict[Value, list[str]] = {}
    for owner, value in owned:
        owners.setdefault(value, []).append(owner)
    return {value: ", ".join(names) for value, names in owners.items()}


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "unknown" if value is None else str(value)


def summary_sentences(settings: Sequence[Setting], class_counts: Mapping[str, int]) -> list[str]:
    """What was trained on what, and what came of it, in sentences."""
    runs = [run for setting in settings for run in setting.runs]
    return [_what_was_trained(settings, runs, class_counts), *_what_came_of_it(settings)]


def _what_was_trained(settings: Sequence[Setting], runs: Sequence[RunFacts], class_counts: Mapping[str, int]) -> str:
    methods = in_words(list(dict.fromkeys(run.method for run in runs)))
    domains = dict.fromkeys(domain for run in runs for domain in run.domains)
    described = []
    for domain in domains:
        budgets = [len(run.labeled[domain]) for run in runs if domain in run.labeled]
        facts = [f"{class_counts[domain]} classes"] if domain in class_counts else []
        facts += [f"{_range(budgets)} labelled images"] if budgets else []
        described.append(f"{domain} ({', '.join(facts)})" if facts else domain)
    subject = "One run" if len(runs) == 1 else f"{len(runs)} runs"
    if len(settings) < len(runs):
        subject += f" of {len(settings)} settings" if len(settings) > 1 else " of one setting"
    networks = in_words(list(dict.fromkeys(_network(run.config.get("model", {})) for run in runs)))
    sentence = (
        f"{subject} ({methods}) on {in_words(described)}: {networks}, {_range([run.steps for run in runs])} steps"
    )
    seconds = [run.seconds for run in runs if run.seconds is not None]
    if seconds:
        low, high = duration(min(seconds)), duration(max(seconds))
        sentence += f", {low if low == high else f'{low} to {high}'}{'' if len(runs) == 1 else ' each'}"
    hardware = list(dict.fromkeys(_hardware(run) for run in runs if run.environment))
    return f"{sentence} on {in_words(hardware)}." if hardware else f"{sentence}."


def _what_came_of_it(settings: Sequence[Setting]) -> list[str]:
    """The highest mIoU, or sum of it over domains, of each way of scoring."""
    sentences = []
    for manner, members in protocols(settings).items():
        reached = {setting.name: sums(setting, members) for setting in settings}
        reached = {name: values for name, values in reached.items() if values}
        if not reached:
            continue
        best = max(reached, key=lambda name: mean(reached[name]))
        winner = next(setting for setting in settings if setting.name == best)
        what = "mIoU" if len(members) == 1 else "sum of mIoU"
        what = f"Highest {what}" if len(reached) > 1 else what[0].upper() + what[1:]
        who = f"{best}, " if len(settings) > 1 else ""
        parts = [f"{p.domain} {score_cell(winner, [p]).shown}" for p in members]
        sentences.append(f"{what} {manner}: {who}{score_cell(winner, members).shown} ({', '.join(parts)}).")
    return sentences


def _network(model: Mapping[str, Any]) -> str:
    width = model.get("width", 1.0)
    scaled = "" if width == 1.0 else f" at width {width:g}"
    return f"{model.get('encoder', 'network')}{scaled} with {model.get('decoder', 'its')} decoder"


def _hardware(run: RunFacts) -> str:
    """What a run computed on: the accelerators of its machine, unless it was told to leave them alone."""
    on_cpu = (run.config.get("trainer") or {}).get("accelerator") == "cpu"
    accelerators = [] if on_cpu else run.environment.get("accelerators", [])
    return in_words(list(dict.fromkeys(accelerators))) or str(run.environment.get("processor", "unknown hardware"))


def duration(seconds: float) -> str:
    """Seconds in the unit that a reader expects."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _range(values: Sequence[int]) -> str:
    low, high = (min(values), max(values)) if values else (0, 0)
    return str(low) if low == high else f"{low} to {high}"
