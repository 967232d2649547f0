"""AdaptSegNet: the acceptance checks of its equations, who moves in which half of a step, which images are drawn."""

import copy
import math
from collections import Counter
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from semiverse.cli.main import main
from semiverse.datasets import GTA5, Cityscapes, Remapped, SyntheticRooms, SyntheticStreets
from semiverse.labels import IGNORE, LabelSpace
from semiverse.methods import Adaptation, Supervised
from semiverse.methods.source_or_target import SOURCE, TARGET, SourceOrTarget
from semiverse.mixture import Domain, DomainMixture, Draws
from semiverse.models import ModelConfig, SegmentationModel, SummedAspp, read_tensors
from semiverse.run import Run
from tests.fakes.basic import write_mask
from tests.methods.worlds import TINY, first_batch, gradients, learner, moved, players, stopped, take_step
from tests.tiny import train_words

DEEPLAB = ModelConfig(encoder="deeplab_resnet101", decoder="aspp_sum", width=1 / 16, batch_norm="shared")
LEVELS = {"main": 0.001, "auxiliary": 0.0002}


class Noting(SyntheticStreets):
    """Knows which of its images were read."""

    def __init__(self, **options):
        super().__init__(**options)
        self.opened = []

    def read_image(self, path):
        self.opened.append(path.name)
        return super().read_image(path)


def street(style="game", images=6, size=(32, 48), labeled=None, **options):
    return Domain(Noting(style=style, images=images, val_images=2, size=size), labeled=labeled, **options)


def streets(targets=None, batch_size=2, size=(32, 48), **options):
    """A labelled game, and days, dusks and rains without labels: so many images of each."""
    domains = {"game": street(size=size, unlabeled=False)}
    domains |= {name: street(name, images, size, labeled=0) for name, images in (targets or {"day": 6}).items()}
    return DomainMixture(domains, batch_size=batch_size, workers=0, **options)


def adaptation(data=None, config=TINY, **options):
    weights = {"adversary": 0.001, "auxiliary_adversary": 0.0002}
    return learner(lambda model: Adaptation(model, **(weights | options)), data or streets(), config)


def up(logits, size, corners=False):
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=corners)


def levels_of(method, images, domain):
    """Logits of both heads, without anything of the method."""
    maps = method.model.encode(images, domain)
    features = method.model.network(domain).decoder(maps)
    return {"main": method.model.classify(features, domain).values, "auxiliary": method.auxiliary(maps[-2])}


def silent(networks):
    """Discriminators that say 0 everywhere."""
    for network in networks.values():
        torch.nn.init.zeros_(network.classifier.weight)
        torch.nn.init.zeros_(network.classifier.bias)


# Acceptance checks


@pytest.mark.parametrize(("least_squares", "fooling", "telling"), [(False, math.log(2), math.log(2)), (True, 0.0, 0.5)])
def test_undecided_discriminators_give_the_known_losses(least_squares, fooling, telling):
    method = adaptation(least_squares=least_squares, auxiliary_weight=0.0)
    silent(method.discriminators.networks)
    batch = first_batch(method.data)
    target = batch.unlabeled["day"].image
    assert method.target_loss(target, "day", 1.0).item() == pytest.approx(fooling * sum(LEVELS.values()), abs=1e-9)
    list(method.terms(batch))
    halves = [term.item() for term in method.discriminator_terms(batch)]
    assert halves[0] + halves[2] == pytest.approx(telling, abs=1e-6)  # the main level: source, then target
    assert halves[1] + halves[3] == pytest.approx(telling, abs=1e-6)


def test_without_weights_the_auxiliary_head_gets_no_gradient_and_nothing_else_changes():
    single, multi = adaptation(auxiliary_adversary=0.0, auxiliary_weight=0.0), adaptation()
    multi.auxiliary_weight, multi.adversary_weights["auxiliary"] = 0.0, 0.0
    multi.model.load_state_dict(single.model.state_dict())
    multi.discriminators.networks["main"].load_state_dict(single.discriminators.networks["main"].state_dict())
    assert single.auxiliary is None and list(single.discriminators.networks) == ["main"]
    going_on = [players(method) for method in (single, multi)]
    for _ in range(3):
        for method, own in zip((single, multi), going_on, strict=True):
            take_step(method, going_on=own)
    assert all(p.grad is None or not p.grad.any() for p in multi.auxiliary.parameters())
    assert not moved(single.model.state_dict(), multi.model.state_dict())
    own, theirs = (method.discriminators.networks["main"].state_dict() for method in (single, multi))
    assert not moved(own, theirs)


