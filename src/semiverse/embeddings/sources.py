"""Where label embeddings come from, before training starts (Kalluri et al. (2019), appendix A).

Another source is a class like these, named by its ``class_path`` as ``rows`` of ``Universal``.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

import torch
from torch import Tensor

from semiverse.data import ResizeTransform, Split
from semiverse.embeddings.estimate import Projection, StreamingPCA, label_embeddings
from semiverse.files import reading
from semiverse.mixture import DomainMixture
from semiverse.models import LabelEmbeddings, SegmentationModel
from semiverse.models.published import read_tensors
from semiverse.progress import progress


class Given(NamedTuple):
    """What label embeddings can be made from.

    Args:
        data: Whose labelled images may be looked at.
        networks: The supervised networks of every domain, in evaluation; None if the source looks at none.
        start: The domain from whose network the shared one starts, or the first one.
    """

    data: DomainMixture
    networks: SegmentationModel | None
    start: str


class RowSource(ABC):
    """A source of label embeddings."""

    from_networks = True
    """Whether it looks at supervised networks of every domain, which are trained first if need be."""

    def check(self, model: SegmentationModel, embed_dim: int) -> None:  # noqa: B027  (most refuse nothing)
        """Refuse a model that it has no rows for, before anything is trained.

        Raises:
            ValueError: If so.
        """

    @abstractmethod
    def fill(self, model: SegmentationModel, given: Given) -> None:
        """Fill the label rows of a model.

        Args:
            model: With label embeddings added; changed in place.
            given: What there is to fill them from.
        """


class RandomRows(RowSource):
    """Random directions, as the model makes them: a control."""

    from_networks = False

    def fill(self, model: SegmentationModel, given: Given) -> None:
        """Leave the rows as they are."""


class RowsFromFile(RowSource):
    """Rows from a file.

    Args:
        file: A safetensors file: one tensor (C, K, d) named after each domain.
    """

    from_networks = False

    def __init__(self, file: Path) -> None:
        self.file = file

    def fill(self, model: SegmentationModel, given: Given) -> None:  # noqa: ARG002
        """Read the rows.

        Raises:
            ValueError: If the file does not fit the model.
        """
        embeddings, rows = cast(LabelEmbeddings, model.label_embeddings), read_tensors(self.file)
        missing = [space for space in embeddings.spaces if space not in rows]
        if missing:
            raise ValueError(f"{self.file} has no label embeddings for {', '.join(missing)}; it has {', '.join(rows)}")
        for space in embeddings.spaces:
            with reading(self.file, "a tensor (C, K, d) of finite numbers for each domain", "choose another file"):
                embeddings.set_rows(space, rows[space], rows[space].flatten(1).abs().sum(1) > 0)


class FeatureRows(RowSource):
    """Where the classes lie among the features of each domain's own supervised network (appendix A).

    Features of the labelled images are reduced by principal component analysis; rows are class means (K = 1) or
    centroids of k-means.

    Args:
        joint_pca: One principal component analysis for all domains; the paper has one each.
        project_from_pca: Start the projection from the principal components of the starting network.
        pixels: Largest number of feature cells of a class that k-means sees.
    """

    def __init__(self, joint_pca: bool = False, project_from_pca: bool = False, pixels: int = 50_000) -> None:
        self.joint_pca, self.project_from_pca, self.pixels = joint_pca, project_from_pca, pixels

    def check(self, model: SegmentationModel, embed_dim: int) -> None:
        """Refuse more dimensions than there are features."""
        if embed_dim > model.feature_channels:
            raise ValueError(
                f"embed_dim is {embed_dim}, but the network has {model.feature_channels} feature channels, from which "
                f"principal components are taken; expected at most as many: lower the method's embed_dim"
            )

    def fill(self, model: SegmentationModel, given: Given) -> None:
        """Compute the rows, and the start of the projection if that is asked for."""
        data, networks = given.data, cast(SegmentationModel, given.networks)
        networks.to("cuda" if torch.cuda.is_available() else "cpu")
        embeddings, projections = cast(LabelEmbeddings, model.label_embeddings), {}
        joint: Projection | None = None
        if self.joint_pca:
            analysis = StreamingPCA(networks.feature_channels)
            for space in dict.fromkeys(networks.space_key(name) for name in data.domains):
                for features, _ in labeled_features(data, networks, space):
                    analysis.update(features)
            joint = analysis.fit(embeddings.embed_dim)
        for space in embeddings.spaces:
            rows, present, projections[space] = label_embeddings(
                lambda space=space: labeled_features(data, networks, space),  # type: ignore[misc]
                num_classes=len(model.label_spaces[space]),
                projection=joint or embeddings.embed_dim,
                centroids=embeddings.centroids,
                seed=data.seed,
                pixels_per_class=self.pixels,
                upsampling=networks.upsampling,
            )
            embeddings.set_rows(space, rows.float().cpu(), present.cpu())
        if self.project_from_pca:
            chosen = joint or projections[model.space_key(given.start)]
            components, mean = chosen.components.float().cpu(), chosen.mean.float().cpu()
            with torch.no_grad():
                embeddings.projection.weight.copy_(components[:, :, None, None])
                cast(Tensor, embeddings.projection.bias).copy_(-(components @ mean))


def labeled_features(data: DomainMixture, model: SegmentationModel, space: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Features (1, D, h, w) and masks (1, H, W) of the labelled images of every domain with this label space.

    Images are whole, at their working size, as in an evaluation; the model has to be in evaluation mode.
    """
    device = model.mean.device
    for name, domain in data.domains.items():
        if model.space_key(name) != space:
            continue
        split = Split(domain.reader, data.labeled[name], ResizeTransform(domain.resolution_left))
        for index in progress(range(len(split)), f"label embeddings of {name}"):
            sample = split[index]
            with torch.inference_mode():
                yield model.features(sample.image[None].to(device), name), sample.mask[None].to(device)
