"""Which devices compute in bfloat16 themselves."""

import functools
import logging

import torch

log = logging.getLogger(__name__)


def computes_bfloat16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 itself, and so faster than in float32.

    Processors need AVX-512, or what is like it on others; without it convolutions fall to reference kernels. GPUs of
    NVIDIA do since the A100.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    known = device.type == "cpu" and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(known and torch.ops.mkldnn._is_mkldnn_bf16_supported())


@functools.cache
def warn_of_slow_bfloat16(device: torch.device) -> None:
    """Say once that bfloat16 was asked for where it is slow."""
    if not computes_bfloat16(device):
        log.warning(
            "bfloat16 was asked for, but this %s has no instructions for it: ten times as slow as float32; expected a "
            "device that has them: choose float32 (precision: 32-true, or auto, in a training)",
            "processor" if device.type == "cpu" else device.type,
        )
