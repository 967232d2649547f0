"""What adversarial methods share: the second half of a step, in which discriminators learn."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Literal, cast

from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from semiverse.methods.method import Method
from semiverse.mixture import TrainBatch
from semiverse.models import SegmentationModel


class AdversarialMethod(Method):
    """A method whose model has to deceive discriminators, which learn in the second half of every step.

    In the first half the discriminators are frozen and the model learns; in the second half they look at what the model
    predicted in the first, cut off from it. Both move at the end, so that a loss which is not finite in either half
    leaves both as they were. A step counts once, whatever number of optimisers it has.

    Args:
        model: The model to train.
        discriminator_lr: Learning rate of the discriminators at the start; it decays as the model's does.
        lr: Learning rate of the model at the start.
        weight_decay: Of the model.
        decay: Whether learning rates fall every step or once an epoch.
        head_lr: Factor on the learning rate of the heads.
        options: Those of ``Method``.
    """

    discriminators: nn.Module | None
    """What judges the model's predictions, set by a subclass; None: nothing, and there is no second half."""

    def __init__(
        self,
        model: SegmentationModel,
        discriminator_lr: float = 1e-4,
        lr: float = 2.5e-4,
        weight_decay: float = 5e-4,
        decay: Literal["epoch", "step"] = "step",
        head_lr: float = 10.0,
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(model, head_lr, lr=lr, weight_decay=weight_decay, decay=decay, **options)
        self.discriminators, self.discriminator_lr = None, discriminator_lr

    @abstractmethod
    def discriminator_terms(self, batch: TrainBatch) -> Iterator[Tensor]:
        """Losses of the discriminators on what ``terms`` predicted; each is back-propagated as it is yielded."""

    def training_step(self, batch: TrainBatch, batch_idx: int) -> None:
        """Gradients of the model, then of the discriminators; then both move."""
        if self.discriminators is None:
            return super().training_step(batch, batch_idx)
        model, opponents = cast(list[LightningOptimizer], self.optimizers())
        self.discriminators.requires_grad_(False)
        self.back_propagate(self.terms(batch), model, batch)
        self.discriminators.requires_grad_(True)
        self.back_propagate(self.discriminator_terms(batch), opponents, batch)
        self.move(model, self.learning_rate)
        self.move(opponents, self.discriminator_lr * self.decayed)
        self.finish_step()
        return None

    def configure_optimizers(self) -> Optimizer | list[Optimizer]:
        """Stochastic gradient descent for the model, Adam for the discriminators (Hung et al.'s code)."""
        model = cast(Optimizer, super().configure_optimizers())
        if self.discriminators is None:
            return model
        groups = [{"params": list(self.discriminators.parameters()), "factor": 1.0}]
        return [model, Adam(groups, self.discriminator_lr, betas=(0.9, 0.99))]


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
