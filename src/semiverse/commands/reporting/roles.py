"""What settings learn from, and what one learns from beyond another."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from semiverse.commands.reporting.comparisons import flattened

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
        return section == "data" and name.startswith(("batch_size", "augmentation"))

    keys = dict.fromkeys([*one, *two])
    return [key for key in keys if matters(key) and one.get(key) != two.get(key)]
