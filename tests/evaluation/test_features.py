"""The parts that the details of an evaluation are made of."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from semiverse.data import Sample
from semiverse.embeddings.estimate import ClassSums
from semiverse.evaluation.details import Details, ObservedPredictor
from semiverse.evaluation.features import FeatureSample, similarity
from semiverse.inference.predictor import Predictor
from semiverse.labels import IGNORE, LabelSpace
from semiverse.models import ModelConfig, SegmentationModel

SPACES = {
    "park": LabelSpace("park", ("grass", "tree", "lamp")),
    "room": LabelSpace("room", ("wall", "floor", "table", "lamp")),
}


def build(**options):
    torch.manual_seed(0)
    return SegmentationModel(ModelConfig(**({"encoder": "drn_d_22", "width": 0.0625} | options)), SPACES).eval()


def picture(height, width, seed=0):
    coarse = torch.rand(1, 3, height // 8 + 2, width // 8 + 2, generator=torch.Generator().manual_seed(seed))
    return (F.interpolate(coarse, (height, width), mode="bilinear")[0] * 255).to(torch.uint8)


def labels_of(classes, height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.randint(0, classes, (height, width), generator=generator, dtype=torch.uint8)
    return mask.masked_fill(torch.rand(height, width, generator=generator) < 0.2, IGNORE)


@pytest.mark.parametrize("window", [None, (64, 64)])
@pytest.mark.parametrize("options", [{}, {"separate": True}, {"none_class": True}], ids=str)
def test_observed_predictor_says_what_the_predictor_says(options, window):
    model, image = build(**options), picture(130, 150)
    exact = {"window": window, "device": "cpu", "precision": "exact"}
    observed, plain = (kind(model, **exact) for kind in (ObservedPredictor, Predictor))
    for domain in SPACES:
        found, expected = observed(image, domain), plain(image, domain)
        assert torch.equal(found.mask, expected.mask) and torch.equal(found.confidence, expected.confidence)
        if window is None:
            with torch.no_grad():
                features = model.features(image[None], domain)
                seen = {
                    other: model.features(image[None], other) if options.get("separate") else features
                    for other in SPACES
                }
                assert torch.equal(observed.features, features)
                assert observed.scores.keys() == SPACES.keys()
                for other, scores in observed.scores.items():
                    assert torch.equal(scores, model.classify(seen[other], other).values)


def test_pixels_seen_as_no_class_are_left_out_and_separate_networks_are_not_compared():
    model = build(none_class=True, separate=True)
    model.heads["room"].weight.data.zero_()
    model.heads["room"].bias.data.copy_(torch.tensor([0.0, 0.0, 0.0, 0.0, 5.0]))  # none of them
    predictor = ObservedPredictor(model, device="cpu")
    details = Details(predictor)
    for domain, space in SPACES.items():
        sample = Sample(picture(40, 56), labels_of(len(space), 40, 56), "one")
        details.add(domain, sample, predictor(sample.image, domain))
    assert details.of("park")["seen_as"] == {"room": {"grass": {}, "tree": {}, "lamp": {}}}
    assert details.of("room")["image_miou"] == 0.0
    assert details.across() == {"centroid_similarity": {}, "same_name_similarity": None}


def test_image_without_labels_is_left_out_of_the_mean_over_images():
    predictor = ObservedPredictor(build(), device="cpu")
    details = Details(predictor)
    for name, mask in {"blank": torch.full((40, 56), IGNORE, dtype=torch.uint8), "one": labels_of(3, 40, 56)}.items():
        sample = Sample(picture(40, 56), mask, name)
        details.add("park", sample, predictor(sample.image, "park"))
    found = details.of("park")
    assert found["image_mious"] == {"one": found["image_miou"]}


def test_sample_holds_at_most_twenty_pixels_of_an_image_and_two_hundred_of_a_class():
    sample = FeatureSample(channels=2, num_classes=3)
    mask = torch.zeros(8, 16, dtype=torch.uint8)
    mask[0, :5] = 1
    mask[4:] = IGNORE
    places = torch.arange(128.0).view(1, 1, 8, 16)
    for image in range(15):
        sample.add(torch.cat([torch.full_like(places, image), places], dim=1), mask)
        images, cells = sample.vectors.T
        assert sample.classes.tolist() == sorted(sample.classes.tolist())
        assert (sample.classes == 0).sum() == min(200, 20 * (image + 1))
        assert (sample.classes == 1).sum() == 5 * (image + 1)
        assert images[sample.classes == 0].int().bincount().max() <= 20
        assert torch.equal(mask.flatten()[cells.long()].long(), sample.classes)
        assert len(set(map(tuple, sample.vectors.tolist()))) == len(sample.vectors)
    per_image = images[sample.classes == 0].int().bincount(minlength=15)
    assert (per_image > 4).all() and per_image.sum() == 200  # 13 expected; early images are neither kept nor lost


def test_every_pixel_is_as_likely_to_be_drawn():
    mask = torch.zeros(8, 8, dtype=torch.uint8)
    drawn = torch.zeros(64)
    for seed in range(200):
        sample = FeatureSample(channels=1, num_classes=1, seed=seed)
        sample.add(torch.arange(64.0).view(1, 1, 8, 8), mask)
        drawn[sample.vectors[:, 0].long()] += 1
    assert drawn.sum() == 200 * 20
    assert ((drawn - 62.5).abs() < 5 * (200 * 20 / 64 * 44 / 64) ** 0.5).all()


def test_centroids_of_several_images_weigh_pixels_alike():
    centroids = ClassSums(channels=1, num_classes=3)
    centroids.add(torch.full((1, 1, 2, 2), 1.0), torch.zeros(1, 4, 4, dtype=torch.uint8))
    mask = torch.full((4, 4), IGNORE, dtype=torch.uint8)
    mask[0], mask[1] = 0, 2
    centroids.add(torch.full((1, 1, 2, 2), 6.0), mask[None])
    assert centroids.pixels.tolist() == [20, 0, 4]
    assert centroids.means()[:, 0].tolist() == pytest.approx([(16 * 1 + 4 * 6) / 20, 0, 6])


def test_similarity_equals_cosines_worked_out_by_hand():
    centroids = {
        ("a", "sky"): torch.tensor([1.0, 0.0]),
        ("a", "road"): torch.tensor([0.0, 2.0]),
        ("b", "sky"): torch.tensor([3.0, 4.0]),
    }
    pairs, same_name = similarity(centroids)
    assert pairs == {
        ("a", "sky"): {("b", "sky"): pytest.approx(0.6)},
        ("a", "road"): {("b", "sky"): pytest.approx(0.8)},
        ("b", "sky"): {("a", "sky"): pytest.approx(0.6), ("a", "road"): pytest.approx(0.8)},
    }
    assert same_name == pytest.approx(0.6)
    del centroids["a", "sky"]
    assert np.isnan(similarity(centroids).same_name)


def test_two_networks_are_sampled_at_the_same_pixels():
    places = torch.arange(48.0).reshape(1, 1, 6, 8)
    samples = [FeatureSample(channels, num_classes=3) for channels in (1, 2)]
    for seed in range(30):  # so many that classes give up pixels again
        mask = labels_of(3, 12, 16, seed)
        for sample in samples:
            sample.add(places.expand(1, sample.vectors.shape[1], 6, 8) + 100 * seed, mask)
    one, two = (sample.vectors for sample in samples)
    assert len(one) == 600 and torch.equal(one.expand(-1, 2), two)
