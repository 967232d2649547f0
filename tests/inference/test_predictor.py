"""From an image of any size to a mask of that size."""

import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from semiverse.data import Resolution
from semiverse.inference import predictor as predictor_module
from semiverse.inference.committee import Committee
from semiverse.inference.predictor import Predictor, Question, quick_batch
from semiverse.labels import IGNORE, LabelSpace
from semiverse.models import ModelConfig, SegmentationModel
from semiverse.upsampling import argmax_with_confidence

SPACES = {
    "park": LabelSpace("park", ("grass", "tree", "bench")),
    "room": LabelSpace("room", ("wall", "floor", "table", "lamp")),
}

DEEPLAB = {"encoder": "deeplab_resnet101", "decoder": "aspp_sum"}


def build(**options) -> SegmentationModel:
    torch.manual_seed(0)
    return SegmentationModel(ModelConfig(**({"encoder": "drn_d_22", "width": 0.0625} | options)), SPACES).eval()


def picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Soft blobs, (3, H, W) uint8: neighbouring pixels are alike, as in a photograph."""
    coarse = torch.rand(1, 3, height // 8 + 2, width // 8 + 2, generator=torch.Generator().manual_seed(seed))
    return (F.interpolate(coarse, (height, width), mode="bilinear")[0] * 255).to(torch.uint8)


def tell_apart(model: SegmentationModel) -> SegmentationModel:
    """Statistics of a picture and large heads, so that scores differ from pixel to pixel; at first they hardly do."""
    norms = [layer for layer in model.modules() if hasattr(layer, "momentum")]
    with torch.no_grad():
        for layer in norms:
            layer.momentum = 1.0
        for domain, head in zip(SPACES, model.heads.values(), strict=True):
            features = model.train().features(picture(96, 128, seed=1)[None], domain)
            logits = head(features)
            for layer in [layer for layer in head.modules() if isinstance(layer, torch.nn.Conv2d)]:
                layer.weight *= 2 / logits.std(dim=(2, 3)).mean()
                layer.bias.zero_()
    return model.eval()


def see_less(model: SegmentationModel) -> SegmentationModel:
    """Only convolutions that reduce look beyond their own cell, so that a window of context is enough to be exact."""
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, torch.nn.Conv2d) and layer.kernel_size == (3, 3) and layer.stride == (1, 1):
                kept = layer.weight[:, :, 1, 1].clone()
                layer.weight.zero_()
                layer.weight[:, :, 1, 1] = kept
    return model


@pytest.mark.parametrize("size", [(33, 47), (1, 1), (7, 100), (64, 64), (65, 129)], ids=str)
def test_mask_and_confidence_have_the_size_of_the_image(size):
    found = Predictor(build(), device="cpu")(picture(*size), "room")
    assert found.mask.shape == found.confidence.shape == size
    assert found.mask.dtype == torch.uint8 and int(found.mask.max()) < 4
    assert found.labels == SPACES["room"]
    assert 0.25 <= float(found.confidence.min()) and float(found.confidence.max()) <= 1


def test_prediction_is_the_argmax_of_the_models_scores():
    model, image = build(), picture(40, 56)
    with torch.no_grad():
        probabilities = model(image[None], "park").softmax(dim=1)[0]
    found = Predictor(model, device="cpu")(image, "park")
    assert torch.equal(found.mask.long(), probabilities.argmax(dim=0))
    torch.testing.assert_close(found.confidence, probabilities.amax(dim=0), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(40, 56), (65, 49)], ids=str)
def test_prediction_of_deeplab_is_the_argmax_of_the_models_scores_with_aligned_corners(size):
    model, image = tell_apart(build(**DEEPLAB)), picture(*size)
    with torch.no_grad():
        probabilities = model(image[None], "park").softmax(dim=1)[0]
    found = Predictor(model, device="cpu", precision="exact")(image, "park")
    assert probabilities.amax(dim=0).std() > 0.01
    assert torch.equal(found.mask.long(), probabilities.argmax(dim=0))
    torch.testing.assert_close(found.confidence, probabilities.amax(dim=0), atol=1e-5, rtol=0)


def test_image_is_seen_at_the_working_size_of_its_domain():
    config, image = ModelConfig("drn_d_22", width=0.0625), picture(40, 56)
    torch.manual_seed(0)
    half = SegmentationModel(config, SPACES, {"park": Resolution(0.5)})
    seen = []
    half.networks["shared"].encoder.register_forward_pre_hook(
        lambda _, inputs: seen.append(tuple(inputs[0].shape[-2:]))
    )
    for domain in ("park", "room"):
        assert Predictor(half, device="cpu", precision="exact")(image, domain).mask.shape == (40, 56)
    Predictor(half, resize=False, device="cpu", precision="exact")(image, "park")
    assert seen == [(20, 28), (40, 56), (40, 56)]


@pytest.mark.parametrize(
    ("config", "size"),
    [
        ({}, (200, 264)),
        ({}, (130, 333)),  # odd, and the last windows are slim
        ({}, (10, 300)),  # lower than a window
        ({"decoder": "fpn"}, (152, 200)),  # another stride
        (
            {"encoder": "resnet10t", "width": 1.0, "output_stride": 32, "decoder": "linear", "pretrained": False},
            (129, 193),
        ),
        (DEEPLAB, (128, 256)),  # one cell more than an eighth of the pixels
        (DEEPLAB, (129, 300)),
        (DEEPLAB, (10, 321)),
        ({"decoder": "aspp_sum"}, (129, 300)),  # corners aligned, but an eighth of the pixels
    ],
    ids=str,
)
def test_windows_give_what_the_whole_image_gives(config, size):
    model, image = tell_apart(see_less(build(**config))), picture(*size)
    whole = Predictor(model, device="cpu", precision="exact")(image, "room")
    pieces = Predictor(model, window=(64, 128), device="cpu", precision="exact")(image, "room")
    assert whole.confidence.std() > 0.01
    torch.testing.assert_close(pieces.confidence, whole.confidence, atol=1e-4, rtol=0)
    assert float((pieces.mask == whole.mask).float().mean()) > 0.999


def test_context_makes_windows_agree_in_the_interior():
    model, image = build(), picture(256, 256)
    whole = Predictor(model, device="cpu")(image, "park").confidence
    pieces = Predictor(model, window=(128, 128), device="cpu")(image, "park").confidence
    assert float((pieces - whole).abs()[32:96, 32:96].mean()) < 0.02
    assert float((pieces - whole).abs().mean()) < 0.05


def test_embedding_answers_in_the_label_space_of_another_domain():
    model = build()
    embeddings = model.add_label_embeddings(embed_dim=6)
    image = picture(24, 32)
    found = Predictor(model, via="embedding", device="cpu")(image, "park", labels="room")
    with torch.no_grad():
        features = model.features(image[None], "park")
        scores = F.interpolate(embeddings.projection(features), (24, 32), mode="bilinear")[0]
        similar = torch.einsum("rd,dhw->rhw", embeddings.rows("room"), scores)
    assert found.labels == SPACES["room"]
    assert torch.equal(found.mask.long(), similar.argmax(dim=0))


def test_pixels_of_none_of_the_classes_are_not_labelled():
    model = build(none_class=True)
    with torch.no_grad():
        model.heads["park"].bias[-1] = 1e6
    assert Predictor(model, device="cpu")(picture(16, 16), "park").mask.unique().tolist() == [IGNORE]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"via": "embedding"}, "no label embeddings"),
        ({"window": (100, 128)}, "multiples of 64"),
        ({"window": (0, 64)}, "multiples of 64"),
        ({"device": "abacus"}, "'abacus' cannot be used"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Predictor(build(), **({"device": "cpu"} | options))


@pytest.mark.parametrize("arguments", [("sea",), ("park", "sea")])
def test_unknown_domain_is_refused_with_the_known_ones(arguments):
    with pytest.raises(ValueError, match=r"no domain 'sea'.*park, room"):
        Predictor(build(), device="cpu")(picture(8, 8), *arguments)


def scaled(image: torch.Tensor, factor: float) -> torch.Tensor:
    """At another size, as the predictor brings images to their working size."""
    return tv.resize(image, [round(side * factor) for side in image.shape[1:]], InterpolationMode.BILINEAR)


def test_scales_and_mirrored_images_are_averaged_as_probabilities():
    model, image, total = tell_apart(build()), picture(40, 56), torch.zeros(4, 40, 56)
    with torch.no_grad():
        for factor in (0.5, 1.0, 1.25):
            for mirrored in (False, True):
                seen = scaled(image, factor).flip(-1) if mirrored else scaled(image, factor)
                logits = model.classify(model.features(seen[None], "room"), "room").at((40, 56))
                total += (logits.flip(-1) if mirrored else logits).softmax(dim=1)[0]
    found = Predictor(model, device="cpu", scales=(0.5, 1.0, 1.25), flip=True)(image, "room")
    plain = Predictor(model, device="cpu")(image, "room")
    assert (found.mask == (total / 6).argmax(dim=0)).float().mean() > 0.999  # all but ties
    torch.testing.assert_close(found.confidence, (total / 6).amax(dim=0), atol=1e-5, rtol=0)
    assert not torch.equal(found.mask, plain.mask)


def test_one_scale_is_the_arg_max_of_the_scores_bit_for_bit():
    model, image = tell_apart(build()), picture(40, 56)
    with torch.inference_mode():
        logits = model.classify(model.features(image[None], "room"), "room")
        expected = argmax_with_confidence(logits, (40, 56))
    found = Predictor(model, device="cpu", scales=[1.0], flip=False, precision="exact")(image, "room")
    assert all(torch.equal(one, other[0]) for one, other in zip((found.mask, found.confidence), expected, strict=True))


@pytest.mark.parametrize("options", [{}, {"scales": (0.5, 1.5)}], ids=str)
def test_labels_of_a_mirrored_image_are_mirrored(options):
    model, image = tell_apart(build()), picture(72, 128)
    both = Predictor(model, device="cpu", flip=True, **options)
    found, mirrored = both(image, "room"), both(image.flip(-1), "room")
    assert (mirrored.mask.flip(-1) == found.mask).float().mean() > 0.999  # all but ties
    torch.testing.assert_close(mirrored.confidence.flip(-1), found.confidence, atol=1e-4, rtol=0)
    one = Predictor(model, device="cpu", **options)
    assert not torch.equal(one(image.flip(-1), "room").mask.flip(-1), one(image, "room").mask)


def test_committee_averages_the_probabilities_of_its_models():
    first, image = tell_apart(build()), picture(40, 56)
    torch.manual_seed(1)
    second = tell_apart(SegmentationModel(ModelConfig("drn_d_22", width=0.0625), SPACES).eval())
    with torch.no_grad():
        mean = (first(image[None], "park").softmax(dim=1) + second(image[None], "park").softmax(dim=1))[0] / 2
    found = Committee([Predictor(model, device="cpu") for model in (first, second)], "park")(image)
    assert torch.equal(found.mask.long(), mean.argmax(dim=0))
    torch.testing.assert_close(found.confidence, mean.amax(dim=0), atol=1e-5, rtol=0)
    alone, before = Committee([Predictor(first, device="cpu")], "park")(image), Predictor(first, device="cpu")
    torch.testing.assert_close(alone.confidence, before(image, "park").confidence, atol=1e-5, rtol=0)


def test_models_of_other_classes_make_no_committee():
    other = SegmentationModel(ModelConfig("drn_d_22", width=0.0625), {"park": SPACES["room"]})
    with pytest.raises(ValueError, match=r"grass, tree, bench in one.*wall, floor, table, lamp in another"):
        Committee([Predictor(model, device="cpu") for model in (build(), other)], "park")


@pytest.mark.parametrize("scales", [(), (1.0, 0.0)])
def test_scales_are_positive(scales):
    with pytest.raises(ValueError, match="expected one or more, all above 0"):
        Predictor(build(), device="cpu", scales=scales)


def test_a_committee_takes_off_what_it_is_told_before_probabilities_are_averaged():
    labels = LabelSpace("three", ("a", "b", "c"))
    torch.manual_seed(0)
    model = SegmentationModel(ModelConfig("drn_d_22", width=1 / 16, head_deviation=None), {"here": labels})
    image, less = torch.randint(0, 256, (3, 32, 48), dtype=torch.uint8), torch.tensor([0.5, -0.25, 0.0])
    predictor = Predictor(model, device="cpu", flip=True)
    maps = [one.up(slice(None), slice(0, 32), (32, 48)) for one in predictor.score_maps(image[None], "here", ["here"])]
    expected = torch.stack([(one - less[:, None, None]).softmax(dim=1) for one in maps]).mean(dim=0)
    found = Committee([predictor], "here", less=less)(image)
    assert torch.allclose(found.confidence, expected.amax(dim=1)[0], atol=1e-6)
    assert (found.mask == expected.argmax(dim=1)[0]).double().mean() > 0.999


def test_folded_networks_say_what_the_model_says():
    model, image = tell_apart(build()), picture(64, 88)
    exact = Predictor(model, device="cpu", precision="exact")(image, "room")
    fast, half = (Predictor(model, device="cpu", precision=name)(image, "room") for name in ("float32", "bf16"))
    torch.testing.assert_close(fast.confidence, exact.confidence, atol=1e-4, rtol=0)
    assert (fast.mask == exact.mask).float().mean() > 0.999
    assert (half.mask == exact.mask).float().mean() > 0.9 and half.confidence.dtype == torch.float32
    assert (half.confidence - exact.confidence).abs().mean() < 0.05
    with pytest.raises(ValueError, match="expected exact, float32 or bf16"):
        Predictor(model, device="cpu", precision="int4")


def test_networks_of_domains_fold_the_statistics_of_each():
    model, image = build(), picture(40, 56)
    for layer in model.modules():
        if hasattr(layer, "running_mean"):
            layer.running_mean[1] += 0.3
    fast, exact = (Predictor(model, device="cpu", precision=name) for name in ("float32", "exact"))
    for domain in SPACES:
        torch.testing.assert_close(
            fast(image, domain, "room").confidence, exact(image, domain, "room").confidence, atol=1e-5, rtol=0
        )


def test_images_and_questions_together_are_answered_as_one_by_one():
    model = tell_apart(build(batch_norm="shared"))
    predictor, images = Predictor(model, device="cpu", flip=True), [picture(40, 56, seed) for seed in range(3)]
    questions = [Question("park", "park"), Question("park", "room"), Question("room", "room")]
    passes = []
    features = predictor.networks.features
    predictor.networks.features = lambda *given: (passes.append(given[1]), features(*given))[1]
    together = predictor.segment(images, questions)
    assert passes == ["park", "park"]  # with and without flip: both domains are seen alike
    for image, answers in zip(images, together, strict=True):
        for (domain, labels), found in zip(questions, answers, strict=True):
            alone = predictor(image, domain, labels)
            assert found.labels == SPACES[labels] and (found.mask == alone.mask).float().mean() > 0.999
            torch.testing.assert_close(found.confidence, alone.confidence, atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match="expected one: group them"):
        predictor.segment([picture(8, 8), picture(8, 9)], questions)


def test_confidence_is_left_out_if_it_is_not_wanted():
    predictor, image = Predictor(build(), device="cpu"), picture(24, 32)
    found = predictor(image, "room", sure=False)
    assert torch.equal(found.mask, predictor(image, "room").mask) and found.confidence.numel() == 0


def test_wider_margin_brings_windows_closer_to_the_whole_image():
    model, image = tell_apart(build()), picture(256, 320)
    whole = Predictor(model, device="cpu", window=None)(image, "park").confidence
    apart = [
        float(
            (Predictor(model, device="cpu", window=(64, 64), margin=margin)(image, "park").confidence - whole)
            .abs()
            .mean()
        )
        for margin in (64, 128)
    ]
    assert apart[1] < apart[0]


def test_large_images_are_seen_in_windows_by_themselves(monkeypatch):
    model, image = tell_apart(see_less(build())), picture(200, 264)
    whole = Predictor(model, device="cpu", window=None)(image, "room")
    monkeypatch.setattr(predictor_module, "WHOLE", 100 * 100)
    monkeypatch.setattr(predictor_module, "AUTO_WINDOW", (64, 128))
    sizes = []
    model.networks["shared"].encoder.register_forward_pre_hook(
        lambda _, given: sizes.append(tuple(given[0].shape[-2:]))
    )
    pieces = Predictor(model, device="cpu", precision="exact")(image, "room")
    assert max(sizes) == (192, 200) and len(sizes) > 8  # 64 rows and 64 on both sides; 128 columns and the rest
    assert (pieces.mask == whole.mask).float().mean() > 0.999


@pytest.mark.parametrize(
    ("size", "device", "images"),
    [
        ((360, 480), "cpu", 2),
        ((512, 1024), "cpu", 1),
        ((9000, 12000), "cpu", 1),
        ((1, 1), "cpu", 16),
        ((360, 480), "cuda", 11),
    ],
)
def test_images_are_seen_together_while_their_maps_are_small(size, device, images):
    assert quick_batch(size[0] * size[1], torch.device(device)) == images