def test_discriminators_of_equal_sides_can_at_best_be_undecided():
    method = adaptation(config=replace(TINY, batch_norm="shared"))
    batch = first_batch(method.data)
    batch.unlabeled["day"] = batch.labeled["game"]

    def telling():
        list(method.terms(batch))
        main_source, auxiliary_source, main_target, auxiliary_target = method.discriminator_terms(batch)
        return main_source + main_target, auxiliary_source + auxiliary_target

    for network in method.discriminators.networks.values():
        torch.nn.init.normal_(network.classifier.weight, 0.0, 5.0)
    assert all(loss > 1.001 * math.log(2) for loss in telling())
    silent(method.discriminators.networks)
    losses = telling()
    sum(losses).backward()
    assert [loss.item() for loss in losses] == pytest.approx([math.log(2)] * 2)
    assert all(p.grad.abs().max() < 1e-7 for p in method.discriminators.parameters())


def test_swapped_labels_and_negated_judgements_give_the_same_loss():
    judges = SourceOrTarget(["main"], 2, least_squares=False)
    judgement = torch.randn(2, 1, 3, 5)
    for side, other in ((SOURCE, TARGET), (TARGET, SOURCE)):
        assert torch.equal(judges.loss(judgement, side), judges.loss(-judgement, other))


def test_sizes_of_logits_and_judgements_are_those_of_the_public_code():
    names = tuple(map(str, range(19)))
    with torch.device("meta"):
        model = SegmentationModel(replace(DEEPLAB, width=1.0), dict.fromkeys("st", LabelSpace("common", names)))
        method = Adaptation(model)
        assert sum(p.numel() for p in [*model.parameters(), *method.auxiliary.parameters()]) == 44_601_560
        for size, cells, judgements in (((720, 1280), (91, 161), (22, 40)), ((512, 1024), (65, 129), (16, 32))):
            logits = method.levels(torch.empty(1, 3, *size), "s")
            assert list(logits) == ["main", "auxiliary"]
            for level, one in logits.items():
                assert one.values.shape == (1, 19, *cells)
                judged = method.discriminators.networks[level](torch.empty(1, 19, *size))
                assert judged.shape == (1, 1, *judgements)


def test_source_and_target_of_the_paper_map_ids_alike(tmp_path):
    ids = write_mask(tmp_path / "a_gtFine_labelIds.png", [[*range(34), 255]], mode="P")
    game = GTA5(tmp_path).read_mask(ids)
    write_mask(ids, [[*range(34), 255]])
    assert torch.equal(game, Cityscapes(tmp_path).read_mask(ids))
    assert game[0, -1] == IGNORE
    assert GTA5.labels == Cityscapes.labels
    others = write_mask(tmp_path / "b.png", [list(range(34, 256))], mode="P")
    assert GTA5(tmp_path).read_mask(others).unique().tolist() == [IGNORE]


def test_rates_follow_the_schedule_of_250000_steps_and_stop_at_150000():
    method = adaptation()
    going_on, batch = players(method, decay_steps=250_000), first_batch(method.data)
    method.total_steps = 150_000
    values = {0: 2.5e-4, 50_000: 2.045130e-4, 100_000: 1.578615e-4, 149_999: 1.095968e-4}
    for done, rate in values.items():
        method.steps_done = done
        assert going_on.learning_rate == pytest.approx(rate, rel=1e-6)
        going_on.step(batch)
        model, opponents = (optimizer.param_groups[0]["lr"] for optimizer in going_on.optimizers)
        assert (model, opponents) == pytest.approx((rate, 0.4 * rate), rel=1e-6)


