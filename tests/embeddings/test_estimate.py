"""Label embeddings against brute force at full resolution and against scikit-learn."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA

from semiverse.embeddings.estimate import StreamingPCA, class_sums, label_embeddings
from semiverse.labels import IGNORE
from semiverse.upsampling import Upsampling

MODES = {"half-pixel": {}, "corners": {"align_corners": True}}
CLASSES = 4


def random_images(count=3, channels=12, cells=(9, 12), size=(72, 96), seed=0, dtype=torch.float64):
    """Correlated features, and masks of 0..2 with ignored pixels; class 3 does not occur."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(channels, channels, generator=generator, dtype=dtype)
    features = torch.einsum(
        "cd,ndhw->nchw", mixing, torch.randn(count, channels, *cells, generator=generator, dtype=dtype)
    )
    mask = torch.randint(0, 3, (count, *size), generator=generator)
    mask[torch.rand(mask.shape, generator=generator) < 0.3] = IGNORE
    return features + 5, mask


def brute_force_means(features, mask, **flags):
    """Class means of features upsampled to the mask, (3, D)."""
    full = F.interpolate(features, size=mask.shape[-2:], mode="bilinear", **flags)
    return torch.stack([full.permute(0, 2, 3, 1)[mask == label].mean(dim=0) for label in range(3)])


def one_by_one(features, mask):
    return lambda: ((features[i : i + 1], mask[i : i + 1]) for i in range(len(features)))


# Class sums


@pytest.mark.parametrize("flags", MODES.values(), ids=MODES.keys())
@pytest.mark.parametrize(("cells", "size"), [((9, 12), (72, 96)), ((13, 17), (97, 131)), ((45, 60), (360, 480))])
def test_class_sums_equal_sums_of_upsampled_features(cells, size, flags):
    features, mask = random_images(cells=cells, size=size)
    sums, counts = class_sums(features, mask, CLASSES, Upsampling(**flags))
    assert counts.tolist() == [(mask == label).sum().item() for label in range(CLASSES)]
    means = sums[:3] / counts[:3, None]
    torch.testing.assert_close(means, brute_force_means(features, mask, **flags), rtol=1e-10, atol=1e-10)
    assert sums[3].abs().max() == 0


def test_class_sums_in_single_precision_equal_brute_force_to_five_digits():
    features, mask = random_images(cells=(45, 60), size=(360, 480), dtype=torch.float32)
    sums, counts = class_sums(features, mask, 3)
    torch.testing.assert_close(sums / counts[:, None], brute_force_means(features, mask), rtol=1e-5, atol=1e-5)


def test_class_sums_with_zero_border_equal_the_loop_over_pixels():
    features, mask = random_images(count=1, channels=2, cells=(2, 3), size=(16, 24))
    full = upsampled_with_zero_border(features)
    expected = torch.zeros(3, 2, dtype=torch.float64)
    for y in range(16):
        for x in range(24):
            if mask[0, y, x] != IGNORE:
                expected[mask[0, y, x]] += full[0, :, y, x]
    torch.testing.assert_close(
        class_sums(features, mask, 3, Upsampling(zero_border=True))[0], expected, rtol=0, atol=1e-10
    )


def upsampled_with_zero_border(maps):
    """As the frozen transposed convolution of the public code does it, (N, D, h, w) → (N, D, 8h, 8w)."""
    ramp = torch.tensor([1, 3, 5, 7, 9, 11, 13, 15, 15, 13, 11, 9, 7, 5, 3, 1], dtype=torch.float64) / 16
    kernel = torch.outer(ramp, ramp).expand(maps.shape[1], 1, 16, 16)
    return F.conv_transpose2d(maps, kernel, stride=8, padding=4, groups=maps.shape[1])


