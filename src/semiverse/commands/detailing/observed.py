"""A predictor that can be looked into."""

from typing import cast

import torch
from torch import Tensor

from semiverse.models import LabelEmbeddings
from semiverse.predict import Predictor


class ObservedPredictor(Predictor):
    """A predictor that keeps what it saw in the last image: one pass through the network answers all questions.

    Attributes:
        features: What the heads saw of the last image, (1, D, h, w), put together from windows.
        scores: Scores of the classes of every domain of the model, (1, C, h, w) each. With separate networks, those of
            another domain are its own network's.
    """

    features: Tensor
    scores: dict[str, Tensor]
    _channels: list[int]

    def _scores(self, image: Tensor, domain: str, labels: str) -> Tensor:
        maps = super()._scores(image, domain, labels)
        self.features, *scores = torch.split(maps, self._channels, dim=1)
        self.scores = dict(zip(self.model.label_spaces, scores, strict=True))
        return self.scores[labels]

    def _scores_of_piece(self, image: Tensor, domain: str, labels: str) -> Tensor:  # noqa: ARG002 - all are wanted
        features = self.model.features(image[None], domain)
        maps = [features]
        for other in self.model.label_spaces:
            own_network = self.model.config.separate and other != domain
            seen = self.model.features(image[None], other) if own_network else features
            maps.append(self._classified(seen, other))
        self._channels = [part.shape[1] for part in maps]
        return torch.cat(maps, dim=1)

    def _classified(self, features: Tensor, labels: str) -> Tensor:
        if self.via == "decoder":
            return self.model.classify(features, labels)
        return cast(LabelEmbeddings, self.model.label_embeddings).logits(features, self.model.space_key(labels))