def test_groups_of_the_optimisers_learn_at_the_published_rates():
    method = adaptation(config=DEEPLAB)
    model, opponents = take_step(method).optimizers
    assert [group["lr"] for group in model.param_groups] == [2.5e-4, 2.5e-4, 2.5e-3]
    assert {(group["momentum"], group["weight_decay"]) for group in model.param_groups} == {(0.9, 5e-4)}
    assert [(group["lr"], group["betas"]) for group in opponents.param_groups] == [(1e-4, (0.9, 0.99))]
    listed = [id(parameter) for group in model.param_groups for parameter in group["params"]]
    assert len(set(listed)) == len(listed)
    heads = [*method.auxiliary.parameters(), *method.model.heads["game"].parameters()]
    assert {id(p) for p in heads} == {id(p) for p in model.param_groups[2]["params"]}


# The halves of a step


@pytest.mark.parametrize(
    ("config", "least_squares"), [(TINY, True), (DEEPLAB, False)], ids=["linear-squares", "aspp_sum-logistic"]
)
def test_a_step_follows_the_gradients_of_the_written_losses(config, least_squares):
    method = adaptation(streets(size=(64, 96)), config, least_squares=least_squares).double()
    batch = first_batch(method.data)
    batch.labeled["game"].mask[:, :9] = IGNORE
    oracle, corners = copy.deepcopy(method), config.align_corners
    criterion = F.mse_loss if least_squares else F.binary_cross_entropy_with_logits
    source, target = batch.labeled["game"], batch.unlabeled["day"].image
    of_source, of_target = levels_of(oracle, source.image, "game"), levels_of(oracle, target, "day")
    loss = 0.0
    for level, weight in LEVELS.items():
        part = {"main": 1.0, "auxiliary": 0.1}[level]
        logits = up(of_source[level], source.mask.shape[1:], corners)
        loss = loss + part * F.cross_entropy(logits, source.mask.long(), ignore_index=IGNORE)
        judgement = oracle.discriminators.networks[level](up(of_target[level], target.shape[2:], corners).softmax(1))
        loss = loss + weight * criterion(judgement, torch.zeros_like(judgement))
    oracle.discriminators.requires_grad_(False)
    loss.backward()
    oracle.discriminators.requires_grad_(True)
    for level in LEVELS:
        network = oracle.discriminators.networks[level]
        seen = [(of_source[level], source.image.shape[2:], 0.0), (of_target[level], target.shape[2:], 1.0)]
        for logits, size, side in seen:
            judgement = network(up(logits.detach(), size, corners).softmax(1))
            (0.5 * criterion(judgement, torch.full_like(judgement, side))).backward()
    take_step(method, batch)
    expected, found = gradients(oracle), gradients(method)
    for name, gradient in expected.items():
        if gradient is None:
            assert found[name] is None, name
        else:
            assert torch.allclose(found[name], gradient, rtol=1e-5, atol=1e-12), name
    assert sum(gradient is not None for gradient in found.values()) > 20


@pytest.mark.parametrize("still", [0, 1], ids=["model", "discriminators"])
def test_each_side_moves_by_its_own_rate_alone(still):
    method = adaptation(discriminator_lr=1e-3)
    before = copy.deepcopy(dict(method.named_parameters()))
    take_step(method, going_on=stopped(players(method, lr=1e-2), still))
    names = {name for name in before if name.startswith("discriminators.") == (still == 0)}
    assert moved(before, dict(method.named_parameters())) == names


def test_the_adversary_reaches_head_and_trunk_of_its_level():
    method = adaptation(auxiliary_adversary=0.0)
    method.target_loss(first_batch(method.data).unlabeled["day"].image, "day", 1.0).backward()
    found = gradients(method)
    assert found["model.heads.game.weight"].abs().sum() > 0
    assert found["model.networks.shared.encoder.layer0.0.weight"].abs().sum() > 0
    assert found["auxiliary.weight"] is None
    method = adaptation(adversary=0.0)
    method.target_loss(first_batch(method.data).unlabeled["day"].image, "day", 1.0).backward()
    found = gradients(method)
    assert found["model.heads.game.weight"] is None
    assert found["auxiliary.weight"].abs().sum() > 0
    last = [name for name in found if name.startswith("model.networks.shared.encoder.layer8")]
    assert last and all(found[name] is None for name in last)  # behind the auxiliary head's map


