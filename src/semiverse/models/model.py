"""The model: encoder, decoder and one head a label space, with everything that inference needs and nothing else."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Self, cast

import torch
from torch import Tensor, nn

from semiverse.data import Resolution
from semiverse.downloads.hub import is_hub_name
from semiverse.files import reading
from semiverse.labels import IGNORE, LabelSpace
from semiverse.models.batch_norm import select_group
from semiverse.models.config import Convention, ModelConfig, check_domains
from semiverse.models.domain_statistics import DomainStatistics
from semiverse.models.label_embeddings import LabelEmbeddings
from semiverse.models.latent_branch import LatentBranch
from semiverse.models.network import Network, build_head
from semiverse.models.published import load_head, load_weights
from semiverse.models.saving import (
    CONFIG,
    DOMAINS,
    LABELS,
    SAVED,
    WEIGHTS,
    SavedModel,
    find_model,
    read_config,
    read_model,
    write_model,
)
from semiverse.upsampling import ScoreMap, Upsampling

log = logging.getLogger(__name__)


class SegmentationModel(nn.Module):
    """One network for several domains, with a head for each label space.

    Images come as uint8 in 0..255 or floating point in [0, 1], in any size; the model normalises them itself, with the
    mean and deviation that its encoder was made for.

    Args:
        config: Which network to build.
        label_spaces: Label space of each domain, by name; domains with equal ones share a head.
        resolutions: Working size of each domain's images, kept for whoever feeds the model; their own by default.

    Attributes:
        feature_channels: Channels D of the features.
        label_embeddings: Projection and label rows, once added.
        latent_branch: Heads of latent classes, once added.
        domain_statistics: What images of each domain look like, once noted.

    Raises:
        ValueError: If there is no domain, or a name cannot be the name of a module.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        config: ModelConfig,
        label_spaces: Mapping[str, LabelSpace],
        resolutions: Mapping[str, Resolution] | None = None,
    ) -> None:
        super().__init__()
        resolutions = resolutions or {}
        check_domains(label_spaces, resolutions)
        self.config = config = config.resolved
        if config.weights is not None and is_hub_name(config.weights):
            config = replace(config, weights=find_model(config.weights))
        self.label_spaces = dict(label_spaces)
        self.resolutions = {domain: resolutions.get(domain, Resolution()) for domain in label_spaces}
        names = list(label_spaces) if config.separate else ["shared"]
        groups = len(label_spaces) if config.batch_norm == "per_domain" and not config.separate else 1
        self.networks = nn.ModuleDict({name: Network(config, groups) for name in names})
        first = cast(Network, self.networks[names[0]])
        self.convention = config.convention(first.encoder.convention)
        for name, value in zip(("mean", "std"), self.convention.statistics(), strict=True):
            self.register_buffer(name, value)
        self.feature_channels = first.decoder.channels
        keys = dict.fromkeys(self.space_key(domain) for domain in label_spaces)
        self.heads = nn.ModuleDict(
            {key: build_head(config, self.feature_channels, len(label_spaces[key]) + config.none_class) for key in keys}
        )
        self.label_embeddings: LabelEmbeddings | None = None
        self.latent_branch: LatentBranch | None = None
        self.domain_statistics: DomainStatistics | None = None
        if config.weights is not None:
            self._start_from_weights(config.weights, first.encoder.convention)

    def add_label_embeddings(
        self,
        embed_dim: int = 128,
        centroids: int = 1,
        *,
        normalize_features: bool = False,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> LabelEmbeddings:
        """Add label embeddings for every label space; the arguments are those of ``LabelEmbeddings``."""
        self.label_embeddings = LabelEmbeddings(
            self.feature_channels,
            embed_dim,
            {key: self.label_spaces[key] for key in self.heads},
            centroids,
            normalize_features=normalize_features,
            temperature=temperature,
            upsampling=self.upsampling,
            seed=seed,
        ).to(self.mean.device, self.mean.dtype)
        return self.label_embeddings

    def add_latent_branch(self, outputs: Mapping[str, int]) -> LatentBranch:
        """Add a second branch with so many outputs for each label space, by the key of its head."""
        classes = {key: len(self.label_spaces[key]) for key in self.heads}
        build = partial(build_head, self.config, self.feature_channels)
        branch = LatentBranch(outputs, classes, build, self.upsampling)
        self.latent_branch = branch.to(self.mean.device, self.mean.dtype)
        return self.latent_branch

    @property
    def upsampling(self) -> Upsampling:
        """How scores of this model are upsampled, whatever head they come from."""
        return Upsampling(self.config.align_corners, self.config.zero_border)

    def space_key(self, domain: str) -> str:
        """The first domain whose label space equals this one's: the name of its head and of its label rows.

        Raises:
            ValueError: If the model has no such domain.
        """
        if domain not in self.label_spaces:
            known = ", ".join(self.label_spaces)
            raise ValueError(f"the model has no domain {domain!r}; expected one of {known}: use one of them")
        return next(name for name, space in self.label_spaces.items() if space == self.label_spaces[domain])

    def network(self, domain: str) -> Network:
        """The network that a domain's images go through: the shared one, or the domain's own."""
        self.space_key(domain)
        return cast(Network, self.networks[domain if self.config.separate else "shared"])

    def group(self, domain: str) -> int:
        """The row of the batch-norm statistics that a domain uses."""
        own = self.config.batch_norm == "per_domain" and not self.config.separate
        return list(self.label_spaces).index(domain) if own else 0

    def encode(self, images: Tensor, domain: str, padding: Tensor | None = None) -> list[Tensor]:
        """Images, (N, 3, H, W), uint8 in 0..255 or floating point in [0, 1] → one map a level, (N, D_i, h_i, w_i).

        Where ``padding``, (N, H, W), is ``IGNORE``, beyond an image, the network sees the colour of ``config.padding``.
        """
        network = self.network(domain)
        select_group(network, self.group(domain))
        return cast(list[Tensor], network.encoder(self.normalized(images, padding)))

    def features(self, images: Tensor, domain: str, padding: Tensor | None = None) -> Tensor:
        """Images, (N, 3, H, W), as in ``encode``, and their padding → decoded features, (N, D, h, w)."""
        return cast(Tensor, self.network(domain).decoder(self.encode(images, domain, padding)))

    def classify(self, features: Tensor, domain: str) -> ScoreMap:
        """Features, (N, D, h, w) → logits of the domain's classes (and of a none class), (N, C, h, w)."""
        return ScoreMap(self.heads[self.space_key(domain)](features), self.upsampling)

    def forward(self, images: Tensor, domain: str) -> Tensor:
        """Images, (N, 3, H, W), uint8 in 0..255 or floating point in [0, 1] → logits at their size, (N, C, H, W)."""
        return self.classify(self.features(images, domain), domain).at((images.shape[-2], images.shape[-1]))

    def start_from(self, other: "SegmentationModel", domain: str) -> None:
        """Copy encoder and decoder that another model uses for a domain into every network of this one.

        Running statistics of that domain become those of every group here; heads and label embeddings stay.

        Raises:
            ValueError: If the networks are not alike.
        """
        source, group = other.network(domain), other.group(domain)
        for network in self.networks.values():
            cast(Network, network).start_from(source, group)

    def save(self, folder: Path, weights: Mapping[str, Tensor] | None = None) -> None:
        """Write configuration, labels and weights into a folder, which is replaced as a whole or not at all.

        ``weights`` are those to write where processes have only parts of them.
        """
        embeddings = None if self.label_embeddings is None else self.label_embeddings.options
        latent = None if self.latent_branch is None else self.latent_branch.outputs
        domains = None if self.domain_statistics is None else self.domain_statistics._asdict()
        spaces, tensors = self.label_spaces, weights or self.state_dict()
        config = asdict(self.config)
        write_model(folder, SavedModel(config, spaces, self.resolutions, embeddings, latent, tensors, domains))

    @classmethod
    def load(cls, folder: Path, device: str | torch.device = "cpu") -> Self:
        """Read a saved model (or the ``model`` of a run folder) in evaluation mode; nothing in it is executed.

        Raises:
            FileNotFoundError: If there is no saved model.
            ValueError: If the model is damaged.
        """
        place = find_model(folder)
        saved = read_model(place)
        with reading(place / CONFIG, *SAVED, "no network can be made from it"):
            config = ModelConfig.from_values(saved.config, str(place / CONFIG))
            # The weights are all in the folder: neither a download nor the file that training started from is needed.
            model = cls(replace(config, pretrained=False, weights=None), saved.label_spaces, saved.resolutions)
            model = model.to(saved.tensors["mean"].dtype) if "mean" in saved.tensors else model
            model.config = config
        with reading(place / LABELS, *SAVED, "it is damaged"):
            if saved.label_embeddings is not None:
                model.add_label_embeddings(**saved.label_embeddings)
            if saved.latent_branch is not None:
                model.add_latent_branch(saved.latent_branch)
        if saved.domains is not None:
            with reading(place / DOMAINS, *SAVED, "it is damaged"):
                model.domain_statistics = DomainStatistics.read(saved.domains)
        with reading(place / WEIGHTS, *SAVED, f"the weights are not those of {CONFIG} and {LABELS} beside it"):
            model.load_state_dict(dict(saved.tensors))
        return model.to(device).eval()

    @classmethod
    def from_pretrained(cls, name: str, device: str | torch.device = "cpu") -> Self:
        """A model on the hub, ``owner/name`` or ``owner/name@revision``; nothing of it is executed.

        Raises:
            FileNotFoundError: If the hub has no such model, or cannot be reached and the cache does not have it.
            ValueError: If it is no model of this library.
        """
        return cls.load(Path(name if is_hub_name(name) else f"hf:{name}"), device)

    def _start_from_weights(self, weights: Path, own: Convention) -> None:
        """Take what fits from a saved model or a run; or heads from a published file, whose trunk is already there.

        ``own`` is how the encoder wants images, where the configuration does not say otherwise.

        Raises:
            ValueError: If the saved model takes colour channels in another order, or its network is another.
        """
        if not weights.is_dir():
            for name, head in self.heads.items():
                log.info("head of %s: %s", name, load_head(head, weights))
            return
        folder = find_model(weights)
        saved = ModelConfig.from_values(read_config(folder), str(folder / CONFIG))
        if saved.convention(own).bgr != self.config.convention(own).bgr:
            raise ValueError(
                f"the model in {weights} has input {saved.input!r}, the new one {self.config.input!r}, with channels "
                "in another order; expected the same: set input to that of the saved model"
            )
        apart = self.config.separate and not saved.separate
        log.info("%s", load_weights(self, folder / WEIGHTS, required=None if apart else "networks."))
        if apart:  # every domain's own network starts from the shared one
            other = SegmentationModel.load(folder)
            for domain, network in self.networks.items():
                known = domain if domain in other.label_spaces else next(iter(other.label_spaces))
                cast(Network, network).start_from(other.network(known), other.group(known))
        spaces = read_model(folder).label_spaces
        for name, head in self.heads.items():
            # The saved head of these classes may have the name of another domain.
            same = next((key for key, space in spaces.items() if space == self.label_spaces[name]), name)
            if same != name:
                taken = load_weights(head, folder / WEIGHTS, part=f"heads.{same}.", required=None)
                log.info("head of %s: %s", name, taken)

    def normalized(self, images: Tensor, padding: Tensor | None = None) -> Tensor:
        """Images, (N, 3, H, W), as in ``encode``, and their padding → what the network sees of them."""
        scale = 255.0 if images.dtype == torch.uint8 else 1.0
        normalized = (images.to(self.mean.dtype) - scale * self.mean) / (scale * self.std)
        if padding is not None and self.config.padding == "mean":
            normalized = normalized.masked_fill_((padding == IGNORE)[:, None], 0.0)
        return normalized.flip(1) if self.convention.bgr else normalized
