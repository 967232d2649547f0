"""Networks of timm as encoders: convolutional ones and others that give a pyramid, and vision transformers."""

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semiverse.models.config import RGB_IMAGENET, Convention


class TimmEncoder(nn.Module):
    """A network of timm that gives maps of growing stride. Its stages end at the maps of stride 4 and up.

    Args:
        network: What ``timm.create_model(..., features_only=True)`` returns.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        info = cast(Any, network).feature_info
        self.channels: Sequence[int] = tuple(info.channels())
        self.strides: Sequence[int] = tuple(info.reduction())
        self.convention = _convention(network)
        known = dict(network.named_modules())
        ends = [name for name, stride in zip(info.module_name(), self.strides, strict=True) if stride >= 4]
        # timm puts the children of sequences in the place of these: stages.0 is stages_0 then.
        ends = [name if name in known else name.replace(".", "_", 1) for name in ends]
        # Some networks name maps and not modules, as they have several branches at once.
        self.stages: Sequence[str] = [f"network.{name}" for name in ends] if set(ends) <= set(known) else ()

    @property
    def trunk(self) -> nn.Module:
        """The module whose parameter names are those of published files."""
        return self.network

    def forward(self, images: Tensor) -> list[Tensor]:
        """Normalised images, (N, 3, H, W) → one map a level, (N, C_i, h_i, w_i).

        Raises:
            ValueError: If this network takes no images of this size.
        """
        try:
            return list(self.network(images))
        except RuntimeError as error:
            height, width = images.shape[-2:]
            stride = self.strides[-1]
            if isinstance(error, torch.OutOfMemoryError) or (height % stride == 0 and width % stride == 0):
                raise
            raise ValueError(
                f"this encoder failed on images of {height} x {width} pixels ({error}); expected multiples of "
                f"{stride}, which not every encoder needs: set resolution and crop to some, or use another encoder"
            ) from error


class VisionTransformer(nn.Module):
    """A vision transformer of timm (Dosovitskiy et al., 2021): maps of one stride, after each quarter of its blocks.

    Every map has passed the network's last norm, as the public code of DINOv2 and of UniMatch V2 takes them. Images may
    have any size: they are padded with zeros to whole patches, and the maps resampled to cells that cover the image
    alone, ceil(H / stride) x ceil(W / stride) of them.

    Args:
        network: What ``timm.create_model(..., num_classes=0, dynamic_img_size=True)`` returns.

    Raises:
        ValueError: If it is no such transformer.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        if not hasattr(network, "blocks") or not hasattr(network, "forward_intermediates"):
            raise ValueError("it takes images of one fixed size only, and is no plain vision transformer")
        self.network = network
        depth = len(cast(Any, network).blocks)
        self.ends = [-(-quarter * depth // 4) - 1 for quarter in (1, 2, 3, 4)]
        cast(Any, network).prune_intermediate_layers(self.ends)  # what stands behind the last norm
        facts = [cast(Any, network).feature_info[end] for end in self.ends]
        self.channels: Sequence[int] = tuple(fact["num_chs"] for fact in facts)
        self.strides: Sequence[int] = tuple(fact["reduction"] for fact in facts)
        self.stages: Sequence[str] = [f"network.blocks.{end}" for end in self.ends]
        self.convention = _convention(network)

    @property
    def trunk(self) -> nn.Module:
        """The module whose parameter names are those of published files."""
        return self.network

    def forward(self, images: Tensor) -> list[Tensor]:
        """Normalised images, (N, 3, H, W) → four maps, (N, C, h, w)."""
        (height, width), patch = images.shape[-2:], self.strides[0]
        rows, columns = -(-height // patch), -(-width // patch)
        padded = F.pad(images, (0, columns * patch - width, 0, rows * patch - height))
        maps: list[Tensor] = cast(Any, self.network).forward_intermediates(
            padded, indices=self.ends, norm=True, intermediates_only=True
        )
        if padded.shape == images.shape:
            return maps
        # Interpolation that is told both a size and a factor: cells are smaller than a patch by this one. A cell more,
        # which nothing reads, as torch copies maps that keep their size, whatever the factor.
        factors = (rows * patch / height, columns * patch / width)
        resample = torch.ops.aten.upsample_bilinear2d
        return [resample(F.pad(one, (0, 1, 0, 1), mode="replicate"), (rows, columns), False, *factors) for one in maps]


def _convention(network: nn.Module) -> Convention:
    """What timm says of the images that a network was trained with."""
    facts = cast(Any, network).pretrained_cfg
    mean, std = (facts.get(name, getattr(RGB_IMAGENET, name)) for name in ("mean", "std"))
    return Convention(tuple(mean), tuple(std))
