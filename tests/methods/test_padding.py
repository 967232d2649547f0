"""Batches of images smaller than the crop: every term against plain torch over the pixels inside them, and the views
and label maps of AdvSemiSeg's public code."""

import copy
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from examples.mean_teacher import MeanTeacher

from semiverse.data import Augmentation, CropTransform, Resolution, Sample
from semiverse.embeddings.sources import RandomRows
from semiverse.labels import IGNORE
from semiverse.losses import one_hot_map
from semiverse.methods import Adaptation, Adversarial, Latent, Universal
from semiverse.mixture import Draws, TrainBatch
from semiverse.models import ModelConfig, SegmentationModel
from tests.methods.worlds import TINY, first_batch, gradients, learner, mixture, networks_of

CROP = (72, 80)  # of images of 32 x 48
EVERYTHING = Draws(unlabeled_from=0, views=2, ground_truth=True)
DEEPLAB = ModelConfig(encoder="deeplab_resnet101", decoder="aspp_sum", width=1 / 16)
configs = pytest.mark.parametrize("config", [TINY, DEEPLAB], ids=["drn", "deeplab"])


def made(kind, config=TINY, names=("streets", "rooms"), **options):
    """A method in double precision with its padded batch, of which one image is turned."""
    data = mixture(names=names, crop=CROP, augmentation=Augmentation(flip=0.5, color=0.3))
    if kind is Adaptation:
        data.domains[names[1]].labeled = 0
    method = learner(lambda model: kind(model, **options), data, config)
    method.prepare(lambda: networks_of(data))
    batch = first_batch(data, draws=EVERYTHING)
    for sample in [*batch.labeled.values(), *batch.unlabeled.values()]:
        assert (sample.padding == 0).sum(dim=(1, 2)).tolist() == [32 * 48] * 2
    assert len({tuple(padding[0].tolist()) for padding in batch.unlabeled[names[0]].padding}) == 2
    return method.double().eval(), batch


def seen(method, sample):
    """What the network sees: the mean colour beyond the image, which is zero once it is subtracted."""
    model, images = method.model, sample.image.double() / 255
    normalized = (images - model.mean) / model.std
    normalized = torch.where((sample.padding == 0)[:, None], normalized, 0.0)
    return normalized.flip(1) if model.convention.bgr else normalized


def maps_of(method, sample, domain):
    network = method.model.network(domain)
    method.model.encode(sample.image, domain)  # chooses the domain's statistics
    return network.encoder(seen(method, sample))


def features_of(method, sample, domain):
    return method.model.network(domain).decoder(maps_of(method, sample, domain))


def up(values, config, size=CROP):
    return F.interpolate(values, size=size, mode="bilinear", align_corners=config.align_corners)


def pixels(values, mask):
    """Values, (N, R, H, W), of the pixels that a mask, (N, H, W), does not ignore, (pixels, R)."""
    return values.movedim(1, -1)[mask != IGNORE]


# Terms


@configs
def test_entropies_are_those_of_pixels_inside(config):
    options = {"alpha": 0.7, "beta": 0.3, "diversity": 0.4, "rows": RandomRows(), "start": None}
    method, batch = made(Universal, config, embed_dim=8, warmup=(0.0, 0.0), **options)
    sample = batch.unlabeled["streets"]
    features = features_of(method, sample, "streets")
    projected = method.label_embeddings.projection(features)
    parts = {
        space: torch.einsum("ndhw,rd->nrhw", projected, method.label_embeddings.rows(space))
        for space in ("streets", "rooms")
    }
    entropies, assigned = {}, []
    for space, scores in parts.items():
        inside = pixels(up(scores, config), sample.padding)
        entropies[space] = torch.distributions.Categorical(logits=inside).entropy().mean()
        cells = scores.shape[-2:]
        where = [
            [round(i * (p - 1) / (n - 1)) if config.align_corners else int((i + 0.5) * p / n) for i in range(n)]
            for n, p in zip(cells, CROP, strict=True)
        ]
        at_cells = sample.padding[:, where[0]][:, :, where[1]]
        assert 0 < (at_cells == 0).sum() < at_cells.numel()
        mean = scores.softmax(1).movedim(1, -1)[at_cells == 0].mean(0)
        assigned.append(-(mean * mean.log()).sum())
        largest = max(s.abs().movedim(1, -1)[at_cells == 0].max().item() for s in parts.values())
    expected = 0.3 * entropies["streets"] + 0.7 * entropies["rooms"] - 0.4 * torch.stack(assigned).mean()
    found = method.entropy_loss(sample.image, "streets", sample.padding)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    assert method.means.take()["streets/largest_score"] == pytest.approx(largest, rel=1e-6)


