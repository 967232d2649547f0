"""Adversarial semi-supervised learning, AdvSemiSeg (Hung et al., BMVC 2018, arXiv:1802.07934)."""

from collections.abc import Iterator, Sequence

from torch import Tensor

from semiverse.data import Sample
from semiverse.methods.adversary import AS_DEEPLAB, READS, RECORDS, LabelMapAdversary, unlabeled_first
from semiverse.methods.method import Method, Opponent
from semiverse.mixture import Draws, TrainBatch
from semiverse.models import SegmentationModel


class Adversarial(Method):
    """Predictions have to look like label maps to a discriminator, which also says where they can be labels themselves.

    There is one discriminator a label space; unlabelled images of a label space without any label are left out. On
    labelled images L_ce + ``labeled_adversary`` L_adv is minimised, on unlabelled ones ``unlabeled_adversary`` L_adv +
    ``pseudo_weight`` L_semi. Published lengths: 20000 steps of 10 images (Pascal VOC), 40000 of 2 (Cityscapes).

    Args:
        model: The model to train.
        labeled_adversary: Weight of the adversarial term on labelled images.
        unlabeled_adversary: Weight of the adversarial term on unlabelled images.
        pseudo_weight: Weight of the cross entropy with the model's own predictions where the discriminator trusts them.
        pseudo_from: Step from which on that counts; None: after a quarter of the training, as 5000 of 20000.
        threshold: Confidence of the discriminator, in [0, 1], from which on it trusts a prediction.
        discriminator_lr: Learning rate of the discriminators at the start; it decays as the model's does.
    """

    optimizer = AS_DEEPLAB
    reads, records = READS, RECORDS

    def __init__(
        self,
        model: SegmentationModel,
        labeled_adversary: float = 0.01,
        unlabeled_adversary: float = 0.001,
        pseudo_weight: float = 0.1,
        pseudo_from: int | None = None,
        threshold: float = 0.2,
        discriminator_lr: float = 1e-4,
    ) -> None:
        super().__init__(model)
        weights = (labeled_adversary, unlabeled_adversary, pseudo_weight)
        self.adversary = LabelMapAdversary(model, weights, threshold, discriminator_lr, self.means)
        self.pseudo_from = pseudo_from

    def draws(self) -> Draws:
        """Unlabelled images where a term uses them; label maps of images that the model is not shown in this step."""
        unlabeled_from = self.adversary.unlabeled_from(self.later(self.pseudo_from))
        return Draws(unlabeled_from, ground_truth=self.adversary.discriminators is not None)

    def opponents(self) -> Sequence[Opponent]:
        """The discriminators."""
        return self.adversary.opponents()

    def terms(self, batch: TrainBatch) -> Iterator[Tensor]:
        """Unlabelled images first, then labelled ones, each through the network by itself."""
        self.adversary.predictions = []
        for domain, sample, labeled in unlabeled_first(batch, self.model):
            if labeled:
                yield self.labeled_loss(sample, domain)
            else:
                yield self.unlabeled_loss(sample.image, domain, sample.padding)

    def labeled_loss(self, sample: Sample, domain: str) -> Tensor:
        """L_ce + weight L_adv of labelled images."""
        logits = self.model.classify(self.model.features(sample.image, domain, sample.padding), domain)
        return self.supervised_loss(logits, sample, domain) + self.adversary.labeled_loss(logits, sample, domain)

    def unlabeled_loss(self, images: Tensor, domain: str, padding: Tensor | None = None) -> Tensor:
        """Weight L_adv + weight L_semi of unlabelled images, (N, 3, H, W), without what their padding ignores."""
        logits = self.model.classify(self.model.features(images, domain, padding), domain)
        labels = self.steps_done >= self.later(self.pseudo_from)
        return self.adversary.unlabeled_loss(logits, images, domain, labels, padding)
