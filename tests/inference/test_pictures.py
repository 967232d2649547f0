"""Masks laid over images."""

import pytest
import torch

from semiverse.inference import pictures
from semiverse.inference.pictures import overlay
from semiverse.labels import IGNORE, LabelSpace

SPACE = LabelSpace("two", ("black", "white"), ((0, 0, 0), (255, 255, 255)))


def test_overlay_by_hand():
    """Half of the colour; nothing where there is no label; at borders half of the brightness of the class alone."""
    image = torch.full((3, 1, 4), 100, dtype=torch.uint8)
    mask = torch.tensor([[1, 1, 0, 0]], dtype=torch.uint8)
    assert overlay(image, mask, SPACE, strength=0.5)[0].tolist() == [[178, 128, 50, 50]]  # the border has 127.5
    unlabeled = torch.full((1, 4), IGNORE, dtype=torch.uint8)
    assert torch.equal(overlay(image, unlabeled, SPACE), image)


@pytest.mark.parametrize("pixels", [1, 14, 30])
def test_strips_change_nothing(pixels, monkeypatch):
    draw = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, 9, 7), dtype=torch.uint8, generator=draw)
    mask = torch.randint(0, 2, (9, 7), dtype=torch.uint8, generator=draw)
    whole = overlay(image, mask, SPACE)
    monkeypatch.setattr(pictures, "_STRIP_PIXELS", pixels)
    assert torch.equal(overlay(image, mask, SPACE), whole)
