"""Calibration against values worked out by hand and a count pixel by pixel."""

import math

import pytest
import torch

from semiverse.evaluation.calibration import BINS, calibration, calibration_sums
from semiverse.labels import IGNORE


def random_prediction(classes=5, shape=(30, 40), seed=0):
    generator = torch.Generator().manual_seed(seed)
    prediction, mask = (torch.randint(0, classes, shape, generator=generator, dtype=torch.uint8) for _ in range(2))
    confidence = torch.rand(shape, generator=generator)
    mask[torch.rand(shape, generator=generator) < 0.3] = IGNORE
    return prediction, confidence, mask


def counted(prediction, confidence, mask, classes):
    """Pixels, sum of probabilities and right pixels of every bin, pixel by pixel."""
    sums = torch.zeros(3, BINS, dtype=torch.float64)
    for said, sure, true in zip(
        prediction.flatten().tolist(), confidence.flatten().tolist(), mask.flatten().tolist(), strict=True
    ):
        if true < classes:
            place = next(m for m in range(BINS) if sure <= (m + 1) / BINS)
            sums[:, place] += torch.tensor([1, sure, said == true], dtype=torch.float64)
    return sums


def test_error_and_bins_equal_values_worked_out_by_hand():
    prediction = torch.tensor([[0, 0, 1, 1, 1]])
    confidence = torch.tensor([[0.9, 0.92, 0.5, 0.52, 0.99]])
    mask = torch.tensor([[0, 1, 1, 1, IGNORE]])
    found = calibration(calibration_sums(prediction, confidence, mask, 2))
    # bin (13/15, 14/15]: 0.9 and 0.92, one of two right; bin (7/15, 8/15]: 0.5 and 0.52, both right
    assert found.error == pytest.approx(0.5 * abs(0.5 - 0.91) + 0.5 * abs(1 - 0.51))
    assert found.pixels.tolist() == [2 if m in (7, 13) else 0 for m in range(BINS)]
    assert (found.confidence[13].item(), found.accuracy[13].item()) == (pytest.approx(0.91), 0.5)
    assert (found.confidence[7].item(), found.accuracy[7].item()) == (pytest.approx(0.51), 1.0)
    empty = [m for m in range(BINS) if m not in (7, 13)]
    assert found.confidence[empty].isnan().all() and found.accuracy[empty].isnan().all()


def test_sums_equal_a_count_pixel_by_pixel():
    prediction, confidence, mask = random_prediction()
    torch.testing.assert_close(
        calibration_sums(prediction, confidence, mask, 5), counted(prediction, confidence, mask, 5)
    )


def test_edges_belong_to_the_bin_below():
    confidence = torch.tensor([0.0, *(m / BINS for m in range(1, BINS + 1))])
    zeros = torch.zeros(BINS + 1, dtype=torch.uint8)
    assert calibration_sums(zeros, confidence, zeros, 1)[0].tolist() == [2] + [1] * (BINS - 1)


def test_error_is_zero_where_predictions_are_right_as_often_as_they_say():
    confidence = torch.tensor([0.25] * 400 + [0.5] * 100 + [1.0] * 30)
    right = torch.tensor([1, 0, 0, 0] * 100 + [1, 0] * 50 + [1] * 30)
    found = calibration(calibration_sums(torch.ones_like(right), confidence, right, 2))
    assert found.error == pytest.approx(0.0, abs=1e-12)
    assert calibration(calibration_sums(torch.ones_like(right), 0.8 * confidence, right, 2)).error > 0.05


@pytest.mark.parametrize("sure", [0.3, 0.7, 1.0])
def test_error_is_the_confidence_of_what_is_always_wrong(sure):
    zeros = torch.zeros(4, 5, dtype=torch.uint8)
    sums = calibration_sums(zeros, torch.full((4, 5), sure), zeros + 1, 2)
    assert calibration(sums).error == pytest.approx(sure)


def test_what_is_said_of_ignored_pixels_changes_nothing():
    prediction, confidence, mask = random_prediction()
    before = calibration_sums(prediction, confidence, mask, 5)
    prediction[mask == IGNORE] = IGNORE  # equal to the mask, but not right
    confidence[mask == IGNORE] = float("nan")
    assert torch.equal(calibration_sums(prediction, confidence, mask, 5), before)


def test_a_prediction_of_no_class_is_wrong_and_a_probability_that_is_no_number_is_left_out():
    prediction = torch.tensor([IGNORE, -1, 0, 0])
    confidence = torch.tensor([0.4, 0.4, 0.4, float("nan")])
    pixels, _, right = calibration_sums(prediction, confidence, torch.zeros(4, dtype=torch.int64), 2)
    assert (pixels.sum(), right.sum()) == (3, 1)


def test_sums_of_two_halves_add_up_to_the_whole():
    maps = random_prediction(shape=(2, 30, 40))
    halves = [calibration_sums(*(one[i] for one in maps), 5) for i in (0, 1)]
    torch.testing.assert_close(halves[0] + halves[1], calibration_sums(*maps, 5))


def test_without_a_labelled_pixel_the_error_is_not_a_number():
    zeros = torch.zeros(2, 2, dtype=torch.uint8)
    found = calibration(calibration_sums(zeros, torch.rand(2, 2), zeros + IGNORE, 3))
    assert math.isnan(found.error) and found.pixels.sum() == 0


def test_different_shapes_are_refused():
    small, large = torch.zeros(2, 2, dtype=torch.uint8), torch.zeros(4, 4, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"\(2, 2\), \(2, 2\) and \(4, 4\); expected equal ones"):
        calibration_sums(small, torch.rand(2, 2), large, 2)