def test_every_unlabelled_batch_of_a_step_has_its_own_padding():
    method, batch = made(Universal, embed_dim=8, warmup=(0.0, 0.0))
    sample = batch.unlabeled["streets"]
    method.data.batch_size = 1
    method.steps_done = 1
    found = list(method.terms(batch._replace(labeled={}, unlabeled={"streets": sample})))
    parts = [method.entropy_loss(sample.image[i : i + 1], "streets", sample.padding[i : i + 1]) / 2 for i in (0, 1)]
    assert [term.item() for term in found] == pytest.approx([part.item() for part in parts])
    assert not torch.equal(sample.padding[0], sample.padding[1])


@configs
def test_consistency_is_that_of_pixels_inside(config):
    weights = {"labeled_adversary": 0.0, "unlabeled_adversary": 0.0, "consistency_from": 0}
    method, batch = made(Latent, config, latent_classes=5, consistency_weight=0.3, **weights)
    sample, occurrence = batch.unlabeled["rooms"], method.latent_branch.co_occurrence("rooms").uniform_()
    features = features_of(method, sample, "rooms")
    semantic = pixels(up(method.model.classify(features, "rooms").values, config), sample.padding).softmax(1)
    latent = pixels(up(method.latent_branch.logits(features, "rooms").values, config), sample.padding).softmax(1)
    implied = semantic @ (occurrence / occurrence.sum(1, keepdim=True))
    expected = -0.3 * (latent * implied.log()).sum(1).mean()
    found = method.unlabeled_loss(sample.image, "rooms", sample.padding)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


def test_divergence_of_twins_is_that_of_pixels_inside():
    weights = {"labeled_adversary": 0.0, "unlabeled_adversary": 0.0, "consistency_from": 0}
    method, batch = made(Latent, branch="twin", consistency_weight=0.3, **weights)
    sample = batch.unlabeled["rooms"]
    features = features_of(method, sample, "rooms")
    branches = method.model.classify(features, "rooms"), method.latent_branch.logits(features, "rooms")
    p, q = (pixels(up(one.values, TINY), sample.padding).softmax(1) for one in branches)
    expected = 0.3 * ((p - q) * (p.log() - q.log())).sum(1).mean()
    found = method.unlabeled_loss(sample.image, "rooms", sample.padding)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


def judged(method, maps, domain, config):
    """The judgement of every pixel, (N, 1, H, W)."""
    return up(method.adversary.discriminators.networks[domain](maps), config)


