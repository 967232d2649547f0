"""Arg-max of maps that come from top to bottom, and of the mean of several."""

import pytest
import torch

from semiverse import upsampling
from semiverse.inference.bands import Bands, argmax_of_mean, drawn_from_mean
from semiverse.upsampling import ScoreMap, Upsampling, argmax_with_confidence, border_weights

ZERO_BORDER = Upsampling(zero_border=True)


@pytest.mark.parametrize("way", [Upsampling(), Upsampling(align_corners=True), ZERO_BORDER], ids=str)
@pytest.mark.parametrize("size", [(90, 40), (23, 40), (7, 5)], ids=str)  # enlarged, the same, reduced
def test_bands_of_any_height_give_what_the_whole_map_gives(monkeypatch, way, size):
    monkeypatch.setitem(upsampling._STRIP_ELEMENTS, "cpu", 5 * 8 * size[1])
    scores = torch.randn(2, 5, 23, 9, generator=torch.Generator().manual_seed(0))
    expected = argmax_with_confidence(ScoreMap(scores, way), size)
    for heights in ([23], [1, 1, 21], [10, 8, 5], [1] * 23):
        bands = Bands(iter(scores.split(heights, dim=2)), 23, way)
        ((mask, confidence),) = argmax_of_mean([bands], size)
        assert torch.equal(mask, expected[0])
        torch.testing.assert_close(confidence, expected[1])


def test_rows_above_are_forgotten(monkeypatch):
    monkeypatch.setitem(upsampling._STRIP_ELEMENTS, "cpu", 8 * 64)
    bands, kept = Bands(iter(torch.zeros(1, 1, 32, 8).split(4, dim=2)), 32, Upsampling()), []
    up = Bands.up
    monkeypatch.setattr(Bands, "up", lambda *given: (up(*given), kept.append(bands._kept.shape[2]))[0])
    argmax_of_mean([bands], (256, 64))
    assert len(kept) == 32 and max(kept) <= 6


def test_label_spaces_are_told_apart_by_their_channels():
    scores = torch.randn(1, 7, 4, 6, generator=torch.Generator().manual_seed(0))
    (one, sure), (other, _) = argmax_of_mean([ScoreMap(scores)], (8, 12), spaces=[3, 4])
    expected = argmax_with_confidence(ScoreMap(scores[:, :3]), (8, 12))
    assert torch.equal(one, expected[0]) and torch.equal(sure, expected[1])
    assert torch.equal(other, argmax_with_confidence(ScoreMap(scores[:, 3:]), (8, 12))[0])
    ((same, nothing),) = argmax_of_mean([ScoreMap(scores[:, :3])], (8, 12), sure=False)
    assert torch.equal(same, one) and nothing.numel() == 0


def test_border_of_an_eighth_fades_by_sixteenths():
    assert border_weights(5, 40, torch.zeros(0)).tolist()[:5] == [0.5625, 0.6875, 0.8125, 0.9375, 1.0]


def test_probabilities_are_averaged_not_scores():
    """One is nearly sure of the first class, two say 0.8 for the second: 1.3999 / 3 against 1.6001 / 3."""
    probabilities = [(0.9999, 0.0001), (0.2, 0.8), (0.2, 0.8)]
    maps = [ScoreMap(torch.tensor(pair).log().view(1, 2, 1, 1)) for pair in probabilities]
    mask, confidence = argmax_of_mean(maps, (2, 3))[0]
    assert mask.shape == confidence.shape == (1, 2, 3) and (mask == 1).all()
    assert confidence.flatten().tolist() == pytest.approx([1.6001 / 3] * 6)
    assert int(ScoreMap(sum(one.values for one in maps)).values.argmax()) == 0


def test_mean_of_maps_of_different_sizes_is_that_of_whole_probabilities(monkeypatch):
    monkeypatch.setitem(upsampling._STRIP_ELEMENTS, "cpu", 4 * 8 * 50)  # six strips an image
    ways = [((6, 7), Upsampling()), ((9, 10), Upsampling(align_corners=True)), ((5, 12), ZERO_BORDER)]
    draw = torch.Generator().manual_seed(0)
    maps = [ScoreMap(3 * torch.randn(2, 4, *cells, generator=draw), way) for cells, way in ways]
    mask, confidence = argmax_of_mean(maps, (41, 50))[0]
    mean = torch.stack([one.at((41, 50)).softmax(dim=1) for one in maps]).mean(dim=0)
    assert torch.equal(mask.long(), mean.argmax(dim=1))
    torch.testing.assert_close(confidence, mean.amax(dim=1))


def test_mean_of_one_map_is_that_map_bit_for_bit_and_no_number_stays_none():
    scores = torch.randn(1, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    found, expected = (
        argmax_of_mean([ScoreMap(scores)], (33, 40))[0],
        argmax_with_confidence(ScoreMap(scores), (33, 40)),
    )
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert (argmax_of_mean([ScoreMap(scores), ScoreMap(scores * torch.nan)], (33, 40))[0][0] == 3).all()


def test_maps_of_other_channels_cannot_be_averaged():
    with pytest.raises(ValueError, match=r"\(1, 3\), \(1, 4\).*one such shape"):
        argmax_of_mean([ScoreMap(torch.zeros(1, channels, 2, 2)) for channels in (3, 4)], (4, 4))


def test_draws_are_as_frequent_as_the_mean_of_the_probabilities_says():
    """Two maps of (0.7, 0.3, 0) and (0.3, 0.3, 0.4): mean (0.5, 0.3, 0.2)."""
    maps = [
        ScoreMap(torch.tensor(p).log().clamp(min=-100)[None, :, None, None].expand(2, 3, 4, 5))
        for p in ([0.7, 0.3, 0.0], [0.3, 0.3, 0.4])
    ]
    mask, confidence, drawn = drawn_from_mean(maps, (160, 200), 3, torch.Generator().manual_seed(0))
    assert drawn.shape == (3, 2, 160, 200) and drawn.dtype == torch.uint8
    assert (mask == 0).all() and torch.allclose(confidence, torch.tensor(0.5))
    shares = torch.bincount(drawn.flatten().long(), minlength=3) / drawn.numel()
    assert torch.allclose(shares, torch.tensor([0.5, 0.3, 0.2]), atol=0.004)  # deviation 0.0011 each
    both = (drawn[0] == 0) & (drawn[1] == 0)  # masks are drawn apart
    assert float(both.double().mean()) == pytest.approx(0.25, abs=0.008)
    right = (drawn[0, 0, :, 1:] == 0) & (drawn[0, 0, :, :-1] == 0)  # and so are pixels
    assert float(right.double().mean()) == pytest.approx(0.25, abs=0.012)


def test_draws_are_a_function_of_the_generator_and_leave_the_arg_max_as_it_is():
    torch.manual_seed(0)
    maps = [ScoreMap(torch.randn(2, 5, 6, 7)), ScoreMap(torch.randn(2, 5, 3, 4))]
    first, again = (drawn_from_mean(maps, (33, 40), 2, torch.Generator().manual_seed(7)) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    ((mask, confidence),) = argmax_of_mean(maps, (33, 40))
    assert torch.equal(first[0], mask) and torch.equal(first[1], confidence)
    certain = ScoreMap(100.0 * torch.nn.functional.one_hot(torch.randint(0, 5, (1, 6, 7)), 5).movedim(-1, 1).float())
    mask, _, drawn = drawn_from_mean([certain], (6, 7), 2, torch.Generator().manual_seed(0))
    assert torch.equal(drawn, mask[None].expand_as(drawn))