def test_class_means_with_zero_border_are_those_of_the_upsampled_principal_components():
    features, mask = random_images(cells=(3, 4), size=(24, 32))
    rows, _, projection = label_embeddings(
        one_by_one(features, mask), CLASSES, projection=5, upsampling=Upsampling(zero_border=True)
    )
    full = upsampled_with_zero_border(projection(features.movedim(1, -1)).movedim(-1, 1)).movedim(1, -1)
    for label in range(3):
        expected = full[mask == label].mean(dim=0).float()
        torch.testing.assert_close(rows[label, 0], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_class_sums_do_not_depend_on_the_type_of_the_mask(dtype):
    features, mask = random_images()
    expected = class_sums(features, mask, CLASSES)
    for value, other in zip(class_sums(features, mask.to(dtype), CLASSES), expected, strict=True):
        assert torch.equal(value, other)


def test_class_sums_of_half_precision_are_formed_in_single_precision():
    features, mask = random_images(dtype=torch.float32)
    half = features.to(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        sums, _ = class_sums(half, mask, CLASSES)
    assert sums.dtype == torch.float32
    assert torch.equal(sums, class_sums(half.float(), mask, CLASSES)[0])


# Principal components


def test_streamed_components_equal_those_of_scikit_learn():
    features, _ = random_images(count=6)
    pca = StreamingPCA(12)
    for image in features.split(2):
        pca.update(image)
    projection = pca.fit(5)
    vectors = features.permute(0, 2, 3, 1).reshape(-1, 12)
    expected = PCA(5, svd_solver="full").fit(vectors.numpy())
    np.testing.assert_allclose(np.abs(np.diag(projection.components.numpy() @ expected.components_.T)), 1, atol=1e-9)
    np.testing.assert_allclose(projection.mean.numpy(), expected.mean_, atol=1e-10)
    variances = projection(vectors).var(dim=0).numpy()
    np.testing.assert_allclose(variances, expected.explained_variance_, rtol=1e-8)


def test_components_are_orthonormal_with_positive_largest_loading():
    features, _ = random_images()
    pca = StreamingPCA(12)
    pca.update(features)
    components = pca.fit(12).components
    torch.testing.assert_close(components @ components.T, torch.eye(12, dtype=torch.float64), rtol=0, atol=1e-10)
    largest = components.gather(1, components.abs().argmax(dim=1, keepdim=True))
    assert (largest > 0).all()


def test_components_survive_a_large_common_offset_in_single_precision():
    features, _ = random_images(count=6, dtype=torch.float32)
    pca, shifted = StreamingPCA(12), StreamingPCA(12)
    for image in features.split(1):
        pca.update(image)
        shifted.update(image + 1000)
    agreement = (pca.fit(4).components * shifted.fit(4).components).sum(dim=1).abs()
    assert agreement.min() > 0.9999


def test_directions_beyond_the_rank_are_zero():
    generator = torch.Generator().manual_seed(0)
    plane = torch.randn(8, 2, dtype=torch.float64, generator=generator)
    features = torch.einsum("cd,ndhw->nchw", plane, torch.randn(2, 2, 5, 6, dtype=torch.float64, generator=generator))
    pca = StreamingPCA(8)
    pca.update(features)
    components = pca.fit(5).components
    assert components[:2].norm(dim=1).tolist() == pytest.approx([1.0, 1.0])
    assert components[2:].abs().max() == 0


def test_more_dimensions_than_channels_are_refused():
    pca = StreamingPCA(8)
    pca.update(torch.randn(1, 8, 4, 4))
    with pytest.raises(ValueError, match=r"9 embedding dimensions.*8 channels"):
        pca.fit(9)


def test_components_of_nothing_are_refused():
    with pytest.raises(ValueError, match="no features were seen"):
        StreamingPCA(8).fit(2)


# Label embeddings


@pytest.mark.parametrize("flags", MODES.values(), ids=MODES.keys())
def test_one_centroid_is_the_projection_of_the_mean_and_the_mean_of_the_projection(flags):
    features, mask = random_images(dtype=torch.float32)
    batches, upsampling = one_by_one(features, mask), Upsampling(**flags)
    rows, present, projection = label_embeddings(batches, CLASSES, projection=5, upsampling=upsampling)
    assert rows.shape == (CLASSES, 1, 5)
    assert present.tolist() == [True, True, True, False]
    torch.testing.assert_close(
        rows[:3, 0], projection(brute_force_means(features, mask, **flags)), rtol=1e-4, atol=1e-4
    )
    projected = projection(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(rows[:3, 0], brute_force_means(projected, mask, **flags), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("centroids", [1, 2])
def test_features_of_every_precision_give_single_precision_rows(dtype, centroids):
    features, mask = random_images(dtype=torch.float32)
    rows = label_embeddings(one_by_one(features.to(dtype), mask), CLASSES, projection=5, centroids=centroids).rows
    assert rows.dtype == torch.float32
    expected = label_embeddings(one_by_one(features, mask), CLASSES, projection=5, centroids=centroids).rows
    if centroids == 1:
        torch.testing.assert_close(rows, expected, rtol=0.05, atol=0.05)


def test_k_means_with_one_centroid_is_the_mean():
    # One mask pixel a cell: the sample then holds exactly the pixels that the mean is over.
    features, mask = random_images(size=(9, 12), dtype=torch.float32)
    one, _, projection = label_embeddings(one_by_one(features, mask), CLASSES, projection=5)
    several, _, _ = label_embeddings(one_by_one(features, mask), CLASSES, projection=5, centroids=2)
    vectors = projection(features.permute(0, 2, 3, 1))
    for label in range(3):
        own = vectors[mask == label]
        nearest = torch.cdist(own, several[label]).argmin(dim=1)
        shares = torch.bincount(nearest, minlength=2) / len(own)
        torch.testing.assert_close(shares @ several[label], one[label, 0], rtol=1e-3, atol=1e-3)
        for k in range(2):
            torch.testing.assert_close(several[label, k], own[nearest == k].mean(dim=0), rtol=1e-3, atol=1e-3)


def test_several_centroids_find_separate_clusters():
    generator = torch.Generator().manual_seed(0)
    centres = 20 * torch.eye(6)[:3]
    which = torch.randint(0, 3, (1, 8, 8), generator=generator)
    features = (centres[which] + 0.1 * torch.randn(1, 8, 8, 6, generator=generator)).permute(0, 3, 1, 2)
    mask = torch.zeros(1, 64, 64, dtype=torch.uint8)
    rows, _, projection = label_embeddings(lambda: [(features, mask)], 1, projection=3, centroids=3)
    distances = torch.cdist(projection(centres), rows[0])
    assert distances.min(dim=1).values.max() < 0.2
    assert sorted(distances.argmin(dim=1).tolist()) == [0, 1, 2]


def test_a_class_with_fewer_cells_than_centroids_repeats_its_mean():
    features, mask = random_images(count=1, dtype=torch.float32)
    mask[mask == 2] = 0
    mask[0, 4, 4] = 2
    rows, present, _ = label_embeddings(one_by_one(features, mask), CLASSES, projection=5, centroids=3)
    assert present.tolist() == [True, True, True, False]
    assert torch.equal(rows[2], rows[2, :1].expand(3, -1))
    assert not torch.equal(rows[0], rows[0, :1].expand(3, -1))
    assert rows[3].abs().max() == 0


def test_the_same_seed_gives_the_same_rows_and_batches_do_not_matter():
    features, mask = random_images(count=4, dtype=torch.float32)
    options = {"num_classes": CLASSES, "projection": 5, "centroids": 3, "pixels_per_class": 40}
    first = label_embeddings(one_by_one(features, mask), seed=1, **options).rows
    assert torch.equal(first, label_embeddings(one_by_one(features, mask), seed=1, **options).rows)
    together = label_embeddings(lambda: [(features, mask)], seed=1, **options).rows
    torch.testing.assert_close(together, first, rtol=1e-3, atol=1e-3)
    assert not torch.equal(first, label_embeddings(one_by_one(features, mask), seed=2, **options).rows)


def test_a_given_projection_is_used_instead_of_the_own_one():
    features, mask = random_images(dtype=torch.float32)
    other, _ = random_images(seed=1, dtype=torch.float32)
    joint = StreamingPCA(12)
    joint.update(features)
    joint.update(other)
    projection = joint.fit(5)
    rows, _, used = label_embeddings(one_by_one(features, mask), CLASSES, projection=projection)
    assert used is projection
    torch.testing.assert_close(rows[:3, 0], projection(brute_force_means(features, mask)), rtol=1e-4, atol=1e-4)


def test_more_embedding_dimensions_than_channels_are_refused_at_the_first_batch():
    features, mask = random_images()

    def batches():
        yield features, mask
        raise RuntimeError("went on after the first batch")

    with pytest.raises(ValueError, match=r"13 embedding dimensions.*12 channels"):
        label_embeddings(batches, CLASSES, projection=13)


def test_label_embeddings_of_no_image_are_refused():
    with pytest.raises(ValueError, match="at least one batch"):
        label_embeddings(lambda: [], CLASSES, projection=2)
