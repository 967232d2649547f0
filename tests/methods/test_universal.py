"""Acceptance checks of universal semi-supervised segmentation, against loops and hand-computed values."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch.distributions import Categorical

from semiverse.embeddings.class_means import ClassMeans
from semiverse.embeddings.sources import FeatureRows, RandomRows, RowsFromFile
from semiverse.evaluation.confusion import ConfusionMatrix
from semiverse.labels import LabelSpace
from semiverse.losses import cross_entropy, entropy
from semiverse.methods import Finetune, Supervised, Universal
from semiverse.methods.label_anchor import anchor_loss
from semiverse.mixture import Draws
from semiverse.models import LabelEmbeddings
from semiverse.upsampling import ScoreMap, Upsampling, argmax
from tests.methods.worlds import (
    TINY,
    first_batch,
    gradients,
    learner,
    mixture,
    moved,
    networks_of,
    players,
    take_step,
    validated,
)


def universal(data=None, **options):
    data = data or mixture()
    method = learner(lambda model: Universal(model, **({"embed_dim": 8, "warmup": (0.0, 0.0)} | options)), data)
    method.prepare(lambda: networks_of(data))
    return method, data


def slow_entropy(scores, size):
    """Mean over pixels of -sum p log p, pixel by pixel, in double precision."""
    up = F.interpolate(scores.detach().double(), size=size, mode="bilinear", align_corners=False)
    total = 0.0
    for image in up:
        for row in image.permute(1, 2, 0):
            for pixel in row:
                exponents = [math.exp(value - float(pixel.max())) for value in pixel.tolist()]
                shares = [e / sum(exponents) for e in exponents]
                total -= sum(p * math.log(p) for p in shares if p > 0)
    return total / (up.shape[0] * up.shape[2] * up.shape[3])


def test_entropy_terms_reach_projection_and_encoder_but_no_head_and_no_label_row():
    method, data = universal(anchor=0.0)
    batch = first_batch(data)
    method.entropy_loss(batch.unlabeled["streets"].image, "streets").backward()
    found = gradients(method.model)
    assert all(found[name] is None for name in found if name.startswith("heads."))
    assert found["label_embeddings.projection.weight"].abs().sum() > 0
    encoder = [gradient for name, gradient in found.items() if name.startswith("networks.") and gradient is not None]
    assert encoder and all(gradient.abs().sum() > 0 for gradient in encoder)
    assert not any(name.endswith("accumulator") for name, _ in method.model.named_parameters())


def test_supervised_term_reaches_only_its_own_head():
    method, data = universal(anchor=0.0)
    sample = first_batch(data).labeled["rooms"]
    logits = method.model.classify(method.model.features(sample.image, "rooms"), "rooms")
    method.supervised_loss(logits, sample, "rooms").backward()
    found = gradients(method.model)
    assert found["heads.rooms.weight"].abs().sum() > 0
    assert found["heads.streets.weight"] is None
    assert found["label_embeddings.projection.weight"] is None


def test_without_weights_of_the_entropy_terms_and_anchor_it_is_joint_training():
    data = mixture()
    method, _ = universal(data, alpha=0.0, beta=0.0, anchor=0.0)
    joint = learner(Supervised, data)
    joint.model.load_state_dict({k: v for k, v in method.model.state_dict().items() if "label_embeddings" not in k})
    assert method.draws() == Draws()
    for step in range(3):
        batch = first_batch(data, step, method.draws())
        assert not batch.unlabeled
        for term, other in zip(method.terms(batch), joint.terms(batch), strict=True):
            assert torch.equal(term, other)
            term.backward()
            other.backward()
    state, other_state = method.model.state_dict(), joint.model.state_dict()
    assert not moved(other_state, {name: state[name] for name in other_state})  # statistics of batch norm too
    ours, theirs = gradients(method.model), gradients(joint.model)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs if theirs[name] is not None)


def test_entropy_loss_equals_the_slow_sum_of_both_entropies():
    method, data = universal(alpha=0.7, beta=0.3)
    method = method.double().eval()
    images = first_batch(data).unlabeled["streets"].image
    features = method.model.features(images, "streets")
    pixels = method.label_embeddings.projection(features)
    expected = 0.0
    for weight, space in ((0.3, "streets"), (0.7, "rooms")):
        rows = method.label_embeddings.rows(space)
        scores = torch.einsum("ndhw,rd->nrhw", pixels, rows)
        expected += weight * slow_entropy(scores, images.shape[-2:])
    assert method.entropy_loss(images, "streets").item() == pytest.approx(expected, rel=1e-9)


def test_order_of_the_domains_does_not_change_the_loss():
    one, two = mixture(names=("streets", "rooms")), mixture(names=("rooms", "streets"))
    first, _ = universal(one)
    second, _ = universal(two)
    second.model.load_state_dict(first.model.state_dict(), strict=False)
    for method in (first, second):
        method.double().eval()
    batch = first_batch(one)
    for module in second.model.modules():
        if hasattr(module, "running_mean"):
            module.running_mean.copy_(module.running_mean.flip(0))
            module.running_var.copy_(module.running_var.flip(0))
    losses = [sum(float(term) for term in method.terms(batch)) for method in (first, second)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_three_label_spaces_average_the_entropies_against_the_others():
    names = ("streets", "rooms", "dusk")
    data = mixture(names=names)
    data.domains["dusk"].dataset.labels = LabelSpace("night", ("dark", "bright"))
    method, _ = universal(data=_with_two_classes(data), alpha=1.0, beta=0.0)
    method = method.double().eval()
    images = first_batch(data).unlabeled["streets"].image
    pixels = method.label_embeddings.projection(method.model.features(images, "streets"))
    cross = [
        slow_entropy(torch.einsum("ndhw,rd->nrhw", pixels, method.label_embeddings.rows(space)), images.shape[-2:])
        for space in ("rooms", "dusk")
    ]
    assert method.entropy_loss(images, "streets").item() == pytest.approx(sum(cross) / 2, rel=1e-9)


def _with_two_classes(data):
    read = data.domains["dusk"].dataset.read_mask
    data.domains["dusk"].dataset.read_mask = lambda path: (read(path) > 3).to(torch.uint8)
    return data


def test_warm_up_begins_when_it_says():
    method, _ = universal(warmup=(0.5, 1.0))
    assert method.draws() == Draws(unlabeled_from=5)
    batch = first_batch(method.data)
    method.steps_done = 5
    at_start = list(method.terms(batch))
    assert [float(term) for term in at_start[1::2]] == [0.0, 0.0]
    method.steps_done = 10
    assert all(float(term) > 0 for term in list(method.terms(batch))[1::2])


@pytest.mark.parametrize("theta", [0.0, 0.5, 1.0])
def test_theta_update_equals_class_means_by_brute_force(theta):
    torch.manual_seed(0)
    space = LabelSpace("three", ("a", "b", "c"))
    embeddings = LabelEmbeddings(6, 4, {"x": space}).double()
    before = embeddings.spaces["x"].accumulator.clone()
    features = torch.randn(2, 6, 4, 5, dtype=torch.float64)
    mask = torch.randint(0, 2, (2, 32, 40), dtype=torch.uint8)  # the third class is never seen
    mask[:, :4] = 255
    means = ClassMeans(embeddings)
    means.add("x", features[:1], mask[:1])
    means.add("x", features[1:], mask[1:])
    means.update(theta)
    up = F.interpolate(embeddings.projection(features), size=(32, 40), mode="bilinear", align_corners=False)
    after = embeddings.spaces["x"].accumulator
    for label in (0, 1):
        pixels = [up[n, :, y, x] for n, y, x in (mask == label).nonzero().tolist()]
        expected = theta * before[label, 0] + (1 - theta) * torch.stack(pixels).mean(0)
        torch.testing.assert_close(after[label, 0], expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(after[2], before[2])
    assert theta < 1 or torch.equal(after, before)


@pytest.mark.parametrize("zero_border", [False, True])
@pytest.mark.parametrize("theta", [0.0, 0.5])
def test_each_of_several_rows_moves_to_the_mean_of_the_pixels_nearest_to_it(theta, zero_border):
    torch.manual_seed(1)
    space = LabelSpace("three", ("a", "b", "c"))
    upsampling = Upsampling(zero_border=zero_border)
    embeddings = LabelEmbeddings(6, 4, {"x": space}, 3, upsampling=upsampling).double()
    rows = embeddings.spaces["x"].accumulator
    rows[1, 2] = 100.0  # so far away that no pixel is nearest to it
    before = rows.clone()
    features = torch.randn(2, 6, 4, 5, dtype=torch.float64)
    mask = torch.randint(0, 2, (2, 32, 40), dtype=torch.uint8)  # the third class is never seen
    mask[:, :4] = 255
    means = ClassMeans(embeddings)
    means.add("x", features[:1], mask[:1])
    means.add("x", features[1:], mask[1:])
    means.update(theta)
    pixels = ScoreMap(embeddings.projection(features).detach(), upsampling).at((32, 40))
    groups = {}
    for n, y, x in (mask < 2).nonzero().tolist():
        label, pixel = int(mask[n, y, x]), pixels[n, :, y, x]
        distances = [float((pixel - row).square().sum()) for row in before[label]]
        groups.setdefault((label, distances.index(min(distances))), []).append(pixel)
    assert len(groups) == 5
    for label in range(3):
        for k in range(3):
            old, own = before[label, k], groups.get((label, k))
            expected = old if own is None else theta * old + (1 - theta) * torch.stack(own).mean(0)
            torch.testing.assert_close(rows[label, k], expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(rows[2], before[2]) and torch.equal(rows[1, 2], before[1, 2])


def test_updates_by_nearest_pixels_never_take_rows_away_from_the_pixels_of_one_state():
    """They are steps of k-means: the mean squared distance of pixels to their nearest row cannot grow."""
    torch.manual_seed(0)
    embeddings = LabelEmbeddings(6, 4, {"x": LabelSpace("two", ("a", "b"))}, 3).double()
    features, mask = torch.randn(2, 6, 4, 5, dtype=torch.float64), torch.randint(0, 2, (2, 32, 40))
    pixels = ScoreMap(embeddings.projection(features).detach()).at((32, 40)).movedim(1, -1)
    table, distances = embeddings.spaces["x"], []
    for _ in range(4):
        distances.append([torch.cdist(pixels[mask == c], table.accumulator[c]).amin(1).square().mean() for c in (0, 1)])
        means = ClassMeans(embeddings)
        means.add("x", features, mask)
        means.update(0.0)
    found = torch.tensor(distances)
    assert (found.diff(dim=0) < 0).all()


def test_equal_rows_of_a_class_move_as_one_row_would():
    torch.manual_seed(0)
    space = LabelSpace("two", ("a", "b"))
    one, three = (LabelEmbeddings(6, 4, {"x": space}, centroids) for centroids in (1, 3))
    three.projection.load_state_dict(one.projection.state_dict())
    three.set_rows("x", one.spaces["x"].accumulator.expand(2, 3, 4), torch.ones(2, dtype=torch.bool))
    features, mask = torch.randn(2, 6, 4, 5), torch.randint(0, 2, (2, 32, 40))
    for embeddings in (one, three):
        means = ClassMeans(embeddings)
        means.add("x", features, mask)
        means.update(0.5)
    expected = one.spaces["x"].accumulator.expand(2, 3, 4)
    torch.testing.assert_close(three.spaces["x"].accumulator, expected, rtol=1e-6, atol=1e-6)


def test_means_of_a_pass_are_those_of_whole_labelled_images_under_the_weights_at_the_end_of_the_epoch():
    method, data = universal(theta=0.5, update_from="pass", centroids=1)
    table = method.label_embeddings.spaces["streets"]
    before = table.accumulator.clone()
    going_on = players(method)
    take_step(method, going_on=going_on)
    assert torch.equal(table.accumulator, before)  # in the middle of an epoch of two steps
    take_step(method, going_on=going_on)
    assert method.model.training
    sums, counts = torch.zeros(8, 8), torch.zeros(8)
    method.eval()
    with torch.no_grad():
        for record in data.labeled["streets"]:
            image, mask = data.domains["streets"].dataset.read(record)
            pixels = method.label_embeddings.projection(method.model.features(image[None], "streets"))
            up = F.interpolate(pixels, size=mask.shape, mode="bilinear")[0]
            for label in range(8):
                sums[label] += up[:, mask == label].sum(1)
                counts[label] += (mask == label).sum()
    expected = 0.5 * before[:, 0] + 0.5 * sums / counts[:, None]
    seen = counts > 0
    torch.testing.assert_close(table.accumulator[seen, 0], expected[seen], rtol=1e-4, atol=1e-4)
    assert torch.equal(table.accumulator[~seen], before[~seen])


def test_a_pass_changes_nothing_but_the_label_rows():
    states = []
    for update_from in ("epoch", "pass"):
        method, _ = universal(theta=0.5, update_from=update_from)
        going_on = players(method)
        for _ in range(2):
            take_step(method, going_on=going_on)
        states.append(method.model.state_dict())
    rows = {f"label_embeddings.spaces.{space}.accumulator" for space in ("streets", "rooms")}
    assert moved(*states) == rows


def test_epochs_start_with_empty_means():
    method, data = universal(theta=0.0)
    table = method.label_embeddings.spaces["streets"]
    before = table.accumulator.clone()
    list(method.terms(first_batch(data)))
    method.steps_done = 1
    method.after_step()  # in the middle of an epoch of two steps
    assert torch.equal(before, table.accumulator)
    method.steps_done = 2
    method.after_step()
    once = table.accumulator.clone()
    assert not torch.equal(before, once)
    method.steps_done = 4
    method.after_step()  # nothing seen: nothing moves
    assert torch.equal(once, table.accumulator)


def test_label_rows_have_unit_length_and_scores_are_bounded_by_the_projection():
    method, data = universal()
    images = first_batch(data).unlabeled["rooms"].image
    features = method.model.features(images, "rooms")
    for space in ("streets", "rooms"):
        assert torch.allclose(method.label_embeddings.rows(space).norm(dim=1), torch.ones(1), atol=1e-6)
        scores = method.label_embeddings.scores(features, [space]).values
        norms = method.label_embeddings.projection(features).norm(dim=1, keepdim=True)
        assert (scores.abs() <= norms * (1 + 1e-5)).all()


def test_label_embeddings_are_class_means_in_the_principal_subspace():
    data = mixture(labeled=3)
    networks = networks_of(data)
    method = learner(lambda model: Universal(model, embed_dim=32), data)
    method.prepare(lambda: networks)
    sums, counts = torch.zeros(8, 32, dtype=torch.float64), torch.zeros(8, dtype=torch.float64)
    for record in data.labeled["streets"]:
        image, mask = data.domains["streets"].dataset.read(record)
        with torch.no_grad():
            features = networks.features(image[None], "streets").double()
        up = F.interpolate(features, size=mask.shape, mode="bilinear", align_corners=False)[0]
        for label in range(8):
            sums[label] += up[:, mask == label].sum(1)
            counts[label] += (mask == label).sum()
    means = (sums / counts[:, None])[counts > 0]
    table = method.label_embeddings.spaces["streets"]
    rows = table.accumulator[:, 0][table.present].double()
    assert torch.equal(table.present, counts > 0)
    # a full-rank principal component analysis is an isometry: distances between class means are kept
    assert torch.allclose(torch.cdist(rows, rows), torch.cdist(means, means), atol=1e-4)


def test_several_centroids_give_several_rows_a_class():
    method, _ = universal(centroids=3)
    present = int(method.label_embeddings.spaces["rooms"].present.sum())
    assert len(method.label_embeddings.rows("rooms")) == 3 * present


def test_random_rows_need_no_networks_and_are_the_same_for_a_seed():
    def rows():
        data = mixture()
        method = learner(lambda model: Universal(model, embed_dim=8, rows=RandomRows(), start=None), data)
        method.prepare(lambda: pytest.fail("random rows asked for networks"))
        return method.label_embeddings.rows("streets")

    assert torch.equal(rows(), rows())


def test_rows_from_a_file_and_what_is_missing_in_it(tmp_path):
    file = tmp_path / "rows.safetensors"
    wanted = {"streets": torch.randn(8, 1, 8), "rooms": torch.randn(9, 1, 8)}
    save_file(wanted, file)
    data = mixture()
    method = learner(lambda model: Universal(model, embed_dim=8, rows=RowsFromFile(file)), data)
    method.prepare(lambda: networks_of(data))
    assert torch.equal(method.label_embeddings.spaces["rooms"].accumulator, wanted["rooms"])
    save_file({"streets": wanted["streets"]}, file)
    with pytest.raises(ValueError, match="rooms"):
        method.prepare(lambda: networks_of(data))


def test_projection_can_start_as_the_principal_components():
    data = mixture()
    method = learner(lambda model: Universal(model, embed_dim=8, rows=FeatureRows(project_from_pca=True)), data)
    method.prepare(lambda: networks_of(data))
    weight = method.label_embeddings.projection.weight.flatten(1)
    assert torch.allclose(weight @ weight.T, torch.eye(8), atol=1e-4)


def test_shared_network_can_start_from_a_supervised_one():
    data = mixture()
    networks = networks_of(data)
    method = learner(lambda model: Universal(model, embed_dim=8, start="rooms"), data)
    method.prepare(lambda: networks)
    image = first_batch(data).labeled["rooms"].image
    assert torch.equal(method.model.eval().features(image, "rooms"), networks.features(image, "rooms"))
    with pytest.raises(ValueError, match="kitchens"):
        learner(lambda model: Universal(model, embed_dim=8, start="kitchens"), data)


def test_an_embedding_with_more_dimensions_than_features_is_refused_before_training():
    with pytest.raises(ValueError, match=r"33.*32 feature channels"):
        learner(lambda model: Universal(model, embed_dim=33), mixture())


def test_finetune_starts_each_domain_from_its_partner():
    data = mixture()
    networks = networks_of(data)
    method = learner(Finetune, data, replace(TINY, separate=True))
    method.prepare(lambda: networks)
    image = first_batch(data).labeled["rooms"].image
    ours, partners = method.model.eval().features(image, "rooms"), networks.features(image, "streets")
    assert torch.equal(ours, partners)
    with pytest.raises(ValueError, match="separate"):
        learner(Finetune, data)


def test_anchor_is_cross_entropy_of_similarities():
    method, data = universal(centroids=1)
    method = method.double().eval()
    sample = first_batch(data).labeled["streets"]
    features = method.model.features(sample.image, "streets")
    scores = method.label_embeddings.scores(features, ["streets"]).values
    up = F.interpolate(scores, size=sample.mask.shape[-2:], mode="bilinear", align_corners=False)
    present = method.label_embeddings.spaces["streets"].present
    target = torch.full((256,), 255)
    target[present.nonzero().flatten()] = torch.arange(int(present.sum()))
    expected = F.cross_entropy(up, target[sample.mask.long()], ignore_index=255)
    assert anchor_loss(method, features, sample, "streets").item() == pytest.approx(expected.item(), rel=1e-6)


def test_terms_upsample_with_a_zero_border_where_the_model_does():
    plain, bordered = (
        learner(
            lambda model: Universal(model, embed_dim=8, rows=RandomRows(), start=None),
            config=replace(TINY, zero_border=border),
        ).eval()
        for border in (False, True)
    )
    bordered.load_state_dict(plain.state_dict())
    batch = first_batch(plain.data)
    sample, images = batch.labeled["streets"], batch.unlabeled["streets"].image
    features = plain.model.features(sample.image, "streets")
    logits, scores = plain.model.classify(features, "streets"), plain.label_embeddings.scores(features, ["streets"])
    both = plain.label_embeddings.scores(plain.model.features(images, "streets"), ["streets", "rooms"])
    size = (images.shape[-2], images.shape[-1])
    for method, border in ((plain, False), (bordered, True)):
        upsampling = Upsampling(zero_border=border)
        expected = cross_entropy(logits._replace(upsampling=upsampling), sample.mask)
        assert torch.equal(method.supervised_loss(logits._replace(upsampling=upsampling), sample, "streets"), expected)
        assert method.model.classify(features, "streets").upsampling == upsampling
        anchor = anchor_loss(method, features, sample, "streets")
        torch.testing.assert_close(anchor, cross_entropy(scores._replace(upsampling=upsampling), sample.mask))
        within, across = entropy(both._replace(upsampling=upsampling), size, [8, 9])
        expected = method.beta * within + method.alpha * across
        torch.testing.assert_close(method.entropy_loss(images, "streets"), expected)
    assert not torch.equal(plain.entropy_loss(images, "streets"), bordered.entropy_loss(images, "streets"))


def test_terms_upsample_as_the_decoder_does():
    data, config = mixture(), replace(TINY, decoder="aspp_sum")
    method = learner(lambda model: Universal(model, embed_dim=8, rows=RandomRows(), start=None), data, config)
    method.prepare(lambda: None)
    method = method.double().eval()
    batch = first_batch(data)
    sample, images = batch.labeled["streets"], batch.unlabeled["streets"].image
    features = method.model.features(sample.image, "streets")
    scores = method.label_embeddings.scores(features, ["streets"]).values
    up = F.interpolate(scores, size=sample.mask.shape[-2:], mode="bilinear", align_corners=True)
    expected = F.cross_entropy(up, sample.mask.long(), ignore_index=255)
    assert anchor_loss(method, features, sample, "streets").item() == pytest.approx(expected.item(), rel=1e-6)
    scores = method.label_embeddings.scores(method.model.features(images, "streets"), ["streets", "rooms"]).values
    up = F.interpolate(scores, size=images.shape[-2:], mode="bilinear", align_corners=True)
    parts = [Categorical(logits=part.movedim(1, -1)).entropy().mean() for part in up.split([8, 9], dim=1)]
    expected = method.beta * parts[0] + method.alpha * parts[1]
    assert method.entropy_loss(images, "streets").item() == pytest.approx(expected.item(), rel=1e-6)


@torch.no_grad()
def test_validation_records_length_of_the_projection_and_agreement_with_the_decoder():
    method, data = universal(rows=RandomRows(), start=None)
    sample = next(iter(data.validation()["streets"]))
    features = method.model.features(sample.image, "streets")
    head, embeddings = method.model.heads["streets"], method.label_embeddings
    embeddings.projection.weight.zero_()
    embeddings.projection.bias.copy_(3 * embeddings.rows("streets")[2])  # every pixel lies at class 2, at length 3
    for chosen, agreement in ((2, 1.0), (5, 0.0)):
        head.weight.zero_()
        head.bias.copy_(torch.arange(8) == chosen)
        method.observe(features, "streets")
        taken = method.means.take()
        assert taken["streets/agreement"] == agreement
        assert taken["streets/projection_norm"] == pytest.approx(3.0, rel=1e-6)


@torch.no_grad()
def test_validation_scores_predictions_of_decoders_and_of_label_embeddings():
    method, data = universal()
    scores = validated(method)
    assert method.training
    method.eval()
    for (domain, space), loader in zip(data.label_spaces.items(), data.validation().values(), strict=True):
        counts = {"miou": ConfusionMatrix(len(space)), "miou_by_embedding": ConfusionMatrix(len(space))}
        for sample in loader:
            features = method.model.features(sample.image, domain)
            both = method.model.classify(features, domain), method.label_embeddings.logits(features, domain)
            for matrix, logits in zip(counts.values(), both, strict=True):
                up = F.interpolate(logits.values, size=sample.mask.shape[1:], mode="bilinear", align_corners=False)
                matrix.update(up.argmax(1), sample.mask)
        for name, matrix in counts.items():
            assert scores[f"{domain}/{name}"] == pytest.approx(matrix.compute().miou, abs=1e-3)
    assert scores["sum_miou"] == scores["streets/miou"] + scores["rooms/miou"]


def test_learning_rate_follows_the_published_schedule():
    method, _data = universal()
    going_on = players(method, lr=1e-3, decay="step")
    method.total_steps = 200
    values = {0: 1e-3, 1: 9.954989e-4, 49: 7.765193e-4, 99: 5.407073e-4, 100: 5.358867e-4, 199: 8.493232e-6}
    for done, expected in values.items():
        method.steps_done = done
        assert going_on.learning_rate == pytest.approx(expected, rel=1e-6)


def test_learning_rate_stays_within_an_epoch_by_default():
    method, data = universal()
    going_on = players(method)
    method.total_steps = 200 * data.steps_per_epoch
    for done, expected in {0: 1e-3, 1: 1e-3, 2: 9.954989e-4, 3: 9.954989e-4, 199: 5.407073e-4}.items():
        method.steps_done = done
        assert data.steps_per_epoch == 2
        assert going_on.learning_rate == pytest.approx(expected, rel=1e-6)


def test_a_none_class_can_only_raise_the_cross_entropy_and_is_no_prediction():
    data = mixture()
    method = learner(Supervised, data, replace(TINY, none_class=True))
    sample = first_batch(data).labeled["streets"]
    features = method.model.features(sample.image, "streets")
    logits = method.model.classify(features, "streets")
    assert logits.values.shape[1] == 9
    without = cross_entropy(logits._replace(values=logits.values[:, :8]), sample.mask)
    assert method.supervised_loss(logits, sample, "streets") >= without
    none = torch.zeros_like(logits.values)
    none[:, 8] = 1
    confusion = ConfusionMatrix(len(data.label_spaces["streets"]))
    confusion.update(argmax(logits._replace(values=none), tuple(sample.mask.shape[1:])), sample.mask)
    assert confusion.compute().miou == 0


def test_images_can_be_scaled_to_one_only():
    data = mixture()
    model = learner(Supervised, data, replace(TINY, normalize_images=False)).model
    assert model.mean.abs().sum() == 0
    assert (model.std == 1).all()
