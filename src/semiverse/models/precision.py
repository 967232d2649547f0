"""Which devices compute in half precision themselves."""

import functools
import logging

import torch

log = logging.getLogger(__name__)


def computes_in(kind: torch.dtype, device: torch.device) -> bool:
    """Whether a device computes in bfloat16 or float16 itself, and so faster than in float32.

    Processors need AVX-512 for bfloat16 and more of it for float16, or what is like them on others; without them
    convolutions fall to reference kernels. GPUs of NVIDIA know bfloat16 since the A100.
    """
    if device.type == "cuda":
        return kind == torch.float16 or bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    known = torch.ops.mkldnn
    return bool(known._is_mkldnn_fp16_supported() if kind == torch.float16 else known._is_mkldnn_bf16_supported())


@functools.cache
def warn_of_slow_halves(kind: torch.dtype, device: torch.device) -> None:
    """Say once that half precision was asked for where it is slow."""
    if not computes_in(kind, device):
        log.warning(
            "%s was asked for, but this %s has no instructions for it: ten times as slow as float32; expected a device "
            "that has them: choose float32 (precision: 32-true, or auto, in a training)",
            str(kind).removeprefix("torch."),
            "processor" if device.type == "cpu" else device.type,
        )
