"""Models and domains that a method cannot train, refused before it starts."""

from collections.abc import Sequence

from semiverse.models import SegmentationModel


def refuse_none_class(model: SegmentationModel) -> None:
    """Refuse a model whose heads have a channel that is no class.

    Raises:
        ValueError: If they do.
    """
    if model.config.none_class:
        raise ValueError(
            "adversarial terms and latent classes need a head channel for each class and no other; found "
            "model.none_class: true: set it to false"
        )


def refuse_separate_labels(model: SegmentationModel) -> None:
    """Refuse a model whose domains have not all the same classes, or not one network.

    Raises:
        ValueError: If so; the message says how to project datasets into common classes.
    """
    first, *others = model.label_spaces
    for other in others:
        one, two = model.label_spaces[first], model.label_spaces[other]
        if one != two:
            raise ValueError(
                f"domain {first} has the label space {one.name!r} ({', '.join(one.classes)}), domain {other} "
                f"{two.name!r} ({', '.join(two.classes)}); expected one name and the same classes in all domains, as "
                "predictions for source and target are compared class by class: project the datasets with {class_path: "
                "Remapped, init_args: {dataset: ..., mapping: {old: new, ...}, classes: [...], name: common}}, classes "
                "and name the same in each"
            )
    if model.config.separate:
        raise ValueError(
            "Adaptation found model.separate: true, with which the target's network would learn nothing from the "
            "source's labels; expected one network: set it to false"
        )


def refuse_unseen_domains(model: SegmentationModel, sources: Sequence[str], targets: Sequence[str] | None) -> None:
    """Refuse an adversary without a target, and domains whose own batch-norm statistics would never be learned.

    Args:
        model: The model.
        sources: Domains with labels.
        targets: Domains to adapt to; None: there is no adversary, so that no target is looked at.

    Raises:
        ValueError: If so.
    """
    if targets is not None and not targets:
        raise ValueError(
            f"none of the domains {', '.join(model.label_spaces)} has images but no labels; expected a target to adapt "
            "to: set data.domains.NAME.labeled: 0, or train on the source alone with adversary: 0 and "
            "auxiliary_adversary: 0"
        )
    unseen = [name for name in model.label_spaces if name not in (*sources, *(targets or ()))]
    if unseen and model.config.batch_norm == "per_domain":
        raise ValueError(
            f"domain {', '.join(unseen)} would never go through the network in training, so that batch-norm statistics "
            "of its own could not be learned; expected those of the source: set model.batch_norm: shared"
        )
