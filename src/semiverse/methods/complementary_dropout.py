"""Complementary dropout: of two strong views each leaves out the channels that the other has.

UniMatch V2 (Yang et al., 2025), as its public code draws them, but for every level of its own.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from semiverse.distributed import process_count, process_rank
from semiverse.methods.strong_views import generator


def dropped(maps: Sequence[Tensor], seed: int, step: int, domain: str, view: int) -> list[Tensor]:
    """Maps of a view, (N, D, h, w) each, with half of their channels at zero and the others twice as large.

    The other view has the other half. Every second image of the whole batch keeps all channels in both.

    Args:
        maps: One a level.
        seed: Of the mixture.
        step: In which it is drawn anew.
        domain: Of the images.
        view: 0 or 1.
    """
    found, count = [], process_count()
    for level, values in enumerate(maps):
        factors = torch.ones(values.shape[:2])
        for image in range(len(values)):
            place = image * count + process_rank()
            draw = generator(seed, step, domain, "dropout", level, place)
            if (place + step) % 2:
                kept = torch.from_numpy(2.0 * (draw.random(values.shape[1]) < 0.5))
                factors[image] = kept if view == 0 else 2.0 - kept
        found.append(values * factors.to(values)[:, :, None, None])
    return found
