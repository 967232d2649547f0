"""Image and mask change together, and a mask is never interpolated."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from semiverse.data import Augmentation, CropTransform, Record, ResizeTransform, Resolution, Split
from semiverse.data.samples import crop, jitter
from semiverse.labels import IGNORE

HEIGHT, WIDTH = 48, 64
BLOCK = 8
PLAIN = Augmentation(flip=0.0)


def coordinates(height=HEIGHT, width=WIDTH):
    """An image whose pixels hold 4 times their row, 4 times their column and 7; a mask of 8 x 8 blocks."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    image = torch.stack([4 * rows, 4 * columns, torch.full_like(rows, 7)]).to(torch.uint8)
    return image, block_of(rows, columns)


def block_of(rows, columns):
    """The label of a place, up to 48 of them."""
    return ((rows // BLOCK) * (WIDTH // BLOCK) + columns // BLOCK).to(torch.uint8)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def agreement(image, mask):
    """Share of labelled pixels, leaving out a pixel along the borders of blocks, whose label is that of their place."""
    rows, columns = image[0].float() / 4, image[1].float() / 4
    clear = mask != IGNORE
    for place in (rows, columns):
        within = (place + 0.5) % BLOCK
        clear &= (within >= 1.5) & (within <= BLOCK - 1.5)
    right = mask == block_of(rows.round().long(), columns.round().long())
    assert clear.any()
    return float(right[clear].float().mean())


@pytest.mark.parametrize("place", [[0.0, 0.0], [0.3, 0.8], [0.999999, 0.999999], [1.0, 1.0]])
@pytest.mark.parametrize("size", [(1, 1), (10, 13), (48, 5), (48, 64)])
def test_a_crop_at_scale_1_is_a_plain_slice(size, place):
    image, mask = coordinates()
    top, left = (
        min(int(p * (whole - part + 1)), whole - part) for p, whole, part in zip(place, mask.shape, size, strict=True)
    )
    cut_image, cut_mask = crop(image, mask, (HEIGHT, WIDTH), size, place)
    assert torch.equal(cut_image, image[:, top : top + size[0], left : left + size[1]])
    assert torch.equal(cut_mask, mask[top : top + size[0], left : left + size[1]])


def test_every_place_of_a_crop_is_drawn():
    transform = CropTransform(Resolution(), (46, 62), PLAIN)
    generator = seeded()
    corners = {tuple(transform(*coordinates(), generator)[0][:2, 0, 0].tolist()) for _ in range(200)}
    assert corners == {(4 * top, 4 * left) for top in range(3) for left in range(3)}


@pytest.mark.parametrize("scale", [0.3, 0.5, 0.77, 1.0, 1.6, 2.0])
@pytest.mark.parametrize("size", [(1, 1), (7, 100), (33, 20), (120, 9), (200, 200)])
def test_a_crop_of_any_size_keeps_image_and_mask_together_and_labels_nothing_outside(size, scale):
    transform = CropTransform(Resolution(scale), size, PLAIN)
    image, mask = transform(*coordinates(), seeded(1))
    assert image.dtype == mask.dtype == torch.uint8
    assert image.is_contiguous() and mask.is_contiguous()
    assert image.shape == (3, *size)
    assert mask.shape == size
    height, width = (min(part, round(whole * scale)) for part, whole in zip(size, (HEIGHT, WIDTH), strict=True))
    outside = torch.ones(size, dtype=torch.bool)
    outside[:height, :width] = False
    assert torch.equal(mask == IGNORE, outside)
    assert torch.equal((image == 0).all(0), outside)


@pytest.mark.parametrize("flip", [0.0, 1.0])
@pytest.mark.parametrize("scale", [(0.5, 0.5), (0.6, 1.7), (2.0, 2.0)])
def test_labels_stay_where_the_image_shows_them(scale, flip):
    transform = CropTransform(Resolution(), (30, 40), Augmentation(scale=scale, flip=flip))
    for seed in range(8):
        assert agreement(*transform(*coordinates(), seeded(seed))) > 0.99


def test_the_measure_of_the_test_above_sees_a_shift_of_two_pixels():
    image, mask = coordinates()
    assert agreement(image, mask) == 1.0
    assert agreement(image, mask.roll(2, dims=1)) < 0.99
    assert agreement(image, mask.flip(-1)) < 0.5


def test_a_mask_is_never_interpolated():
    torch.manual_seed(0)
    image = torch.randint(0, 256, (3, HEIGHT, WIDTH), dtype=torch.uint8)
    mask = torch.tensor([0, 90, IGNORE], dtype=torch.uint8)[torch.randint(0, 3, (HEIGHT, WIDTH))]
    augmentation = Augmentation(scale=(0.4, 2.0), color=0.5)
    for seed in range(20):
        _, found = CropTransform(Resolution(0.7), (50, 30), augmentation)(image, mask, seeded(seed))
        assert set(found.unique().tolist()) <= {0, 90, IGNORE}
    _, found = ResizeTransform(Resolution(size=(31, 77)))(image, mask, seeded())
    assert set(found.unique().tolist()) <= {0, 90, IGNORE}


def test_a_flip_mirrors_both():
    plain = CropTransform(Resolution(), None, PLAIN)(*coordinates(), seeded())
    flipped = CropTransform(Resolution(), None, Augmentation(flip=1.0))(*coordinates(), seeded())
    assert torch.equal(plain[0], coordinates()[0])
    for left, right in zip(plain, flipped, strict=True):
        assert torch.equal(left.flip(-1), right)


def test_half_of_the_views_are_flipped_at_probability_one_half():
    transform = CropTransform(Resolution(), None, Augmentation(flip=0.5))
    generator = seeded()
    flipped = sum(int(transform(*coordinates(), generator)[1][0, 0] != 0) for _ in range(400))
    assert 150 < flipped < 250


def test_views_depend_on_the_generator_alone():
    transform = CropTransform(Resolution(), (20, 20), Augmentation(scale=(0.5, 2.0), color=0.4))
    first, again, other = (transform(*coordinates(), seeded(seed)) for seed in (5, 5, 6))
    for one, two, three in zip(first, again, other, strict=True):
        assert torch.equal(one, two)
        assert not torch.equal(one, three)


@pytest.mark.parametrize("size", [(24, 32), (48, 64), (97, 33), (1, 9)])
def test_an_evaluation_view_has_the_working_size_and_keeps_places(size):
    image, mask = ResizeTransform(Resolution(size=size))(*coordinates(), seeded())
    assert mask.shape == image.shape[1:] == size
    if min(size) > 20:
        assert agreement(image, mask) > 0.99


def test_a_third_of_the_size_keeps_the_label_in_the_middle_of_every_3_pixels():
    image, _ = coordinates()
    mask = torch.arange(9 * 27).reshape(9, 27).to(torch.uint8)
    _, third = ResizeTransform(Resolution(1 / 3))(image[:, :9, :27], mask, seeded())
    assert torch.equal(third, mask[1::3, 1::3])


def test_an_evaluation_view_at_its_own_size_is_the_image_itself():
    image, mask = coordinates()
    same_image, same_mask = ResizeTransform(Resolution())(image, mask, seeded())
    assert torch.equal(same_image, image) and torch.equal(same_mask, mask)


def test_a_tiny_image_survives_a_small_scale():
    transform = CropTransform(Resolution(), (4, 4), Augmentation(scale=(0.01, 0.01)))
    image, mask = transform(*coordinates(3, 200), seeded())  # would be 0 x 2
    assert image.shape == (3, 4, 4)
    assert (mask != IGNORE).sum() == 2


def test_colours_change_within_their_strength_and_masks_do_not():
    image = torch.full((3, 8, 8), 100, dtype=torch.uint8)
    brightness = {float(jitter(image, 0.3, seeded(seed)).float().mean()) / 100 for seed in range(50)}
    assert 0.67 <= min(brightness) < 0.8  # every step rounds down
    assert 1.2 < max(brightness) <= 1.3
    _, mask = CropTransform(Resolution(), None, Augmentation(flip=0.0, color=1.0))(*coordinates(), seeded())
    assert torch.equal(mask, coordinates()[1])


@pytest.mark.parametrize("size", [None, (20, 30)])
def test_further_views_are_the_same_cut_in_colours_drawn_one_after_the_other(size):
    options = {"scale": (1.0, 1.0) if size is None else (0.5, 2.0), "flip": 0.5}
    plain, colored = (CropTransform(Resolution(), size, Augmentation(**options, color=color)) for color in (0.0, 0.4))
    for seed in range(6):
        generator = seeded(seed)
        cut, mask = plain(*coordinates(), generator)
        expected = [jitter(cut, 0.4, generator) for _ in range(3)]
        views, found, _ = colored.views(*coordinates(), seeded(seed), 3)
        assert torch.equal(found, mask)
        assert all(torch.equal(one, other) for one, other in zip(views, expected, strict=True))
        assert not any(torch.equal(one, other) for one, other in zip(views, views[1:] + views[:1], strict=True))
        first, same_mask = colored(*coordinates(), seeded(seed))
        assert torch.equal(first, views[0]) and torch.equal(same_mask, mask)
        again, _, _ = plain.views(*coordinates(), seeded(seed), 2)
        assert all(torch.equal(one, cut) for one in again)


def test_a_split_draws_as_many_views_as_it_is_asked_for():
    reader = SimpleNamespace(read=lambda _: coordinates())
    transform = CropTransform(Resolution(), (20, 30), Augmentation(color=0.4))
    split = Split(reader, [Record(Path("a.png"), None)], transform)
    (alone,), views = (split.draw(0, seeded(3), count) for count in (1, 3))
    assert len(views) == 3 and all(torch.equal(view.mask, alone.mask) and view.id == alone.id for view in views)
    assert [torch.equal(view.image, alone.image) for view in views] == [True, False, False]
    whole = Split(reader, split.records, ResizeTransform(Resolution(0.5))).draw(0, seeded(), 2)
    assert len(whole) == 2 and torch.equal(whole[0].image, whole[1].image)  # it knows no other colours


# Padding


@pytest.mark.parametrize(("flip", "columns"), [(0.0, slice(0, 24)), (1.0, slice(6, 30))])
def test_padding_is_black_and_ignored_and_known_as_what_lies_beyond_the_image(flip, columns):
    transform = CropTransform(Resolution(size=(16, 24)), (20, 30), Augmentation(flip=flip, color=0.4))
    images, mask, padding = transform.views(*coordinates(), seeded(2), 2)
    inside = torch.zeros(20, 30, dtype=torch.bool)
    inside[:16, columns] = True
    assert padding.dtype == torch.uint8
    assert torch.equal(padding == 0, inside) and torch.equal(padding == IGNORE, ~inside)
    assert torch.equal(mask == IGNORE, ~inside)
    whole, _, none = CropTransform(Resolution(size=(16, 24)), None, transform.augmentation).views(
        *coordinates(), seeded(2), 2
    )
    assert none is None
    for image, content in zip(images, whole, strict=True):  # its colours change as if nothing were beyond it
        assert torch.equal(image[:, :16, columns], content)
        assert not image[:, ~inside].any()


def test_where_nothing_lies_beyond_the_image_there_is_no_padding():
    for size in ((48, 64), (10, 64), None):
        assert CropTransform(Resolution(), size, PLAIN).views(*coordinates(), seeded(), 1)[2] is None


@pytest.mark.parametrize("labelled", [True, False])
def test_a_sample_tells_padding_from_pixels_without_label(labelled):
    image, mask = coordinates()
    mask[:6] = IGNORE
    reader = SimpleNamespace(read=lambda _: (image, mask if labelled else torch.full_like(mask, IGNORE)))
    split = Split(reader, [Record(Path("a.png"), None)], CropTransform(Resolution(), (50, 70), PLAIN))
    for sample in split.draw(0, seeded(), 2):
        assert torch.equal(sample.padding[:48, :64], torch.zeros(48, 64, dtype=torch.uint8))
        assert (sample.padding == IGNORE).sum() == 50 * 70 - 48 * 64
        assert bool((sample.mask[6:48, :64] != IGNORE).all()) == labelled and bool((sample.mask[:6] == IGNORE).all())


def published_label_map(mask, crop, factors, place):
    """The loop of the public code's loader of label maps, its attempts counted as there; factors are what it draws."""
    attempt, size = 0, tuple(mask.shape)
    while attempt < 10:
        factor = next(factors)
        size = (round(size[0] * factor), round(size[1] * factor))
        if max(crop[0] - size[0], 0) > 0 or max(crop[1] - size[1], 0) > 0:
            attempt += 1
            continue
        break
    if attempt == 10:
        size = crop
    (height, width), scaled = mask.shape, torch.empty(size, dtype=torch.uint8)
    for y in range(size[0]):
        for x in range(size[1]):  # the nearest pixel, by the middles of both
            scaled[y, x] = mask[int((y + 0.5) * height / size[0]), int((x + 0.5) * width / size[1])]
    top, left = (int(p * (whole - part + 1)) for p, whole, part in zip(place, size, crop, strict=True))
    return scaled[top : top + crop[0], left : left + crop[1]], size == crop


@pytest.mark.parametrize(
    ("size", "crop", "scale", "attempts"),
    [
        ((16, 24), (32, 48), 2.0, 1),  # fits at once
        ((8, 12), (32, 48), 2.0, 2),  # factors multiply
        ((20, 12), (40, 48), 2.0, 2),  # both edges have to fit
        ((16, 24), (32, 48), 1.0, 10),  # never grows: stretched to the crop
        ((8, 24), (32, 48), 1.0, 10),  # each edge by a factor of its own
        ((20, 30), (21, 41), 1.25, 2),
        ((40, 60), (21, 41), 0.5, 10),  # shrinks further and further, and is stretched from its own pixels
    ],
)
@pytest.mark.parametrize("axis", [0, 1])
def test_label_maps_are_scaled_until_the_crop_fits_as_in_the_public_code(axis, size, crop, scale, attempts):
    mask = torch.meshgrid(*map(torch.arange, size), indexing="ij")[axis].to(torch.uint8)  # every pixel says its place
    transform = CropTransform(Resolution(), crop, Augmentation(scale=(scale, scale), flip=0.0), within=True)
    for seed in range(4):
        generator = seeded(seed)
        torch.rand((), generator=generator)  # the first factor
        place = torch.rand(2, generator=generator).tolist()
        factors = iter([scale] * 10)
        expected, whole = published_label_map(mask, crop, factors, place)
        assert len([*factors]) == 10 - attempts
        image, found = transform(mask.expand(3, -1, -1), mask, seeded(seed))
        assert image.shape == (3, *crop) and found.shape == crop
        assert (found != IGNORE).all()
        # A part of a scaled map is cut before it is scaled, with its borders at whole pixels.
        assert (found.int() - expected.int()).abs().max() <= (not whole)


def test_label_maps_hold_no_padding_and_are_other_views_only_where_others_are_padded():
    options = (Resolution(), (40, 60), Augmentation(scale=(0.5, 1.6)))
    padded = 0
    for seed in range(60):
        plain, fitting = (CropTransform(*options, within=within) for within in (False, True))
        _, mask, padding = plain.views(*coordinates(), seeded(seed), 1)
        image, found = fitting(*coordinates(), seeded(seed))
        assert (found != IGNORE).all() and agreement(image, found) > 0.98
        if padding is None:
            assert torch.equal(found, mask)
        else:
            padded += 1
            assert (mask == IGNORE).any()
    assert 10 < padded < 50


def test_without_strength_colours_stay():
    image, _ = coordinates()
    assert torch.equal(jitter(image, 0.0, seeded()), image)


@pytest.mark.parametrize(
    "options", [{"scale": (0.0, 1.0)}, {"scale": (1.2, 1.0)}, {"flip": 1.5}, {"flip": -0.1}, {"color": 2.0}]
)
def test_augmentation_out_of_range_is_refused(options):
    with pytest.raises(ValueError, match=rf"augmentation .*{next(iter(options))}.*expected"):
        Augmentation(**options)


def test_a_random_scale_needs_a_crop():
    with pytest.raises(ValueError, match=r"scale=\(0\.5, 1\.0\) without a crop.*set crop, or scale"):
        CropTransform(Resolution(), None, Augmentation(scale=(0.5, 1.0)))


@pytest.mark.parametrize("size", [(0, 10), (10, -1)])
def test_a_crop_that_is_not_positive_is_refused(size):
    with pytest.raises(ValueError, match="expected a positive height and width"):
        CropTransform(Resolution(), size, PLAIN)