@pytest.mark.slow
def test_half_precision_trains():
    method = adaptation()
    with torch.autocast("cpu", torch.bfloat16):
        take_step(method)
    exact = adaptation()
    take_step(exact)
    for name, mean in method.means.take().items():
        assert math.isfinite(mean), name
    assert method.model.heads["game"].weight.grad.isfinite().all()
    assert torch.allclose(method.model.heads["game"].weight, exact.model.heads["game"].weight, atol=1e-2)


@pytest.mark.parametrize("encoder", ["drn_c_26", "resnet18.tv_in1k"])
def test_any_encoder_of_two_maps_will_do(encoder):
    width = 1 / 16 if encoder.startswith("drn") else 1.0
    config = ModelConfig(encoder=encoder, width=width, pretrained=False)
    method = adaptation(config=config)
    take_step(method)
    assert method.auxiliary.weight.grad.abs().sum() > 0


# Sources and targets


def batches_of(method):
    """Those of the epoch that training has reached."""
    return method.data.training(lambda: method.steps_done, method.draws())


def drawn(method, steps):
    """Number of target images drawn by domain, and ids of each."""
    ids = {}
    while method.steps_done < steps:
        for batch in batches_of(method):
            for name, sample in batch.unlabeled.items():
                ids.setdefault(name, []).extend(sample.id)
            method.steps_done += 1
    return {name: len(found) for name, found in ids.items()}, ids


def test_concatenated_targets_are_drawn_as_often_as_they_have_images():
    data = streets({"day": 2, "dusk": 7}, batch_size=1)
    method = learner(lambda model: Adaptation(model, targets="concatenated"), data)
    counts, ids = drawn(method, 18)  # two passes over nine images
    assert counts == {"day": 4, "dusk": 14}
    for name, images in (("day", 2), ("dusk", 7)):
        assert set(Counter(ids[name][:images]).values()) == {1}  # every image once in a pass
        assert set(Counter(ids[name]).values()) == {2}


def test_a_batch_of_concatenated_targets_is_of_one_domain():
    data = streets({"day": 2, "dusk": 7}, batch_size=2)
    method = learner(lambda model: Adaptation(model, targets="concatenated"), data)
    counts, ids = drawn(method, 9)
    assert counts == {"day": 4, "dusk": 14}
    assert set(Counter(ids["dusk"]).values()) == {2}
    batches = list(batches_of(method))
    assert all(len(sample.image) == 2 for batch in batches for (sample,) in [batch.unlabeled.values()])


def test_balanced_targets_are_drawn_equally_often_and_weigh_the_same():
    data = streets({"day": 2, "dusk": 7}, batch_size=1)
    method = learner(lambda model: Adaptation(model, targets="balanced"), data)
    assert drawn(method, 18)[0] == {"day": 18, "dusk": 18}
    silent(method.discriminators.networks)
    *_, day, dusk = method.terms(next(iter(batches_of(method))))
    assert day.item() == dusk.item() == pytest.approx(0.5 * math.log(2) * (0.0005 + 0.00005))


def test_processes_share_the_turns():
    def batches(rank, processes):
        data = streets({"day": 2, "dusk": 7}, batch_size=2)
        draws = Draws(unlabeled_from=0, unlabeled_domains=["day", "dusk"], in_turn=True)
        return [next(iter(data.training(lambda s=s: s, draws, rank, processes))) for s in range(9)]

    for whole, *parts in zip(batches(0, 1), batches(0, 2), batches(1, 2), strict=True):
        assert [list(part.unlabeled) for part in parts] == [list(whole.unlabeled)] * 2
        name = next(iter(whole.unlabeled))
        assert whole.unlabeled[name].id == [part.unlabeled[name].id[0] for part in parts]


def test_unlabelled_images_of_a_source_are_no_target():
    domains = {"game": street(), "day": street("day", labeled=0)}
    method = learner(Adaptation, DomainMixture(domains, batch_size=2, workers=0))
    assert method.target_domains == ["day"]
    assert list(drawn(method, 3)[0]) == ["day"]
    both = first_batch(method.data)
    assert list(both.unlabeled) == ["game", "day"]
    assert len(list(method.terms(both))) == 2


