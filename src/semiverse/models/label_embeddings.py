"""Label embeddings: every class of every label space as vectors in one space, and pixels projected into it.

Kalluri et al., "Universal Semi-Supervised Semantic Segmentation", ICCV 2019, section 3.3 and appendices A and B.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semiverse.labels import LabelSpace
from semiverse.models.network import pointwise
from semiverse.upsampling import ScoreMap, Upsampling


class LabelRows(nn.Module):
    """The vectors of one label space.

    Args:
        values: The vectors, (C, K, d), at any length.
    """

    accumulator: Tensor
    present: Tensor

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.register_buffer("accumulator", values)
        self.register_buffer("present", torch.ones(values.shape[0], dtype=torch.bool))


class LabelEmbeddings(nn.Module):
    """The projection of pixels (the paper's E) and the label rows that it is compared with.

    Rows never get gradients: they change by ``set_rows`` and ``update`` only.

    Args:
        feature_channels: Channels D of the features that are projected.
        embed_dim: Dimensions d of the joint space.
        label_spaces: Label spaces by the key under which they are asked for.
        centroids: Rows K of every class.
        normalize_features: Compare directions only: projected pixels are scaled to length one (the paper does not).
        temperature: What scores are divided by.
        upsampling: How scores are upsampled.
        seed: Of the random directions that stand in the rows until ``set_rows``.

    Raises:
        ValueError: If a size or the temperature is not positive.
    """

    def __init__(  # noqa: PLR0913  (options that are saved with the weights)
        self,
        feature_channels: int,
        embed_dim: int,
        label_spaces: Mapping[str, LabelSpace],
        centroids: int = 1,
        *,
        normalize_features: bool = False,
        temperature: float = 1.0,
        upsampling: Upsampling = Upsampling(),
        seed: int = 0,
    ) -> None:
        super().__init__()
        if min(embed_dim, centroids) < 1 or temperature <= 0:
            raise ValueError(
                f"label embeddings got embed_dim {embed_dim}, centroids {centroids} and temperature {temperature}; "
                "expected positive numbers: the paper uses 128, 1 or 3, and 1.0"
            )
        self.embed_dim, self.centroids, self.upsampling = embed_dim, centroids, upsampling
        self.normalize_features, self.temperature = normalize_features, temperature
        self.projection = pointwise(feature_channels, embed_dim)
        generator = torch.Generator().manual_seed(seed)
        self.spaces = nn.ModuleDict(
            {
                key: LabelRows(torch.randn(len(space), centroids, embed_dim, generator=generator))
                for key, space in label_spaces.items()
            }
        )

    @property
    def options(self) -> dict[str, int | float | bool]:
        """What the embeddings were made with, apart from the model that they belong to: plain values, to be saved."""
        return {
            "embed_dim": self.embed_dim,
            "centroids": self.centroids,
            "normalize_features": self.normalize_features,
            "temperature": self.temperature,
        }

    def rows(self, space: str) -> Tensor:
        """Rows of the classes that are present, class by class, each of length one: (R, d) with R = K x present."""
        table = self._table(space)
        return F.normalize(table.accumulator[table.present].flatten(0, 1), dim=1)

    def row_classes(self, space: str) -> Tensor:
        """Train id of the class of every row, (R,) int64 in 0..C-1."""
        return self._table(space).present.nonzero().flatten().repeat_interleave(self.centroids)

    def set_rows(self, space: str, values: Tensor, present: Tensor) -> None:
        """Replace the rows of a label space.

        Args:
            space: Key of the label space.
            values: New rows, (C, K, d), at any length; those of absent classes are kept but never used.
            present: Whether a class has rows at all, (C,) bool.

        Raises:
            ValueError: If a shape is wrong, no class is present, or a row of a present class is not finite.
        """
        table = self._table(space)
        expected = tuple(table.accumulator.shape)
        if tuple(values.shape) != expected or tuple(present.shape) != expected[:1]:
            raise ValueError(
                f"label embeddings of {space!r} got rows {tuple(values.shape)} and presence {tuple(present.shape)}; "
                f"expected {expected} (classes, centroids, dimensions) and {expected[:1]}: compute them for this model"
            )
        if not present.any() or not values[present.bool()].isfinite().all():
            raise ValueError(
                f"label embeddings of {space!r} got {int(present.sum())} present classes; expected at least one, and "
                "finite rows for each: check that the labelled images show labels"
            )
        table.accumulator.copy_(values)
        table.present.copy_(present)

    def update(self, space: str, means: Tensor, seen: Tensor, theta: float) -> None:
        """Move rows towards means of projected labelled pixels (Eq. 7); rows() renormalises them.

        Args:
            space: Key of the label space.
            means: Mean projected pixel of every row, (C, K, d).
            seen: Rows that had pixels, (C, K) bool; all others, and those of classes that are not present, stay.
            theta: Share of the old row, in [0, 1]; 1 changes nothing, 0 replaces.
        """
        if theta == 1.0:
            return  # 1 x old + 0 x mean would turn -0.0 into 0.0 and pass on a mean that is not finite
        table = self._table(space)
        moves = seen.to(table.present.device) & table.present[:, None]
        moved = theta * table.accumulator + (1.0 - theta) * means.detach().to(table.accumulator)
        table.accumulator.copy_(torch.where(moves[:, :, None], moved, table.accumulator))

    def project(self, features: Tensor) -> Tensor:
        """Decoded features, (N, D, h, w) → projected pixels, (N, d, h, w)."""
        return cast(Tensor, self.projection(features))

    def scores(self, features: Tensor, spaces: Sequence[str]) -> ScoreMap:
        """Inner products of projected pixels and label rows (Eq. 2).

        Args:
            features: Decoded features, (N, D, h, w).
            spaces: Keys of the label spaces whose rows are compared, in the order of the result.

        Returns:
            Scores, (N, sum of R, h, w), unbounded; in [-1, 1] / temperature with ``normalize_features``.
        """
        rows = torch.cat([self.rows(space) for space in spaces]) / self.temperature
        if self.normalize_features:
            pixels = F.normalize(self.project(features), dim=1)
            return ScoreMap(F.conv2d(pixels, rows[:, :, None, None]), self.upsampling)
        # rows (E f + b) = (rows E) f + rows b: d channels at every pixel are never made.
        with torch.autocast(features.device.type, enabled=False):
            weight = rows @ self.projection.weight.flatten(1)
            bias = rows @ cast(Tensor, self.projection.bias)
        return ScoreMap(F.conv2d(features, weight[:, :, None, None], bias), self.upsampling)

    def logits(self, features: Tensor, space: str) -> ScoreMap:
        """Inference by label embedding: the best score over the rows of each class.

        Args:
            features: Decoded features, (N, D, h, w).
            space: Key of the label space.

        Returns:
            (N, C, h, w); a quarter of the smallest finite number for classes without rows, so that they never win and
            interpolation stays finite.
        """
        table = self._table(space)
        scores = self.scores(features, [space]).values
        batch, _, height, width = scores.shape
        scores = scores.reshape(batch, -1, self.centroids, height, width).amax(dim=2)
        lowest = max(torch.finfo(scores.dtype).min, torch.finfo(torch.float32).min) / 4
        logits = scores.new_full((batch, table.present.numel(), height, width), lowest)
        return ScoreMap(logits.index_copy(1, table.present.nonzero().flatten(), scores), self.upsampling)

    def _table(self, space: str) -> LabelRows:
        if space not in self.spaces:
            raise ValueError(
                f"label embeddings have no label space {space!r}; expected one of {', '.join(self.spaces)}: "
                "use space_key() of a domain"
            )
        return cast(LabelRows, self.spaces[space])