@configs
def test_adversary_and_pseudo_labels_are_those_of_pixels_inside(config):
    weights = {"labeled_adversary": 0.3, "unlabeled_adversary": 0.2, "pseudo_weight": 0.7}
    method, batch = made(Adversarial, config, **weights, pseudo_from=0, threshold=0.5)
    sample, network = batch.unlabeled["streets"], method.adversary.discriminators.networks["streets"]
    with torch.no_grad():
        network.classifier.weight *= 1e3
        logits = up(method.model.classify(features_of(method, sample, "streets"), "streets").values, config)
        judgement = pixels(judged(method, logits.softmax(1), "streets", config), sample.padding)[:, 0]
        border = judgement.sort().values[[len(judgement) // 2, len(judgement) // 2 + 1]].mean()
        network.classifier.bias -= border  # so that half of the pixels are trusted
        judgement -= border
        trusted = judgement.sigmoid() >= 0.5
        assert 0.2 < trusted.double().mean() < 0.8
        inside = pixels(logits, sample.padding)
        expected = 0.2 * F.softplus(-judgement).mean()
        expected += 0.7 * F.cross_entropy(inside[trusted], inside[trusted].argmax(1))
    found = method.unlabeled_loss(sample.image, "streets", sample.padding)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    shares = [value for name, value in method.means.take().items() if "pseudo_labels" in name]
    assert sum(shares) == pytest.approx(trusted.double().mean().item(), rel=1e-6)


@pytest.mark.slow
@configs
def test_discriminators_learn_from_pixels_inside(config):
    method, batch = made(Adversarial, config)
    oracle = copy.deepcopy(method)
    for domain in ("streets", "rooms"):
        fakes = []
        for sample in (batch.unlabeled[domain], batch.labeled[domain]):
            with torch.no_grad():
                logits = method.model.classify(features_of(method, sample, domain), domain).values
            mask = sample.mask if sample is batch.labeled[domain] else sample.padding
            fakes.append(pixels(judged(oracle, up(logits, config).softmax(1), domain, config), mask))
        truth = batch.ground_truth[domain].mask
        real = judged(oracle, one_hot_map(truth, len(method.data.label_spaces[domain])).double(), domain, config)
        (0.5 * F.softplus(torch.cat(fakes)).mean() + 0.5 * F.softplus(-pixels(real, truth)).mean()).backward()
    list(method.terms(batch))
    for term in method.adversary.discriminator_terms(batch):
        term.backward()
    found = gradients(method.adversary)
    for name, expected in gradients(oracle.adversary).items():
        torch.testing.assert_close(found[name], expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("least_squares", [False, True])
def test_judgements_of_source_and_target_are_those_of_outputs_inside(least_squares):
    method, batch = made(Adaptation, names=("streets", "dusk"), least_squares=least_squares)
    criterion = F.mse_loss if least_squares else F.binary_cross_entropy_with_logits
    weights, halves, fooling = {"main": 0.0005, "auxiliary": 0.00005}, [], 0.0
    for domain, side in (("streets", 0.0), ("dusk", 1.0)):
        sample = (batch.unlabeled if side else batch.labeled)[domain]
        maps = maps_of(method, sample, domain)
        features = method.model.network(domain).decoder(maps)
        logits = {"main": method.model.classify(features, domain).values, "auxiliary": method.auxiliary(maps[-2])}
        cells = sample.padding[:, 18::36][:, :, 20::40]  # the pixels in the middle of 2 x 2 outputs
        assert (cells == 0).sum().item() == 2
        for level, network in method.discriminators.networks.items():
            judgement = network(up(logits[level], TINY).softmax(1))
            assert judgement.shape == (2, 1, 2, 2)
            judgement = judgement[:, 0][cells == 0]
            halves.append(0.5 * criterion(judgement, torch.full_like(judgement, side)).item())
            if side:
                fooling += weights[level] * criterion(judgement, torch.zeros_like(judgement)).item()
    target = batch.unlabeled["dusk"]
    found = method.target_loss(target.image, "dusk", 1.0, target.padding)
    assert found.item() == pytest.approx(fooling, rel=1e-6)
    list(method.terms(batch))
    assert [term.item() for term in method.discriminator_terms(batch)] == pytest.approx(halves, rel=1e-6)


def test_a_teacher_teaches_cells_inside():
    method, batch = made(MeanTeacher)
    with torch.no_grad():
        for parameter in method.teacher.parameters():
            parameter *= 1.1
    sample, (other,) = batch.unlabeled["rooms"], batch.views["rooms"]
    student, teacher = (SimpleNamespace(model=model) for model in (method.model, method.teacher))
    found, wanted = (
        one.model.classify(features_of(one, view, "rooms"), "rooms").values.softmax(1)
        for one, view in ((student, sample), (teacher, other))
    )
    squares = (found - wanted).square().sum(1)
    cells = sample.padding[:, 4::8, 4::8]
    assert cells.shape == squares.shape
    expected = squares[cells == 0].mean()
    assert method.consistency_loss(sample, other, "rooms").item() == pytest.approx(expected.item(), rel=1e-6)


# AdvSemiSeg's public code, on images that are smaller than the crop

MEAN = (104.00698793, 116.66876762, 122.67891434)  # blue, green, red


def published_view(image, label, crop, place, turned):
    """``VOCDataSet.__getitem__`` without a scale: image (3, H, W) red first and label (H, W), both uint8."""
    values = image.flip(0).double()
    for channel, mean in zip(values, MEAN, strict=True):
        channel -= mean
    height, width = label.shape
    size = max(crop[0], height), max(crop[1], width)
    padded, labels = torch.zeros(3, *size).double(), torch.full(size, 255)
    padded[:, :height, :width], labels[:height, :width] = values, label
    top, left = (min(int(p * (n - part + 1)), n - part) for p, n, part in zip(place, size, crop, strict=True))
    window = slice(top, top + crop[0]), slice(left, left + crop[1])
    padded, labels = padded[:, *window], labels[window]
    return (padded.flip(-1), labels.flip(-1)) if turned else (padded, labels)


def photo(height, width, seed):
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator)
    label = torch.randint(0, 8, (height, width), dtype=torch.uint8, generator=generator)
    return image, label.masked_fill_(torch.rand(height, width, generator=generator) < 0.1, IGNORE)


def both_views(size, crop, seed, within=False):
    """A photo as the library gives it and as the public code does, for the same draws."""
    image, label = photo(*size, seed)
    generator = torch.Generator().manual_seed(seed)
    torch.rand((), generator=generator)  # the scale, which is 1
    place, turned = torch.rand(2, generator=generator).tolist(), torch.rand((), generator=generator).item() < 0.5
    transform = CropTransform(Resolution(), crop, Augmentation(flip=0.5), within)
    (view,), mask, padding = transform.views(image, label, torch.Generator().manual_seed(seed), 1)
    if within:  # ``VOCGTDataSet``: ten times a scale of 1, then stretched to the crop, which is here twice as large
        image, label = (one.repeat_interleave(2, -2).repeat_interleave(2, -1) for one in (image, label))
    sample = Sample(view[None], mask[None], "photo", None if padding is None else padding[None])
    return sample, *published_view(image, label, crop, place, turned)


def in_public_convention(**options):
    """A model that takes images as Caffe does, in double precision."""
    model = SegmentationModel(
        ModelConfig("drn_d_22", width=1 / 16, **options), mixture(names=("streets",)).label_spaces
    )
    model = model.double().eval()
    model.mean.copy_(torch.tensor(MEAN[::-1], dtype=torch.float64).view(1, 3, 1, 1) / 255)  # both were rounded
    model.std.fill_(1 / 255)
    return model


@pytest.mark.parametrize("size", [(20, 30), (20, 60), (50, 30), (50, 60)])
def test_views_equal_those_of_the_public_code(size):
    model = in_public_convention(input="bgr_caffe")
    for seed in range(6):
        sample, image, label = both_views(size, (40, 56), seed)
        assert (sample.padding is None) == (size == (50, 60))
        found = model.normalized(sample.image, sample.padding)[0]
        torch.testing.assert_close(found, image, rtol=1e-7, atol=1e-7)
        assert torch.equal(sample.mask[0].long(), label)


def test_a_step_on_images_smaller_than_the_crop_equals_that_of_the_public_code_to_a_ten_millionth():
    """L_ce, L_adv and L_D; where the public code counts what lies beyond unlabelled images, it is left out of both."""
    size, crop, weights = (32, 48), (64, 96), {"labeled_adversary": 0.3, "unlabeled_adversary": 0.2}
    method = learner(lambda model: Adversarial(model, **weights), mixture(names=("streets",))).double().eval()
    method.model = in_public_convention(input="bgr_caffe")
    judge = method.adversary.discriminators.networks["streets"]
    (labeled, one, label), (unlabeled, two, _) = (both_views(size, crop, seed) for seed in (0, 1))
    truth, _, truth_label = both_views(size, crop, 2, within=True)
    assert torch.equal(truth.mask[0].long(), truth_label) and truth.padding is None

    network = method.model.network("streets")
    logits = [
        up(method.model.heads["streets"](network.decoder(network.encoder(image[None]))), TINY, crop)
        for image in (one, two)
    ]
    of_one, of_two = (up(judge(maps.softmax(1)), TINY, crop)[0, 0] for maps in logits)
    expected = (
        F.cross_entropy(logits[0], label[None], ignore_index=255) + 0.3 * F.softplus(-of_one[label != 255]).mean()
    )
    assert method.labeled_loss(labeled, "streets").item() == pytest.approx(expected.item(), rel=1e-7)
    inside = unlabeled.padding[0] == 0
    expected = 0.2 * F.softplus(-of_two[inside]).mean()
    found = method.unlabeled_loss(unlabeled.image, "streets", unlabeled.padding)
    assert found.item() == pytest.approx(expected.item(), rel=1e-7)

    real = up(judge(one_hot_map(truth_label[None], 8).double()), TINY, crop)[0, 0][truth_label != 255]
    fake = torch.cat([of_one[label != 255], of_two[inside]])
    expected = 0.5 * F.softplus(fake).mean() + 0.5 * F.softplus(-real).mean()
    found = method.adversary.discriminator_terms(TrainBatch({}, {}, {"streets": truth}))
    assert sum(term.item() for term in found) == pytest.approx(expected.item(), rel=1e-7)


def test_black_beyond_the_image_is_what_version_0_1_saw():
    sample, image, _ = both_views((20, 30), (40, 56), 3)
    mean, black = (in_public_convention(input="bgr_caffe", padding=color) for color in ("mean", "black"))
    assert torch.equal(black.normalized(sample.image, sample.padding), black.normalized(sample.image))
    outside = (sample.padding == IGNORE)[0]
    seen_outside = black.normalized(sample.image, sample.padding)[0, :, outside]
    torch.testing.assert_close(seen_outside, -torch.tensor(MEAN).double()[:, None].expand_as(seen_outside))
    assert torch.equal(mean.normalized(sample.image)[0, :, ~outside], black.normalized(sample.image)[0, :, ~outside])
    fractions = mean.normalized(sample.image.double() / 255, sample.padding)[0]
    torch.testing.assert_close(fractions, image)
