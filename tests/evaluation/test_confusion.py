"""Scores against a short NumPy count, and the ways publications average them."""

import math

import numpy as np
import pytest
import torch

from semiverse.evaluation.confusion import ConfusionMatrix, miou
from semiverse.labels import IGNORE


def random_maps(classes, shape=(3, 20, 30), seed=0):
    generator = torch.Generator().manual_seed(seed)
    prediction = torch.randint(0, classes, shape, generator=generator)
    mask = torch.randint(0, classes, shape, generator=generator)
    mask[torch.rand(shape, generator=generator) < 0.3] = IGNORE
    return prediction, mask


def counted(prediction, mask, classes):
    """Intersection over union and accuracy of each class, counted one class after the other."""
    prediction, mask = prediction.numpy(), mask.numpy()
    valid = mask < classes
    iou, accuracy = np.full(classes, np.nan), np.full(classes, np.nan)
    for label in range(classes):
        true, predicted = (mask == label) & valid, (prediction == label) & valid
        if (true | predicted).any():
            iou[label] = (true & predicted).sum() / (true | predicted).sum()
        if true.any():
            accuracy[label] = (true & predicted).sum() / true.sum()
    return iou, accuracy


def scores_of(prediction, mask, classes):
    metric = ConfusionMatrix(classes)
    metric.update(torch.as_tensor(prediction), torch.as_tensor(mask))
    return metric.compute()


@pytest.mark.parametrize("classes", [1, 2, 11, 19, 127, 128, 181, 200, 255])
def test_scores_equal_a_count_class_by_class(classes):
    prediction, mask = random_maps(classes, seed=classes)
    iou, accuracy = counted(prediction, mask, classes)
    scores = scores_of(prediction, mask, classes)
    np.testing.assert_allclose(scores.iou.numpy(), iou, rtol=1e-12)
    np.testing.assert_allclose(scores.accuracy.numpy(), accuracy, rtol=1e-12)
    assert scores.miou == pytest.approx(np.nanmean(iou))
    valid = mask != IGNORE
    assert scores.pixel_accuracy == pytest.approx((prediction == mask)[valid].double().mean().item())


@pytest.mark.parametrize("prediction_type", [torch.uint8, torch.int16, torch.int32, torch.int64])
@pytest.mark.parametrize("mask_type", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_every_integer_type_gives_the_same_counts(prediction_type, mask_type):
    prediction, mask = random_maps(19)
    expected, metric = ConfusionMatrix(19), ConfusionMatrix(19)
    expected.update(prediction, mask)
    metric.update(prediction.to(prediction_type), mask.to(mask_type))
    assert torch.equal(metric.matrix, expected.matrix)


def test_ignored_pixels_do_not_count():
    scores = scores_of([[[0, 1, 1, 0]]], [[[0, 0, 1, IGNORE]]], 2)
    assert scores.iou.tolist() == [0.5, 0.5]
    assert scores.miou == 0.5
    assert scores.accuracy.tolist() == [0.5, 1.0]
    assert scores.pixel_accuracy == pytest.approx(2 / 3)


@pytest.mark.parametrize("outside", [2, 100, 255, -1])
def test_a_prediction_that_is_no_class_is_a_miss_of_the_true_class(outside):
    scores = scores_of([[[0, outside, 1, outside]]], [[[0, 0, 1, IGNORE]]], 2)
    assert scores.iou.tolist() == [0.5, 1.0]
    assert scores.accuracy.tolist() == [0.5, 1.0]
    assert scores.pixel_accuracy == pytest.approx(2 / 3)


@pytest.mark.parametrize("outside", [2, 254, 255, -1])
def test_mask_values_that_are_no_class_do_not_count(outside):
    prediction, mask = torch.tensor([[[0, 1, 1]]]), torch.tensor([[[0, outside, 1]]])
    assert scores_of(prediction, mask, 2).iou.tolist() == [1.0, 1.0]


def test_two_halves_give_the_scores_of_the_whole():
    prediction, mask = random_maps(11, shape=(4, 20, 30))
    whole, halves = ConfusionMatrix(11), ConfusionMatrix(11)
    whole.update(prediction, mask)
    halves.update(prediction[:2], mask[:2])
    halves.update(prediction[2:], mask[2:])
    assert torch.equal(whole.matrix, halves.matrix)
    assert whole.matrix.dtype == torch.int64
    assert torch.equal(whole.compute().iou, halves.compute().iou)


def test_counts_beyond_single_precision_stay_exact():
    metric = ConfusionMatrix(2)
    metric.update(torch.zeros(1, 1, 1, dtype=torch.uint8), torch.zeros(1, 1, 1, dtype=torch.uint8))
    metric.matrix += 2**24 * torch.tensor([[1, 0, 0], [0, 0, 0]])
    metric.update(torch.ones(1, 1, 1, dtype=torch.uint8), torch.zeros(1, 1, 1, dtype=torch.uint8))
    assert metric.matrix[0].tolist() == [2**24 + 1, 1, 0]


def test_an_absent_class_is_nan_and_left_out_of_the_mean():
    scores = scores_of([[[0, 1]]], [[[0, 1]]], 3)
    assert scores.iou[:2].tolist() == [1.0, 1.0]
    assert math.isnan(scores.iou[2])
    assert math.isnan(scores.accuracy[2])
    assert scores.miou == 1.0


def test_without_a_labelled_pixel_the_means_are_nan():
    scores = scores_of([[[0, 1]]], [[[IGNORE, IGNORE]]], 2)
    assert math.isnan(scores.miou)
    assert math.isnan(scores.pixel_accuracy)


@pytest.mark.parametrize(
    ("variant", "expected"),
    [("default", (0.5 + 2 / 3 + 0) / 3), ("zero-absent", (0.5 + 2 / 3 + 0) / 4), ("present-only", (0.5 + 2 / 3) / 2)],
)
def test_mean_variants_differ_in_missed_and_absent_classes(variant, expected):
    # True classes in rows: class 2 is missed completely, class 3 is absent, one pixel of class 0 is predicted as none.
    matrix = torch.tensor([[2, 0, 0, 0, 1], [0, 2, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]])
    assert miou(matrix, variant) == pytest.approx(expected)


@pytest.mark.parametrize("variant", ["default", "zero-absent", "present-only"])
def test_mean_variants_agree_where_every_class_is_found(variant):
    metric = ConfusionMatrix(5)
    metric.update(*random_maps(5))
    assert miou(metric.matrix, variant) == pytest.approx(metric.compute().miou)
    assert miou(metric.matrix[:, :5], variant) == pytest.approx(metric.compute().miou)


def test_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 2, 2\).*\(1, 4, 4\)"):
        ConfusionMatrix(2).update(torch.zeros(1, 2, 2, dtype=torch.uint8), torch.zeros(1, 4, 4, dtype=torch.uint8))