def test_several_sources_count_in_equal_shares():
    domains = {"game": street(), "dusk": street("dusk"), "day": street("day", labeled=0)}
    method = adaptation(DomainMixture(domains, batch_size=2, workers=0))
    silent(method.discriminators.networks)
    batch = first_batch(method.data)
    assert len(list(method.terms(batch))) == 3
    halves = [term.item() / math.log(2) for term in method.discriminator_terms(batch)]
    assert halves == pytest.approx([0.25] * 4 + [0.5] * 2)


def test_source_alone_is_supervised_learning_and_opens_no_target_image():
    shared = replace(TINY, batch_norm="shared")
    weights = {"adversary": 0.0, "auxiliary_adversary": 0.0, "auxiliary_weight": 0.0}
    method = learner(lambda model: Adaptation(model, **weights), streets(), shared)
    plain = {"lr": 2.5e-4, "weight_decay": 5e-4, "decay": "step", "head_factor": 10.0}
    baseline = learner(Supervised, streets(), shared)
    assert method.draws() == Draws() and method.discriminators is None and not method.opponents()
    (optimizer,) = players(method).optimizers
    assert isinstance(optimizer, torch.optim.SGD)
    for one, options in ((method, {}), (baseline, plain)):
        going_on = players(one, **options)
        for _ in range(3):
            take_step(one, going_on=going_on)
    assert not moved(baseline.model.state_dict(), method.model.state_dict())
    assert drawn(method, 6)[0] == {}
    assert method.data.domains["day"].dataset.opened == []
    assert method.data.domains["game"].dataset.opened


def test_adversary_opens_target_images():
    method = adaptation()
    take_step(method)
    assert len(method.data.domains["day"].dataset.opened) == 2


# What is refused


def other_space(name="common"):
    classes = ["road", "other"]
    mapping = dict.fromkeys(SyntheticRooms.labels.classes, "other")
    return Remapped(SyntheticRooms(images=2, val_images=1, size=(64, 96)), mapping, classes, name)


@pytest.mark.parametrize("dataset", [SyntheticRooms(images=2), other_space()], ids=["rooms", "remapped"])
def test_other_classes_are_refused_with_the_way_out(dataset):
    data = DomainMixture({"game": street(), "rooms": Domain(dataset, labeled=0)}, workers=0)
    with pytest.raises(ValueError, match=r"game has the label space 'streets' \(sky, .*rooms .*Remapped.*classes"):
        adaptation(data)


def test_projected_domains_share_classes():
    mapping = dict.fromkeys(SyntheticStreets.labels.classes, "other") | {"road": "road"}
    game = Remapped(SyntheticStreets("game", images=2, size=(64, 96)), mapping, ["road", "other"], "common")
    data = DomainMixture({"game": Domain(game), "rooms": Domain(other_space(), labeled=0)}, batch_size=2, workers=0)
    method = adaptation(data)
    assert len(list(method.terms(first_batch(data)))) == 2
    assert method.auxiliary.weight.shape[0] == 2


@pytest.mark.parametrize(
    ("domains", "options", "config", "said"),
    [
        ({"game": street()}, {}, TINY, r"none of the domains game .*labeled: 0.*adversary: 0"),
        (
            {"game": street(), "day": street("day", labeled=0)},
            {"adversary": 0.0, "auxiliary_adversary": 0.0},
            TINY,
            r"day would never go through the network.*model\.batch_norm: shared",
        ),
        (
            {"game": street(), "day": street("day", labeled=0), "dusk": street("dusk", labeled=0, unlabeled=False)},
            {},
            TINY,
            r"domain dusk would never",
        ),
        ({"game": street()}, {}, replace(TINY, separate=True), r"model\.separate: true.*set it to false"),
        ({"game": street()}, {}, replace(TINY, none_class=True), r"none_class: true"),
    ],
    ids=["no-target", "own-statistics", "evaluated-only", "separate", "none-class"],
)
def test_what_cannot_be_adapted_is_refused_before_training(domains, options, config, said):
    with pytest.raises(ValueError, match=said):
        adaptation(DomainMixture(domains, workers=0), config, **options)


# Starting from adapted models, and what is kept of one


