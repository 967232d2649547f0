"""Boundary IoU against counts by hand, erosion as published, and a search around every pixel."""

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion

from semiverse.evaluation.boundary import boundary_counts, boundary_iou, boundary_width
from semiverse.labels import IGNORE


def regions(classes, shape, seed):
    """A map of coarse regions with ragged contours."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, classes, 4, 5, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, shape, mode="bilinear")[0]
    return (fine + 0.1 * torch.rand(classes, *shape, generator=generator)).argmax(dim=0).to(torch.uint8)


def ignored_somewhere(mask, seed, share=0.3):
    hidden = torch.rand(mask.shape, generator=torch.Generator().manual_seed(seed)) < share
    return mask.masked_fill(hidden, IGNORE)


def of_erosion(prediction, mask, classes, width):
    """The published procedure on masks without ignored pixels: pad with zero, erode, compare what was eroded."""

    def boundary(region):
        padded = np.pad(region, 1)
        return region & ~binary_erosion(padded, np.ones((3, 3)), iterations=width, border_value=1)[1:-1, 1:-1]

    pairs = [(boundary((mask == c).numpy()), boundary((prediction == c).numpy())) for c in range(classes)]
    return [[int((true & found).sum()) for true, found in pairs], [int((true | found).sum()) for true, found in pairs]]


def of_search(prediction, mask, classes, width):
    """The definition: look around every labelled pixel for another class or the outside."""
    height, breadth = mask.shape

    def in_boundary(values, y, x):
        for i in range(y - width, y + width + 1):
            for j in range(x - width, x + width + 1):
                inside = 0 <= i < height and 0 <= j < breadth
                if not inside or (0 <= mask[i][j] < classes and values[i][j] != values[y][x]):
                    return True
        return False

    counts = torch.zeros(2, classes, dtype=torch.int64)
    for y in range(height):
        for x in range(breadth):
            if not 0 <= mask[y][x] < classes:
                continue
            true, found = int(mask[y][x]), int(prediction[y][x])
            here = {("true", true)} if in_boundary(mask, y, x) else set()
            here |= {("found", found)} if in_boundary(prediction, y, x) else set()
            for label in range(classes):
                both = {("true", label), ("found", label)} & here
                counts[0, label] += len(both) == 2
                counts[1, label] += len(both) > 0
    return counts


def counts_of(prediction, mask, classes, width):
    return boundary_counts(prediction[None], mask[None], classes, width)


def test_counts_of_a_shifted_half_equal_those_by_hand():
    # Six rows and eight columns, left half class 0; the prediction's contour is one column to the right.
    mask = torch.zeros(6, 8, dtype=torch.uint8)
    mask[:, 4:] = 1
    prediction = torch.zeros(6, 8, dtype=torch.uint8)
    prediction[:, 5:] = 1
    counts = counts_of(prediction, mask, 2, 1)
    # Rings of one pixel: 4 x 6 has 16, 5 x 6 has 18, 3 x 6 has 14. Common: column 0, and the upper and lower edge, of
    # class 0 in columns 0..3, of class 1 in columns 5..7.
    assert counts.tolist() == [[6 + 3 * 2, 6 + 2 * 2], [16 + 18 - 12, 16 + 14 - 10]]
    assert boundary_iou(counts).tolist() == pytest.approx([12 / 22, 10 / 20])


@pytest.mark.parametrize("width", [1, 2, 3, 6, 40])
@pytest.mark.parametrize("classes", [1, 2, 11])
def test_counts_equal_those_of_published_erosion(classes, width):
    prediction, mask = regions(classes, (37, 52), seed=1), regions(classes, (37, 52), seed=2)
    assert counts_of(prediction, mask, classes, width).tolist() == of_erosion(prediction, mask, classes, width)


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("outside", [IGNORE, 3])
def test_counts_with_ignored_pixels_and_predictions_of_no_class_equal_a_search(outside, width):
    prediction, mask = regions(4, (14, 17), seed=3), ignored_somewhere(regions(3, (14, 17), seed=4), 5)
    prediction[prediction == 3] = outside
    assert torch.equal(counts_of(prediction, mask, 3, width), of_search(prediction, mask, 3, width))


@pytest.mark.parametrize("kind", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_every_integer_type_gives_the_same_counts(kind):
    prediction, mask = regions(5, (20, 30), seed=1), ignored_somewhere(regions(5, (20, 30), seed=2), 3)
    expected = counts_of(prediction, mask, 5, 2)
    assert torch.equal(counts_of(prediction.to(kind), mask.to(kind), 5, 2), expected)


def test_values_far_outside_the_classes_are_no_class():
    prediction, mask = regions(5, (20, 30), seed=1), ignored_somewhere(regions(5, (20, 30), seed=2), 3)
    expected = counts_of(prediction, mask, 5, 2)
    large = mask.long()
    large[mask == IGNORE] = 2**16  # what a narrow type would take for class 0
    assert torch.equal(counts_of(prediction, large, 5, 2), expected)


def test_what_is_said_of_ignored_pixels_changes_nothing():
    prediction, mask = regions(5, (40, 50), seed=1), ignored_somewhere(regions(5, (40, 50), seed=2), 3)
    expected = counts_of(prediction, mask, 5, 2)
    for said in (0, 4, IGNORE):
        assert torch.equal(counts_of(prediction.masked_fill(mask == IGNORE, said), mask, 5, 2), expected)


def test_no_contour_runs_along_ignored_pixels():
    mask = torch.zeros(21, 21, dtype=torch.uint8)
    mask[8:13, 8:13] = IGNORE
    intersection, union = counts_of(torch.zeros_like(mask), mask, 2, 2)[:, 0].tolist()
    assert intersection == union == 21 * 21 - 17 * 17  # the border of the image alone


def test_classes_beside_a_narrow_ignored_strip_are_contours_to_each_other():
    mask = torch.zeros(40, 40, dtype=torch.uint8)
    mask[:, 20:] = 1
    strip = mask.clone()
    strip[:, 19:21] = IGNORE
    union = counts_of(mask, strip, 2, 4)[1]
    ring = 40 * 40 - 32 * 32  # four pixels along the border of the image, of which the strip takes 8 x 2
    assert union.tolist() == [(ring - 16) // 2 + 2 * 32] * 2  # columns 17 and 18 are at most 4 from column 21


@pytest.mark.parametrize("width", [1, 5])
def test_a_perfect_prediction_scores_one_and_its_opposite_zero(width):
    mask = ignored_somewhere(regions(4, (30, 40), seed=1), 2)
    assert (boundary_iou(counts_of(mask, mask, 4, width)) == 1).all()
    wrong = torch.where(mask < 4, (mask + 1) % 4, mask)
    assert (boundary_iou(counts_of(wrong, mask, 4, width)) == 0).all()


def test_a_width_beyond_the_image_gives_plain_iou():
    prediction, mask = regions(3, (20, 30), seed=1), ignored_somewhere(regions(3, (20, 30), seed=2), 3)
    valid = mask < 3
    expected = [
        float(((prediction == c) & (mask == c)).sum() / (((prediction == c) & valid) | (mask == c)).sum())
        for c in range(3)
    ]
    assert boundary_iou(counts_of(prediction, mask, 3, 30)).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    "change",
    [lambda one: one.flip(-1), lambda one: one.flip(-2), lambda one: one.mT],
    ids=["mirrored", "upside_down", "turned"],
)
def test_mirrored_and_turned_maps_give_the_same_counts(change):
    prediction, mask = regions(5, (30, 30), seed=1), ignored_somewhere(regions(5, (30, 30), seed=2), 3)
    assert torch.equal(counts_of(change(prediction), change(mask), 5, 3), counts_of(prediction, mask, 5, 3))


def test_images_of_a_batch_do_not_touch():
    pairs = [(regions(4, (20, 30), seed=i), ignored_somewhere(regions(4, (20, 30), seed=i + 9), i)) for i in range(3)]
    alone = torch.stack([counts_of(*pair, 4, 2) for pair in pairs]).sum(dim=0)
    together = boundary_counts(*(torch.stack(maps) for maps in zip(*pairs, strict=True)), 4, 2)
    assert torch.equal(together, alone)


def test_an_absent_class_and_an_image_without_labels_are_not_a_number():
    mask = torch.zeros(5, 5, dtype=torch.uint8)
    assert boundary_iou(counts_of(mask, mask, 2, 1)).isnan().tolist() == [False, True]
    nothing = counts_of(mask, torch.full_like(mask, IGNORE), 2, 1)
    assert nothing.sum() == 0 and boundary_iou(nothing).isnan().all()


@pytest.mark.parametrize(
    ("size", "expected"), [((360, 480), 12), ((1024, 2048), 46), ((720, 960), 24), ((8, 8), 1), ((1, 1), 1)]
)
def test_width_is_two_hundredths_of_the_diagonal(size, expected):
    assert boundary_width(*size) == expected


def test_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 2, 2\).*\(1, 4, 4\)"):
        boundary_counts(torch.zeros(1, 2, 2, dtype=torch.uint8), torch.zeros(1, 4, 4, dtype=torch.uint8), 2, 1)
