"""Score maps, masks and settings for the tests of losses."""

import pytest
import torch
import torch.nn.functional as F

from semiverse.labels import IGNORE

MODES = {"half-pixel": {}, "corners": {"align_corners": True}, "zero-border": {"zero_border": True}}
LARGE_SIZES = [((1, 12, 45, 60), (360, 480)), ((3, 45, 13, 17), (97, 131))]  # more than a million scores: in strips
modes = pytest.mark.parametrize("flags", MODES.values(), ids=MODES.keys())


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def random_mask(classes, shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.randint(0, classes, shape, generator=generator)
    mask[torch.rand(shape, generator=generator) < 0.2] = IGNORE
    return mask


def upsampled(scores, size, align_corners=False):
    return F.interpolate(scores, size=size, mode="bilinear", align_corners=align_corners)
