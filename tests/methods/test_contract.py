"""What every method promises; new methods are found by themselves."""

import copy
import inspect
from dataclasses import replace

import pytest
import torch

import semiverse.methods
from semiverse.configuration import describe
from semiverse.labels import IGNORE
from semiverse.methods import Adaptation, Consistency, Finetune, Method, Universal
from tests.methods.worlds import TINY, first_batch, learner, mixture, moved, networks_of, take_step

METHODS = sorted(
    (
        kind
        for kind in vars(semiverse.methods).values()
        if inspect.isclass(kind) and issubclass(kind, Method) and kind is not Method
    ),
    key=lambda kind: kind.__name__,
)


def made(kind, **changes):
    data = mixture(**changes, names=("streets", "dusk")) if kind is Adaptation else mixture(**changes)
    if kind is Adaptation:
        data.domains["dusk"].labeled = 0
    config = replace(TINY, separate=kind is Finetune)
    options = {Universal: {"embed_dim": 8, "warmup": (0.0, 0.0)}, Consistency: {"ramp": (0.0, 0.0), "threshold": 0.05}}
    method = learner(lambda model: kind(model, **options.get(kind, {})), data, config)
    method.prepare(lambda: networks_of(data))
    return method, data


@pytest.fixture(params=METHODS, ids=lambda kind: kind.__name__)
def method_and_data(request):
    return made(request.param)


def test_terms_are_finite_scalars(method_and_data):
    method, data = method_and_data
    terms = list(method.terms(first_batch(data)))
    assert terms
    assert all(term.shape == () and torch.isfinite(term) for term in terms)


def test_one_step_moves_every_learning_parameter_and_no_other(method_and_data):
    method, _data = method_and_data
    before = copy.deepcopy(dict(method.named_parameters()))
    take_step(method)
    learning = {name for name, parameter in method.named_parameters() if parameter.requires_grad}
    followed = {name for name in before if name.startswith("average.")}  # the teacher goes after its student
    assert moved(before, dict(method.named_parameters())) - followed == learning


def test_the_same_step_again_gives_the_same_weights(method_and_data):
    method, data = method_and_data
    twin = copy.deepcopy(method)
    twin.data = data
    take_step(method)
    take_step(twin)
    assert not moved(dict(method.state_dict()), dict(twin.state_dict()))


def test_state_survives_save_and_load(method_and_data):
    method, _data = method_and_data
    take_step(method)
    other, _ = made(type(method))
    other.load_state_dict(method.state_dict())
    assert not moved(dict(method.state_dict()), dict(other.state_dict()))


def test_method_describes_itself_with_every_default():
    described = describe(Universal)
    assert described["class_path"].endswith("Universal")
    assert described["init_args"]["alpha"] == 0.1
    assert described["init_args"]["rows"] is None and described["init_args"]["start"] == "first"


def test_non_finite_loss_names_step_and_images(method_and_data, monkeypatch):
    method, data = method_and_data
    batch = first_batch(data)
    monkeypatch.setattr(method, "terms", lambda _: iter([torch.tensor(float("nan"))]))
    with pytest.raises(FloatingPointError, match=r"step 0.*train_0000"):
        take_step(method, batch)


def test_an_image_without_labelled_pixels_costs_nothing(method_and_data):
    method, data = method_and_data
    batch = first_batch(data)
    for sample in batch.labeled.values():
        sample.mask.fill_(255)
    for domain, sample in batch.labeled.items():
        logits = method.model.classify(method.model.features(sample.image, domain), domain)
        loss = method.supervised_loss(logits, sample, domain)
        assert loss == 0
        assert loss.requires_grad


@pytest.mark.parametrize("kind", METHODS, ids=lambda kind: kind.__name__)
def test_what_lies_beyond_an_image_is_seen_by_no_method(kind):
    method, data = made(kind, crop=(40, 56))
    batch = first_batch(data, draws=method.draws()._replace(ground_truth=True))

    def terms():
        again = copy.deepcopy(method)
        again.data = data
        return [
            term.item() for terms in (again.terms, *(one.terms for one in again.opponents())) for term in terms(batch)
        ]

    expected = terms()
    for sample in [*batch.labeled.values(), *batch.unlabeled.values()]:
        assert sample.padding.count_nonzero() == 2 * (40 * 56 - 32 * 48)
        sample.image.masked_fill_((sample.padding == IGNORE)[:, None], 200)
    assert terms() == expected
    for sample in batch.labeled.values():
        sample.image[:, :, 0, 24] ^= 255
    assert terms() != expected
