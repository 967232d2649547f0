"""A training batch is a pure function of seed and step."""

from collections import Counter

import pytest
import torch

from semiverse.data import Augmentation, Sample
from semiverse.datasets import SyntheticStreets
from semiverse.labels import IGNORE
from semiverse.mixture import Domain, DomainMixture, Draws
from semiverse.mixture.batches import collate
from tests.fakes import Numbered, write_camvid


class Blind(Numbered):
    """Has masks that nobody may look at."""

    def read_mask(self, path):
        raise AssertionError(f"the mask {path} was read")


def mixture(workers=0, seed=0, batch_size=4, **options):
    """Two domains of very different sizes that share a label space, and one without labels."""
    domains = {
        "large": Domain(Numbered(23, size=(12, 16)), labeled=11),
        "small": Domain(Numbered(3, size=(12, 16))),
        "target": Domain(Blind(7, size=(12, 16)), labeled=0),
    }
    augmentation = Augmentation(scale=(0.5, 1.5), color=0.5)
    options = {"crop": (8, 8), "augmentation": augmentation, "unlabeled_batches": 2} | options
    return DomainMixture(domains, batch_size=batch_size, workers=workers, seed=seed, **options)


EVERYTHING = Draws(unlabeled_from=0, views=3, ground_truth=True)


def epochs(data, start=0, count=2, draws=Draws(unlabeled_from=0), **options):
    """Batches by step, of the epoch that ``start`` lies in and those after it."""
    position = [start]
    loader = data.training(lambda: position[0], draws, **options)
    batches = {}
    for _ in range(count):
        for batch in loader:
            batches[position[0]] = batch
            position[0] += 1
    return batches


def samples(batch):
    kinds = ("labeled", "unlabeled", "ground_truth")
    found = {(kind, name): sample for kind in kinds for name, sample in getattr(batch, kind).items()}
    return found | {(i, name): sample for name, views in batch.views.items() for i, sample in enumerate(views, 2)}


def assert_equal(one, two):
    one, two = samples(one), samples(two)
    assert one.keys() == two.keys()
    for key, sample in one.items():
        assert sample.id == two[key].id
        assert torch.equal(sample.image, two[key].image)
        assert torch.equal(sample.mask, two[key].mask)
        assert (sample.padding is None) == (two[key].padding is None)
        assert sample.padding is None or torch.equal(sample.padding, two[key].padding)


def test_a_batch_has_every_domain_labelled_and_unlabelled():
    batch = epochs(mixture(), count=1)[0]
    assert list(batch.labeled) == ["large", "small"]
    assert list(batch.unlabeled) == ["large", "small", "target"]
    assert not batch.ground_truth and not batch.views
    for (kind, _), sample in samples(batch).items():
        count = 4 if kind == "labeled" else 8
        assert sample.image.shape == (count, 3, 8, 8)
        assert sample.mask.shape == (count, 8, 8)
        assert sample.image.dtype == sample.mask.dtype == torch.uint8
        assert len(sample.id) == count


