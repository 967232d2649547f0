"""Where label embeddings come from, before training starts (Kalluri et al. (2019), appendix A)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import torch
from safetensors.torch import load_file
from torch import Tensor

from semiverse.data import ResizeTransform, Split
from semiverse.embeddings.estimate import label_embeddings
from semiverse.embeddings.pca import Projection, StreamingPCA
from semiverse.mixture import DomainMixture
from semiverse.models import LabelEmbeddings, SegmentationModel
from semiverse.progress import progress

FIRST = "first"  # stands for the first domain of the mixture


@dataclass(frozen=True)
class LabelRowOptions:
    """How label embeddings are made before training.

    Args:
        source: ``supervised``: class means (K = 1) or k-means centroids of the features of each domain's own supervised
            network, after principal component analysis (appendix A); ``random``: random directions, a control.
        file: Read them from this safetensors file instead: one tensor (C, K, d) named after each domain.
        joint_pca: One principal component analysis for all domains; the paper has one each.
        project_from_pca: Start the projection from the principal components of ``start``'s network.
        start: Start the shared network from the supervised network of this domain, ``first`` being the first one; None:
            from its own initialisation, as in the paper.
        pixels: Largest number of feature cells of a class that k-means sees.
    """

    source: Literal["supervised", "random"] = "supervised"
    file: Path | None = None
    joint_pca: bool = False
    project_from_pca: bool = False
    start: str | None = "first"
    pixels: int = 50_000


def prepare_label_rows(
    model: SegmentationModel, data: DomainMixture, options: LabelRowOptions, networks: Callable[[], SegmentationModel]
) -> None:
    """Fill the label rows of a model, and start its network and projection as asked.

    Args:
        model: With label embeddings added; changed in place.
        data: Whose labelled images the rows are computed from.
        options: How.
        networks: Gives the supervised networks; only called if they are needed.

    Raises:
        ValueError: If the file does not fit the model.
    """
    embeddings = cast(LabelEmbeddings, model.label_embeddings)
    computed = options.file is None and options.source == "supervised"
    trained = networks().eval() if computed or options.start is not None else None
    if trained is not None and options.start is not None:
        model.start_from(trained, _domain(model, options.start))
    if trained is not None and computed:
        _compute_rows(embeddings, model, data, options, trained)
    elif options.file is not None:
        _read_rows(embeddings, options.file)


def check_label_rows(model: SegmentationModel, options: LabelRowOptions, embed_dim: int) -> None:
    """Refuse options that do not fit a model, before anything is trained.

    Raises:
        ValueError: If ``start`` names no domain, or the embedding has more dimensions than there are features.
    """
    if options.start not in (None, FIRST, *model.label_spaces):
        known = ", ".join([FIRST, *model.label_spaces])
        raise ValueError(f"rows.start is {options.start!r}; expected null or one of {known}: name one of them")
    if options.file is None and options.source == "supervised" and embed_dim > model.feature_channels:
        raise ValueError(
            f"embed_dim is {embed_dim}, but the network has {model.feature_channels} feature channels, from which "
            f"principal components are taken; expected at most as many: lower the method's embed_dim"
        )


def _domain(model: SegmentationModel, start: str | None) -> str:
    """The domain that ``start`` names."""
    return next(iter(model.label_spaces)) if start is None or start == FIRST else start


def _read_rows(embeddings: LabelEmbeddings, file: Path) -> None:
    rows = load_file(file)
    missing = [space for space in embeddings.spaces if space not in rows]
    if missing:
        raise ValueError(f"{file} has no label embeddings for {', '.join(missing)}; it has {', '.join(rows)}")
    for space in embeddings.spaces:
        embeddings.set_rows(space, rows[space], rows[space].flatten(1).abs().sum(1) > 0)


def _compute_rows(
    embeddings: LabelEmbeddings,
    model: SegmentationModel,
    data: DomainMixture,
    options: LabelRowOptions,
    networks: SegmentationModel,
) -> None:
    """Appendix A: features of the labelled images, reduced by PCA, averaged or clustered class by class."""
    networks.to("cuda" if torch.cuda.is_available() else "cpu")
    joint, projections = _joint_components(data, networks, embeddings.embed_dim) if options.joint_pca else None, {}
    for space in embeddings.spaces:
        rows, present, projections[space] = label_embeddings(
            lambda space=space: _features(data, networks, space),  # type: ignore[misc]
            num_classes=len(model.label_spaces[space]),
            projection=joint or embeddings.embed_dim,
            centroids=embeddings.centroids,
            seed=data.seed,
            pixels_per_class=options.pixels,
            align_corners=networks.config.align_corners,
        )
        embeddings.set_rows(space, rows.float().cpu(), present.cpu())
    if options.project_from_pca:
        start = joint or projections[model.space_key(_domain(model, options.start))]
        components, mean = start.components.float().cpu(), start.mean.float().cpu()
        with torch.no_grad():
            embeddings.projection.weight.copy_(components[:, :, None, None])
            cast(Tensor, embeddings.projection.bias).copy_(-(components @ mean))


def _features(data: DomainMixture, networks: SegmentationModel, space: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Features (1, D, h, w) and masks (1, H, W) of the labelled images of every domain with this label space."""
    device = networks.mean.device
    for name, domain in data.domains.items():
        if networks.space_key(name) != space:
            continue
        split = Split(domain.reader, data.labeled[name], ResizeTransform(domain.resolution_left))
        for index in progress(range(len(split)), f"label embeddings of {name}", unit="images"):
            sample = split[index]
            with torch.inference_mode():
                yield networks.features(sample.image[None].to(device), name), sample.mask[None].to(device)


def _joint_components(data: DomainMixture, networks: SegmentationModel, dim: int) -> Projection:
    """Principal components of the features of all domains together."""
    analysis = StreamingPCA(networks.feature_channels)
    for name in data.domains:
        if networks.space_key(name) == name:
            for features, _ in _features(data, networks, name):
                analysis.update(features)
    return analysis.fit(dim)