def test_published_file_starts_trunk_and_both_heads(tmp_path):
    small = replace(DEEPLAB, aspp_branches=2)
    origin = adaptation(config=small)
    names = {"heads.game.": "layer6.", "networks.shared.encoder.": ""}
    tensors = {f"layer5.{name}": value for name, value in origin.auxiliary.state_dict().items()}
    for name, value in origin.model.state_dict().items():
        front = next((front for front in names if name.startswith(front)), None)
        if front is not None:
            statistic = name.endswith(("running_mean", "running_var"))
            tensors[names[front] + name.removeprefix(front)] = value[0].clone() if statistic else value.clone()
    torch.save(tensors, tmp_path / "adapted.pth")
    torch.manual_seed(5)
    found = adaptation(config=replace(small, weights=tmp_path / "adapted.pth"))
    assert isinstance(found.auxiliary, SummedAspp)
    assert not moved(origin.auxiliary.state_dict(), found.auxiliary.state_dict())
    assert not moved(origin.model.state_dict(), found.model.state_dict())
    single = adaptation(config=replace(small, weights=tmp_path / "adapted.pth"), auxiliary_adversary=0.0)
    assert not moved(origin.model.state_dict(), single.model.state_dict())


WORLD = {"images": 4, "val_images": 1, "size": [32, 48]}


def words(folder, source, target, out):
    def domain(style, **options):
        dataset = {"class_path": "SyntheticStreets", "init_args": {"style": style, **WORLD}}
        return {"dataset": dataset, **options}

    domains = {source: domain(source, unlabeled=False), target: domain(target, labeled=0)}
    method = {"class_path": "Adaptation", "init_args": {"discriminator_lr": 0.001}}
    values = {"data.domains": domains, "model.batch_norm": "shared", "method": method, "optimizer": {"lr": 0.01}}
    values |= {"keep": "last"}
    return train_words(folder, values | {"trainer": {"max_steps": 2, "accelerator": "cpu"}}, out)


@pytest.mark.slow
def test_run_can_start_from_an_adapted_one_with_another_source(tmp_path):
    assert main(words(tmp_path, "game", "day", "first")) == 0
    first = tmp_path / "first"
    weights = read_tensors(first / "model" / "model.safetensors")
    assert not [name for name in weights if "auxiliary" in name or "discriminator" in name]
    loaded = SegmentationModel.load(first)
    image = torch.randint(0, 256, (1, 3, 64, 96), dtype=torch.uint8)
    assert loaded(image, "day").shape == (1, 8, 64, 96)
    assert main(["evaluate", str(first), "--device", "cpu"]) == 0  # the target's validation images have labels
    auxiliary = torch.load(Run(first).last, weights_only=True)["state_dict"]["auxiliary.weight"]
    data = DomainMixture({"day": street("day"), "rain": street("rain", labeled=0)}, batch_size=2, workers=0)
    start = ModelConfig("drn_d_22", width=1 / 16, batch_norm="shared", weights=first)
    method = adaptation(data, start)
    assert torch.equal(method.auxiliary.weight, auxiliary)
    assert torch.equal(method.model.heads["day"].weight, loaded.heads["game"].weight)
    assert torch.equal(method.model.eval()(image, "rain"), loaded(image, "day"))


@pytest.mark.slow
def test_discriminators_learn_to_tell_the_sides_apart_and_every_loss_is_recorded():
    method = adaptation(discriminator_lr=1e-3)
    method.total_steps = 1000
    batch, going_on = first_batch(method.data), stopped(players(method), 0)
    recorded = []
    for _ in range(10):
        take_step(method, batch, going_on)
        recorded.append(method.means.take())
    sides = [f"discriminator_on_{side}" for side in ("source", "target")]
    for level in LEVELS:
        first, last = (sum(means[f"{level}/{side}"] for side in sides) for means in (recorded[0], recorded[-1]))
        assert last < first - 0.01
    assert set(recorded[0]) == {
        "game/supervised", "game/auxiliary", "day/main_adversarial", "day/auxiliary_adversarial",
        *(f"{level}/discriminator_{what}_{side}" for level in LEVELS for what in ("on", "right_on")
          for side in ("source", "target")),
    }  # fmt: skip