@pytest.mark.parametrize("start", [1, 2, 3, 5])
def test_batches_do_not_depend_on_where_training_started(start):
    data = mixture()
    assert data.steps_per_epoch == 2
    whole, rest = epochs(data, count=3, draws=EVERYTHING), epochs(mixture(), start, count=1, draws=EVERYTHING)
    assert list(rest) == list(range(start, start // 2 * 2 + 2))
    for step, batch in rest.items():
        assert_equal(batch, whole[step])


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_do_not_depend_on_the_number_of_loading_processes(workers):
    alone, together = (epochs(mixture(number), start=1, draws=EVERYTHING) for number in (0, workers))
    assert alone.keys() == together.keys() == {1, 2, 3}
    for step, batch in alone.items():
        assert_equal(batch, together[step])


def test_steps_and_seeds_give_different_batches():
    batches = list(epochs(mixture(), count=3).values())
    batches += epochs(mixture(seed=1), count=1).values()
    for key, sample in samples(batches[0]).items():
        if sample.id != samples(batches[-1])[key].id:
            break
    else:
        pytest.fail("another seed drew the same images")
    views = [torch.cat([sample.image.flatten() for sample in samples(batch).values()]) for batch in batches]
    for i, view in enumerate(views):
        assert not any(torch.equal(view, other) for other in views[:i])


@pytest.mark.parametrize("processes", [2, 4])
def test_the_shares_of_processes_make_up_the_batch_of_one(processes):
    whole = epochs(mixture(), draws=EVERYTHING)
    shares = [epochs(mixture(), draws=EVERYTHING, rank=rank, processes=processes) for rank in range(processes)]
    for step, batch in whole.items():
        for key, sample in samples(batch).items():
            parts = [samples(share[step])[key] for share in shares]
            order = [part.id[i] for i in range(len(parts[0].id)) for part in parts]  # places go round the processes
            assert order == sample.id
            assert torch.equal(torch.stack([part.image for part in parts], dim=1).flatten(0, 1), sample.image)
            assert torch.equal(torch.stack([part.mask for part in parts], dim=1).flatten(0, 1), sample.mask)


def test_a_batch_that_processes_cannot_share_is_refused():
    with pytest.raises(ValueError, match="batch_size 4 cannot be shared by 3 processes; expected a multiple"):
        mixture().training(lambda: 0, processes=3)


def test_every_image_comes_once_in_every_pass_in_a_new_order():
    batches = epochs(mixture(), count=20)
    for (kind, name), sample in samples(batches[0]).items():
        names = [identifier for step in range(40) for identifier in samples(batches[step])[kind, name].id]
        length = {"large": 11 if kind == "labeled" else 23, "small": 3, "target": 7}[name]
        passes = [names[i : i + length] for i in range(0, len(names) - length + 1, length)]
        assert all(len(set(one)) == length for one in passes), sample.id
        assert len({tuple(one) for one in passes}) > min(5, len(passes) // 2)


def test_labelled_and_unlabelled_streams_are_drawn_apart():
    domains = {name: Domain(Numbered(40)) for name in ("a", "b")}
    batch = epochs(DomainMixture(domains, batch_size=20, workers=0), count=1)[0]
    orders = [tuple(sample.id) for sample in samples(batch).values()]
    assert len(set(orders)) == 4


def test_unlabelled_samples_are_ignored_everywhere_and_no_mask_is_read():
    for batch in epochs(mixture()).values():
        for name, sample in batch.unlabeled.items():
            assert bool((sample.mask == IGNORE).all()), name
        assert all(bool((sample.mask != IGNORE).any()) for sample in batch.labeled.values())


@pytest.mark.parametrize("first", [0, 1, 3, None])
def test_unlabelled_images_come_from_their_first_step_on(first):
    for step, batch in epochs(mixture(), count=3, draws=Draws(unlabeled_from=first)).items():
        assert bool(batch.unlabeled) == (first is not None and step >= first)
        assert list(batch.labeled) == ["large", "small"]


@pytest.mark.parametrize("in_turn", [False, True])
def test_unlabelled_images_come_from_the_domains_that_are_asked_for(in_turn):
    found = set()
    for batch in epochs(mixture(), count=3, draws=Draws(0, ["target", "small"], in_turn)).values():
        assert list(batch.labeled) == ["large", "small"]
        found |= set(batch.unlabeled)
    assert found == {"small", "target"}


# Several views of an unlabelled image.


def pictures(color, labeled=3):
    """A mixture of images with something to see on them."""
    domains = {"day": Domain(SyntheticStreets(images=6, val_images=1, size=(32, 48)), labeled=labeled)}
    augmentation = Augmentation(scale=(0.5, 1.5), color=color)
    return DomainMixture(domains, 2, (24, 20), augmentation, unlabeled_batches=2, workers=0)


@pytest.mark.parametrize("count", [2, 3])
def test_further_views_change_nothing_about_the_first_and_about_labelled_images(count):
    one, several = (
        epochs(pictures(0.5), count=3, draws=Draws(0, views=views, ground_truth=True)) for views in (1, count)
    )
    for step, batch in several.items():
        assert [len(views) for views in batch.views.values()] == [count - 1]
        assert_equal(batch._replace(views={}), one[step])


def test_without_colours_further_views_equal_the_first():
    for batch in epochs(pictures(0.0), draws=EVERYTHING).values():
        first = batch.unlabeled["day"]
        for view in batch.views["day"]:
            assert view.id == first.id
            assert torch.equal(view.image, first.image) and torch.equal(view.mask, first.mask)


def test_with_colours_further_views_differ_in_nothing_else():
    plain, colored = (epochs(pictures(color), draws=EVERYTHING) for color in (0.0, 0.5))
    for step, batch in colored.items():
        same = plain[step].unlabeled["day"]  # the pixels that all of them show
        views = [batch.unlabeled["day"], *batch.views["day"]]
        assert len(views) == 3
        for i, view in enumerate(views):
            assert view.id == same.id and torch.equal(view.mask, same.mask)
            assert view.image.shape == same.image.shape and view.image.dtype == torch.uint8
            for place, image in enumerate(view.image):
                assert not any(torch.equal(image, other.image[place]) for other in views[:i])
                assert correlation(image, same.image[place]) > 0.9


def correlation(one, other):
    """Of the brightness of two images."""
    return float(torch.corrcoef(torch.stack([each.float().mean(0).flatten() for each in (one, other)]))[0, 1])


def test_views_are_those_of_steps_that_have_unlabelled_images():
    for step, batch in epochs(pictures(0.5), count=4, draws=Draws(unlabeled_from=2, views=2)).items():
        assert bool(batch.views) == bool(batch.unlabeled) == (step >= 2)


def test_views_are_given_of_every_domain_whose_turn_it_is():
    for batch in epochs(mixture(), count=3, draws=Draws(0, in_turn=True, views=2)).values():
        assert batch.views.keys() == batch.unlabeled.keys()
        for name, (view,) in batch.views.items():
            assert view.id == batch.unlabeled[name].id


def test_labels_are_those_of_the_images_in_the_batch():
    data = DomainMixture({"one": Domain(Numbered(30))}, batch_size=10, workers=0)
    for batch in epochs(data, count=1).values():
        sample = batch.labeled["one"]
        counts = Counter(sample.id)
        assert max(counts.values()) == 1
        for identifier, image, mask in zip(sample.id, sample.image, sample.mask, strict=True):
            number = int(identifier.split("_")[1])
            assert image.unique().tolist() == [number]
            assert mask.unique().tolist() == [number % 3]


def test_files_are_loaded_by_processes_too(tmp_path):
    dataset, _ = write_camvid(tmp_path)
    data = DomainMixture({"camvid": Domain(dataset, labeled=2)}, batch_size=2, crop=(8, 8), workers=1)
    batch = epochs(data, count=1)[0]
    assert batch.labeled["camvid"].image.shape == (2, 3, 8, 8)


def test_the_views_of_an_image_differ_from_pass_to_pass(tmp_path):
    dataset, _ = write_camvid(tmp_path)
    domains = {"camvid": Domain(dataset, labeled=1)}
    data = DomainMixture(domains, 2, (8, 8), Augmentation(scale=(0.7, 1.3)), workers=0)
    views = [image for batch in epochs(data, count=4).values() for image in batch.labeled["camvid"].image]
    assert len(views) == 8
    for i, view in enumerate(views):
        assert not any(torch.equal(view, other) for other in views[:i])


def test_images_of_several_sizes_need_a_crop():
    samples_of = [Sample(torch.zeros(3, 4, size), torch.zeros(4, size), "a") for size in (5, 6)]
    with pytest.raises(
        ValueError, match=r"\(height, width\) \[\(4, 5\), \(4, 6\)\]; expected one size: set data\.crop"
    ):
        collate(samples_of)


def test_batches_say_what_lies_beyond_images_and_label_maps_have_nothing_there():
    data, beyond = mixture(crop=(8, 8), augmentation=Augmentation(scale=(0.5, 1.5))), 0
    for batch in epochs(data, draws=EVERYTHING, count=4).values():
        for (kind, _), sample in samples(batch).items():
            outside = torch.zeros_like(sample.mask) if sample.padding is None else sample.padding
            assert set(outside.unique().tolist()) <= {0, IGNORE} and outside.dtype == torch.uint8
            assert bool((sample.mask[outside == IGNORE] == IGNORE).all())
            if kind in ("labeled", "ground_truth"):  # all pixels of these images have a label
                assert torch.equal(sample.mask == IGNORE, outside == IGNORE)
            assert kind != "ground_truth" or sample.padding is None
            beyond += int((outside == IGNORE).any())
    assert beyond > 10


def test_of_a_batch_without_padding_nothing_is_said():
    whole, cut = (Sample(torch.zeros(3, 2, 2), torch.zeros(2, 2, dtype=torch.uint8), name) for name in "ab")
    assert collate([whole, cut]).padding is None
    corner = torch.tensor([[0, IGNORE], [0, IGNORE]], dtype=torch.uint8)
    assert collate([whole, cut._replace(padding=corner)]).padding.tolist() == [[[0, 0], [0, 0]], corner.tolist()]
