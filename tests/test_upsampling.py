"""Upsampling as banded matrices: equal to torch's, in strips or whole."""

import pytest
import torch
import torch.nn.functional as F

from semiverse.upsampling import (
    Bilinear,
    ScoreMap,
    Upsampling,
    argmax,
    argmax_with_confidence,
    bilinear_matrix,
)

SIZES = [((4, 5), (32, 40)), ((45, 60), (360, 480)), ((13, 17), (97, 131)), ((1, 1), (5, 3)), ((9, 8), (4, 8))]
ZERO_BORDER = Upsampling(zero_border=True)
FROZEN_RAMP = torch.tensor([1, 3, 5, 7, 9, 11, 13, 15, 15, 13, 11, 9, 7, 5, 3, 1], dtype=torch.float64) / 16


def frozen_deconvolution(maps):
    """The x8 transposed convolution of dilated residual networks: kernel 16, stride 8, padding 4."""
    channels = maps.shape[1]
    kernel = torch.outer(FROZEN_RAMP, FROZEN_RAMP).to(maps).expand(channels, 1, 16, 16)
    return F.conv_transpose2d(maps, kernel, stride=8, padding=4, groups=channels)


def whole(scores, size, **flags):
    upsampling = Bilinear.of(scores, size, Upsampling(**flags))
    return upsampling.up(scores, slice(0, size[0]))


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("cells", "size"), SIZES)
def test_matrices_equal_interpolate(cells, size, align_corners):
    scores = torch.randn(2, 3, *cells, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(scores, size=size, mode="bilinear", align_corners=align_corners)
    torch.testing.assert_close(whole(scores, size, align_corners=align_corners), expected, rtol=0, atol=1e-12)
    assert torch.equal(ScoreMap(scores, Upsampling(align_corners)).at(size), expected)


def test_zero_border_equals_frozen_transposed_convolution():
    scores = torch.randn(2, 3, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = frozen_deconvolution(scores)
    torch.testing.assert_close(whole(scores, (48, 40), zero_border=True), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(ScoreMap(scores, ZERO_BORDER).at((48, 40)), expected, rtol=0, atol=1e-12)


def test_zero_border_differs_from_interpolate_only_in_a_frame_of_four_pixels():
    scores = torch.randn(1, 1, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    difference = (whole(scores, (48, 40), zero_border=True) - whole(scores, (48, 40)))[0, 0].abs()
    assert difference[4:-4, 4:-4].max() < 1e-12
    frame = torch.ones_like(difference, dtype=torch.bool)
    frame[4:-4, 4:-4] = False
    assert (difference[frame] > 1e-12).all()


def test_zero_border_fades_ones_by_sixteenths():
    border = bilinear_matrix(5, 40, Upsampling(zero_border=True), torch.device("cpu"), torch.float64).sum(dim=1)
    assert border[:5].tolist() == [0.5625, 0.6875, 0.8125, 0.9375, 1.0]
    assert border[-5:].tolist() == [1.0, 0.9375, 0.8125, 0.6875, 0.5625]
    corner = whole(torch.ones(1, 1, 5, 5), (40, 40), zero_border=True)[0, 0, 0, 0]
    assert corner.item() == pytest.approx(0.3164, abs=1e-4)


@pytest.mark.parametrize("size", [(512, 512), (360, 480), (480, 640), (240, 320)])
def test_frozen_transposed_convolution_of_eighth_has_the_input_size(size):
    cells = torch.zeros(1, 1, size[0] // 8, size[1] // 8)
    assert frozen_deconvolution(cells).shape[-2:] == whole(cells, size, zero_border=True).shape[-2:] == size


def test_matrix_built_in_inference_mode_serves_training_later():
    with torch.inference_mode():
        whole(torch.ones(1, 1, 7, 7), (19, 19))
    scores = torch.ones(1, 1, 7, 7, requires_grad=True)
    whole(scores, (19, 19)).sum().backward()
    assert scores.grad.sum().item() == pytest.approx(19 * 19, rel=1e-5)


@pytest.mark.parametrize("flags", [{}, {"align_corners": True}, {"zero_border": True}], ids=["half", "corners", "zero"])
def test_similarity_may_be_formed_before_upsampling(flags):
    generator = torch.Generator().manual_seed(0)
    embedding, rows = torch.randn(2, 16, 6, 5, generator=generator), torch.randn(7, 16, generator=generator)
    before = whole(torch.einsum("rd,ndhw->nrhw", rows, embedding), (48, 40), **flags)
    after = torch.einsum("rd,ndhw->nrhw", rows, whole(embedding, (48, 40), **flags))
    torch.testing.assert_close(before, after, rtol=0, atol=1e-5)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(
    ("shape", "size"),
    [((1, 11, 45, 60), (360, 480)), ((3, 40, 13, 17), (97, 131)), ((3, 40, 64, 8), (512, 64))],
)
def test_strips_put_together_are_the_whole_map(shape, size, align_corners):
    scores = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    upsampled = torch.full((*shape[:2], *size), torch.nan, dtype=torch.float64)
    count = 0
    for strip in Bilinear.of(scores, size, Upsampling(align_corners)).strips(scores):
        assert strip.cells.stop - strip.cells.start <= strip.values.shape[2] * shape[2] / size[0] + 3
        upsampled[strip.images, :, strip.rows] = strip.values
        count += 1
    assert count > 1
    expected = F.interpolate(scores, size=size, mode="bilinear", align_corners=align_corners)
    torch.testing.assert_close(upsampled, expected, rtol=0, atol=1e-12)


def test_strips_stay_small_when_the_whole_map_is_large():
    scores = torch.zeros(2, 30, 64, 64)
    largest = max(strip.values.numel() for strip in Bilinear.of(scores, (512, 512)).strips(scores))
    assert largest <= 2**20


@pytest.mark.parametrize("flags", [{}, {"align_corners": True}, {"zero_border": True}], ids=["half", "corners", "zero"])
def test_bringing_strips_down_is_the_transpose_of_bringing_cells_up(flags):
    generator = torch.Generator().manual_seed(0)
    cells = torch.randn(2, 40, 13, 17, dtype=torch.float64, generator=generator)
    pixels = torch.randn(2, 40, 97, 131, dtype=torch.float64, generator=generator)
    upsampling = Bilinear.of(cells, (97, 131), Upsampling(**flags))
    down = torch.zeros_like(cells)
    product = torch.zeros((), dtype=torch.float64)
    for strip in upsampling.strips(cells):
        own = pixels[strip.images, :, strip.rows]
        product += (strip.values * own).sum()
        upsampling.add_down(strip._replace(values=own), down)
    assert (down * cells).sum().item() == pytest.approx(product.item(), rel=1e-12)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("classes", [2, 11, 19])
@pytest.mark.parametrize(("cells", "size"), SIZES)
def test_argmax_equals_argmax_of_interpolated_logits(cells, size, classes, align_corners):
    logits = 3 * torch.randn(2, classes, *cells, dtype=torch.float64, generator=torch.Generator().manual_seed(classes))
    full = F.interpolate(logits, size=size, mode="bilinear", align_corners=align_corners)
    prediction = argmax(ScoreMap(logits, Upsampling(align_corners)), size)
    assert prediction.dtype == torch.uint8
    assert torch.equal(prediction.long(), full.argmax(dim=1))


@pytest.mark.parametrize(("cells", "size"), SIZES)
def test_argmax_is_the_same_with_a_zero_border_which_scales_all_classes_of_a_pixel_alike(cells, size):
    logits = 3 * torch.randn(2, 11, *cells, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    logits[:, :4] -= 10.0  # negative scores are scaled as well
    assert torch.equal(argmax(ScoreMap(logits, ZERO_BORDER), size), argmax(ScoreMap(logits), size))


def test_zero_border_makes_predictions_at_the_border_less_sure_and_no_others():
    logits = torch.randn(1, 3, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    (_, zero), (_, nearest) = (
        argmax_with_confidence(s, (48, 40)) for s in (ScoreMap(logits, ZERO_BORDER), ScoreMap(logits))
    )
    torch.testing.assert_close(zero[:, 4:-4, 4:-4], nearest[:, 4:-4, 4:-4], rtol=0, atol=1e-12)
    assert (zero[:, 0] < nearest[:, 0]).all()


def test_scores_at_all_pixels_are_in_single_precision_and_carry_their_gradient_unless_cut_off():
    logits = torch.randn(1, 5, 6, 6, generator=torch.Generator().manual_seed(0)).half().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pixels = ScoreMap(logits, ZERO_BORDER).at((48, 48))
    assert pixels.dtype == torch.float32
    pixels.sum().backward()
    assert logits.grad.abs().min() > 0
    assert not ScoreMap(logits).detach().at((48, 48)).requires_grad
    assert torch.equal(ScoreMap(logits.float(), ZERO_BORDER).at((6, 6)), logits.float())


def test_argmax_of_single_precision_differs_only_where_two_scores_are_equal_to_rounding():
    logits = 3 * torch.randn(1, 19, 64, 96, generator=torch.Generator().manual_seed(0))
    full = F.interpolate(logits, size=(512, 768), mode="bilinear")
    chosen = full.gather(1, argmax(ScoreMap(logits), (512, 768)).long()[:, None])[:, 0]
    torch.testing.assert_close(chosen, full.amax(dim=1), rtol=0, atol=1e-5)


def test_argmax_takes_the_lowest_class_among_equal_scores():
    logits = torch.zeros(1, 4, 3, 3)
    logits[:, 2:] = 1.0
    assert (argmax(ScoreMap(logits), (24, 24)) == 2).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_argmax_of_half_precision_is_formed_in_single_precision(dtype):
    logits = torch.randn(1, 5, 6, 6, generator=torch.Generator().manual_seed(0)).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        prediction = argmax(ScoreMap(logits), (48, 48))
    assert torch.equal(prediction, argmax(ScoreMap(logits.float()), (48, 48)))


def test_argmax_does_not_depend_on_memory_layout_or_gradients():
    logits = torch.randn(2, 19, 32, 48, generator=torch.Generator().manual_seed(0), requires_grad=True)
    expected = argmax(ScoreMap(logits), (256, 384))
    assert torch.equal(argmax(ScoreMap(logits.to(memory_format=torch.channels_last)), (256, 384)), expected)
    assert not expected.requires_grad


@pytest.mark.parametrize(("cells", "size"), SIZES)
def test_confidence_is_the_softmax_probability_of_the_prediction(cells, size):
    logits = 5 * torch.randn(2, 6, *cells, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected, classes = F.interpolate(logits, size=size, mode="bilinear").softmax(dim=1).max(dim=1)
    prediction, confidence = argmax_with_confidence(ScoreMap(logits), size)
    assert torch.equal(prediction.long(), classes)
    torch.testing.assert_close(confidence, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("cells", "size"), [*SIZES, ((10, 10), (321, 321)), ((41, 41), (321, 321)), ((6, 6), (4, 4))])
def test_a_cell_has_the_mask_of_the_pixel_in_its_middle(cells, size, align_corners):
    mask = torch.arange(size[0] * size[1]).reshape(1, *size)
    found = ScoreMap(torch.zeros(1, 1, *cells), Upsampling(align_corners)).at_cells(mask)[0]
    middles = []
    for count, pixels in zip(cells, size, strict=True):
        if align_corners and count > 1:
            middles.append([i * (pixels - 1) / (count - 1) for i in range(count)])
        else:
            middles.append([(i + 0.5) * pixels / count - 0.5 for i in range(count)])
    for i, row in enumerate(middles[0]):
        for j, column in enumerate(middles[1]):
            y, x = divmod(int(found[i, j]), size[1])
            assert abs(y - row) <= 0.5 and abs(x - column) <= 0.5
