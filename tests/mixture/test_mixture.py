"""Domains, label budgets and what the mixture says about them."""

import json
import math
from pathlib import Path

import pytest
import torch

from semiverse.data import Augmentation, Resolution, digest
from semiverse.datasets import Folder, ImageFolder, Remapped
from semiverse.labels import IGNORE
from semiverse.mixture import Domain, DomainMixture, Draws
from semiverse.mixture.domain import labeling_facts
from tests.fakes import THREE, Numbered, number_of, write_folder, write_mask, write_photo


def mixture(domains=None, **options):
    options = {"batch_size": 2, "workers": 0} | options
    return DomainMixture(domains or {"one": Domain(Numbered())}, **options)


def numbers(records):
    return [number_of(record.id) for record in records]


def write_list(tmp_path, *names):
    (tmp_path / "labeled.txt").write_text("\n".join(names))
    return tmp_path / "labeled.txt"


# The label budget.


def test_without_a_budget_every_masked_image_is_labelled():
    data = mixture({"full": Domain(Numbered(5)), "part": Domain(Numbered(5, masked=2))})
    assert numbers(data.labeled["full"]) == [0, 1, 2, 3, 4]
    assert numbers(data.labeled["part"]) == [0, 1]


def test_budgets_are_nested_and_depend_on_the_seed():
    def chosen(labeled, seed=0):
        return numbers(mixture({"one": Domain(Numbered(40), labeled=labeled)}, seed=seed).labeled["one"])

    largest = chosen(39)
    for labeled in (1, 2, 7, 20):
        assert chosen(labeled) == largest[:labeled]
    assert len(set(largest)) == 39
    assert chosen(20) != chosen(20, seed=1)


def test_a_budget_covers_every_class_it_can():
    classes = tuple(f"class {i}" for i in range(10))
    for seed in range(5):
        data = mixture({"one": Domain(Numbered(100, classes), labeled=10)}, seed=seed)
        assert {number % 10 for number in numbers(data.labeled["one"])} == set(range(10))
        free = mixture({"one": Domain(Numbered(100, classes), labeled=10, cover_classes=False)}, seed=seed)
        assert {number % 10 for number in numbers(free.labeled["one"])} != set(range(10))


def test_only_images_with_masks_are_drawn():
    data = mixture({"one": Domain(Numbered(20, masked=6), labeled=5)})
    assert len(data.labeled["one"]) == 5
    assert max(numbers(data.labeled["one"])) < 6


def test_a_budget_of_zero_leaves_no_label():
    data = mixture({"source": Domain(Numbered()), "target": Domain(Numbered(), labeled=0)})
    assert data.labeled["target"] == []
    assert len(data.unlabeled["target"]) == 6


@pytest.mark.parametrize("labeled", [-1, 7])
def test_a_budget_beyond_the_dataset_is_refused(labeled):
    data = mixture({"one": Domain(Numbered(10, masked=6), labeled=labeled)})
    with pytest.raises(
        ValueError, match=rf"a budget of {labeled} labelled images.*6 with masks; .*0 to 6.*data\.domains\.one\.labeled"
    ):
        _ = data.labeled


def test_a_list_is_the_budget(tmp_path):
    file = write_list(tmp_path, "train_4", "train_1")
    data = mixture({"one": Domain(Numbered(), labeled_list=file)})
    assert numbers(data.labeled["one"]) == [4, 1]
    assert sorted(numbers(data.unlabeled["one"])) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("name", ["train_9", "val_0", "train_5"])
def test_a_list_that_names_no_masked_training_image_is_refused(tmp_path, name):
    data = mixture({"one": Domain(Numbered(masked=5), labeled_list=write_list(tmp_path, "train_1", name))})
    with pytest.raises(FileNotFoundError, match=rf"labeled\.txt: 1 of 2 listed images are not among the 5 .*'{name}'"):
        _ = data.labeled


def test_a_budget_and_a_list_together_are_refused():
    with pytest.raises(ValueError, match=r"labeled=3 and labeled_list=some\.txt; expected one of them"):
        Domain(Numbered(), labeled=3, labeled_list=Path("some.txt"))


def test_images_of_one_file_name_in_two_folders_are_told_apart(tmp_path):
    for i, (drive, label) in enumerate([("north", 0), ("south", 2)]):
        write_photo(tmp_path / "train" / "images" / drive / "0001.png", seed=i)
        write_mask(tmp_path / "train" / "masks" / drive / "0001.png", [[label] * 16] * 12)
    data = mixture({"own": Domain(Folder(tmp_path, THREE), labeled=1)})
    assert sorted(record.id for record in data.unlabeled["own"]) == ["north/0001", "south/0001"]
    found = {content.id: set(content.classes) for content in data.contents("own", "train")}
    assert found == {"north/0001": {0}, "south/0001": {2}}


# Images without labels.


def test_unlabelled_images_are_all_training_images_without_their_masks():
    data = mixture({"one": Domain(Numbered(8), labeled=3)})
    assert sorted(numbers(data.unlabeled["one"])) == list(range(8))
    assert all(record.mask is None for record in data.unlabeled["one"])


def test_labelled_images_can_be_left_out():
    data = mixture({"one": Domain(Numbered(8), labeled=3, exclude_labeled=True)})
    assert set(numbers(data.unlabeled["one"])) == set(range(8)) - set(numbers(data.labeled["one"]))


def test_a_domain_can_go_without_unlabelled_images():
    data = mixture({"one": Domain(Numbered(), labeled=3, unlabeled=False)})
    assert data.unlabeled["one"] == []
    batch = next(iter(data.training(lambda: 0)))
    assert (list(batch.labeled), list(batch.unlabeled)) == (["one"], [])


def test_a_further_split_and_a_further_folder_are_used_without_masks(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMIVERSE_DATA", str(tmp_path))
    own, _ = write_folder(tmp_path / "own")
    write_photo(tmp_path / "more" / "deep" / "extra.jpg")
    options = {"unlabeled_split": "val", "unlabeled_folder": Path("more")}
    data = mixture({"own": Domain(own, **options)})
    assert [record.id for record in data.unlabeled["own"]] == ["a_b", "b", "c", "deep/extra"]
    assert all(record.mask is None for record in data.unlabeled["own"])
    only_others = mixture({"own": Domain(own, unlabeled=False, **options)})
    assert [record.id for record in only_others.unlabeled["own"]] == ["c", "deep/extra"]
    batch = next(iter(data.training(lambda: 0)))
    assert bool((batch.unlabeled["own"].mask == IGNORE).all())


def test_no_image_is_unlabelled_twice_and_left_out_ones_stay_out():
    data = mixture({"one": Domain(Numbered(6), labeled=2, unlabeled_split="all", exclude_labeled=True)})
    ids = [record.id for record in data.unlabeled["one"]]
    assert len(ids) == len(set(ids)) == 6 - 2 + 2  # and the two of val
    assert not {record.id for record in data.labeled["one"]} & set(ids)


def test_a_missing_further_folder_is_named_with_its_domain(tmp_path):
    data = mixture({"own": Domain(Numbered(), unlabeled_folder=tmp_path / "gone")})
    with pytest.raises(FileNotFoundError, match=r"unlabeled_folder of domain own: no folder .*gone"):
        _ = data.unlabeled


def test_an_image_folder_can_be_a_domain_without_labels(tmp_path):
    write_photo(tmp_path / "a.png")
    target = ImageFolder(tmp_path, Numbered().labels)
    data = mixture({"source": Domain(Numbered()), "target": Domain(target, train="all", val="all")}, crop=(8, 8))
    batch = next(iter(data.training(lambda: 0)))
    assert list(batch.labeled) == ["source"]
    assert batch.unlabeled["target"].id == ["a", "a"]


# The length of an epoch.


def tiled_steps(lengths, batch_size):
    """Every list is repeated ceil(longest / its length) times; the fewest whole batches end the epoch."""
    longest = max(lengths)
    return min(math.ceil(longest / length) * length // batch_size for length in lengths)


@pytest.mark.parametrize("lengths", [(100, 367), (367, 100), (50, 50), (10, 11, 500), (29, 30), (1, 40)])
@pytest.mark.parametrize("batch_size", [1, 6, 10])
def test_an_epoch_has_the_steps_of_the_tiling_rule(lengths, batch_size):
    domains = {f"d{i}": Domain(Numbered(length)) for i, length in enumerate(lengths)}
    assert mixture(domains, batch_size=batch_size).steps_per_epoch == tiled_steps(lengths, batch_size)


def test_the_example_of_100_and_367_images_in_batches_of_10():
    data = mixture({"a": Domain(Numbered(100)), "b": Domain(Numbered(367))}, batch_size=10)
    assert data.steps_per_epoch == 36


def test_fewer_labels_than_a_batch_still_make_a_step():
    assert mixture({"one": Domain(Numbered(), labeled=2)}, batch_size=4).steps_per_epoch == 1


@pytest.mark.parametrize("images, batches", [(2975, 29), (367, 3), (4000, 40), (5285, 52)])
def test_unlabelled_batches_of_a_step_show_every_image_about_once_an_epoch(images, batches):
    dataset = Numbered(images, size=(1, 1))
    domains = {"one": Domain(dataset, labeled=100, cover_classes=False), "other": Domain(Numbered(100, size=(1, 1)))}
    data = mixture(domains, batch_size=10, unlabeled_batches=None)
    assert data.steps_per_epoch == 10
    batch = next(iter(data.training(lambda: 0)))
    assert len(batch.unlabeled["one"].id) == 10 * batches
    assert len(batch.labeled["one"].id) == 10


def test_without_any_label_there_is_no_epoch():
    data = mixture({"a": Domain(Numbered(), labeled=0), "b": Domain(Numbered(masked=0))})
    with pytest.raises(ValueError, match=r"no domain has a labelled image; expected at least one.*raise data\.domains"):
        _ = data.steps_per_epoch


# Warnings.


def warning(domains):
    with pytest.warns(UserWarning, match="no labelled image shows") as caught:
        mixture(domains).warn_of_missing_classes()
    return [str(message.message) for message in caught]


def test_classes_that_no_labelled_image_shows_are_named(tmp_path):
    file = write_list(tmp_path, "train_0", "train_3")
    (message,) = warning({"one": Domain(Numbered(), labeled_list=file), "full": Domain(Numbered(classes=("a", "b")))})
    assert message.startswith("domain one: no labelled image shows car, sky; the model cannot learn them")


def test_one_class_that_is_missing_is_it(tmp_path):
    (message,) = warning({"one": Domain(Numbered(), labeled_list=write_list(tmp_path, "train_0", "train_1"))})
    assert "shows sky; the model cannot learn it:" in message


def test_a_class_that_a_domain_with_equal_labels_shows_is_not_missing(tmp_path, recwarn):
    few = Domain(Numbered(), labeled_list=write_list(tmp_path, "train_0"))
    mixture({"few": few, "full": Domain(Numbered()), "none": Domain(Numbered(), labeled=0)}).warn_of_missing_classes()
    assert not recwarn.list


def test_what_domains_with_equal_labels_miss_together_is_said_once(tmp_path):
    few = Domain(Numbered(), labeled_list=write_list(tmp_path, "train_0"))
    (message,) = warning({"few": few, "none": Domain(Numbered(), labeled=0)})
    assert message.startswith("domain few and none: no labelled image shows car, sky")


def test_a_domain_of_its_own_labels_that_has_none_is_named():
    (message,) = warning({"full": Domain(Numbered()), "none": Domain(Numbered(classes=("a", "b")), labeled=0)})
    assert message.startswith("domain none: no labelled image shows a, b")


# The mixture itself.


def test_label_spaces_and_resolutions_are_those_of_the_domains():
    small = Resolution(0.5)
    data = mixture({"a": Domain(Numbered()), "b": Domain(Remapped(Numbered(), {"car": None}), resolution=small)})
    assert {name: len(space) for name, space in data.label_spaces.items()} == {"a": 3, "b": 2}
    assert data.resolutions == {"a": Resolution(), "b": small}


def test_a_mixture_without_domains_is_refused():
    with pytest.raises(ValueError, match=r"no domain; expected at least one: name it under data\.domains"):
        DomainMixture({})


@pytest.mark.parametrize("name", ["", "a.b", "."])
def test_names_that_cannot_name_a_module_are_refused(name):
    with pytest.raises(ValueError, match=f"domain name '{name}' is empty or has a dot"):
        mixture({name: Domain(Numbered())})


@pytest.mark.parametrize("option", [{"batch_size": 0}, {"unlabeled_batches": 0}, {"workers": -1}, {"seed": -1}])
def test_numbers_out_of_range_are_refused(option):
    (name, value), *_ = option.items()
    with pytest.raises(ValueError, match=rf"{name} is {value}; expected at least .: raise data\.{name}"):
        mixture(**option)


def test_a_random_scale_without_crop_is_refused_before_anything_is_read():
    with pytest.raises(ValueError, match="without a crop"):
        mixture(augmentation=Augmentation(scale=(0.5, 1.0)))


def test_a_domain_has_a_crop_of_its_own_or_none():
    domains = {
        "common": Domain(Numbered(4, size=(12, 16))),
        "own": Domain(Numbered(4, size=(12, 16)), crop=(6, 20)),
        "whole": Domain(Numbered(4, size=(12, 16)), crop="whole", resolution=Resolution(0.5)),
    }
    draws = Draws(unlabeled_from=0, ground_truth=True)
    batch = next(iter(mixture(domains, crop=(8, 8)).training(lambda: 0, draws)))
    for samples in (batch.labeled, batch.unlabeled, batch.ground_truth):
        sizes = {name: tuple(sample.mask.shape[1:]) for name, sample in samples.items()}
        assert sizes == {"common": (8, 8), "own": (6, 20), "whole": (6, 8)}
    batch = next(iter(mixture(domains).training(lambda: 0, draws)))
    assert batch.labeled["common"].mask.shape[1:] == (12, 16) and batch.labeled["own"].mask.shape[1:] == (6, 20)


def test_a_crop_of_a_domain_is_refused_as_that_of_all_is():
    with pytest.raises(ValueError, match="without a crop"):
        mixture({"a": Domain(Numbered(), crop="whole")}, crop=(8, 8), augmentation=Augmentation(scale=(0.5, 1.0)))
    with pytest.raises(ValueError, match=r"crop=\(0, 8\); expected a positive"):
        mixture({"a": Domain(Numbered(), crop=(0, 8))})


def test_evaluation_has_every_image_in_order_at_the_working_size():
    data = mixture({"one": Domain(Numbered(), resolution=Resolution(size=(8, 12)))})
    split = data.evaluation("one")
    assert [split[i].id for i in range(len(split))] == ["val_0", "val_1"]
    assert split[1].mask.shape == (8, 12)
    assert data.evaluation("one", full_resolution=True)[1].mask.shape == (4, 6)
    assert len(data.evaluation("one", "train")) == 6


def test_validation_is_shared_by_processes_without_an_image_lost_or_doubled():
    domains = {"a": Domain(Numbered(), val="train"), "b": Domain(Numbered(4))}
    shares = [mixture(domains).validation(rank, 4) for rank in range(4)]
    for name, expected in {"a": [f"train_{i}" for i in range(6)], "b": ["val_0", "val_1"]}.items():
        found = [sample.id[0] for loaders in shares for sample in loaders[name]]
        assert sorted(found) == expected
    sample = next(iter(shares[0]["a"]))
    assert sample.image.shape == (1, 3, 4, 6)
    assert torch.equal(sample.mask, torch.zeros(1, 4, 6, dtype=torch.uint8))


# Shares, groups and verifiable lists.


@pytest.mark.parametrize("labeled, images", [("1/8", 5), (0.125, 5), ("1/4", 10), (0.5, 20), (7, 7)])
def test_a_share_of_the_masked_images_keeps_its_labels(labeled, images):
    domain = Domain(Numbered(50, masked=40), labeled=labeled)
    assert len(mixture({"one": domain}).labeled["one"]) == images


def test_shares_are_nested():
    def chosen(labeled):
        return numbers(mixture({"one": Domain(Numbered(40), labeled=labeled)}).labeled["one"])

    assert chosen("1/8") == chosen("1/4")[:5] == chosen(0.125)


@pytest.mark.parametrize("labeled", ["many", "8/8", "1/0", 0.0, 1.0, 4.0])
def test_what_is_neither_a_number_nor_a_share_is_refused_at_once(labeled):
    with pytest.raises(ValueError, match=r"labeled is .*; expected a whole number of images such as 100, or a share"):
        Domain(Numbered(), labeled=labeled)


def test_a_share_of_less_than_one_image_is_refused_with_its_domain():
    data = mixture({"one": Domain(Numbered(6), labeled="1/8")})
    with pytest.raises(ValueError, match=r"1/8 of 6 images with masks is less than one.*data\.domains\.one\.labeled"):
        _ = data.labeled


def test_labels_go_to_one_group_after_another_and_the_rest_of_the_last_one_stays_unlabelled():
    drives = r"_(\d)\d$"  # the tens of 40 numbers: 10..19, 20..29, 30..39; below 10 there is none
    with pytest.raises(ValueError, match="finds no group in 10 of 40 ids, first: 'train_0'"):
        _ = mixture({"one": Domain(Numbered(40), labeled=15, groups=drives)}).labeled
    tens = r"_(\d?)\d$|_()"
    with pytest.raises(ValueError, match="finds no group in 10 of 40"):
        _ = mixture({"one": Domain(Numbered(40), labeled=15, groups=tens)}).labeled
    last_digit = r"\d$"
    for cover_classes in (False, True):
        domain = Domain(Numbered(40), labeled=10, groups=last_digit, cover_classes=cover_classes, exclude_labeled=True)
        data = mixture({"one": domain})
        groups = [number % 10 for number in numbers(data.labeled["one"])]
        assert len(set(groups)) == 3 and sorted(map(groups.count, set(groups))) == [2, 4, 4]
        assert groups[:4] == groups[:1] * 4
        assert sorted(numbers(data.labeled["one"]) + numbers(data.unlabeled["one"])) == list(range(40))


def test_groups_that_are_no_regular_expression_are_refused_at_once():
    with pytest.raises(ValueError, match=r"groups is '\(', no regular expression"):
        Domain(Numbered(), groups="(")


def test_a_labelled_list_that_changed_since_it_was_drawn_is_refused(tmp_path):
    file = write_list(tmp_path, "train_4", "train_1")
    (tmp_path / "split.json").write_text(
        json.dumps({"lists": {"labeled.txt": {"sha256": digest(["train_4", "train_1"])}}})
    )
    assert numbers(mixture({"one": Domain(Numbered(), labeled_list=file)}).labeled["one"]) == [4, 1]
    write_list(tmp_path, "train_4", "train_2")
    with pytest.raises(
        ValueError, match=r"labeled\.txt: its 2 images are not those .*expected the list as it was drawn"
    ):
        _ = mixture({"one": Domain(Numbered(), labeled_list=file)}).labeled


def test_a_split_by_a_list_that_changed_since_it_was_drawn_is_refused(tmp_path):
    own, _ = write_folder(tmp_path, layout="lists")
    (tmp_path / "split.json").write_text(json.dumps({"lists": {"train.txt": {"sha256": digest(["b", "a_b"])}}}))
    assert [record.id for record in own.subset("train")] == ["b", "a_b"]
    (tmp_path / "train.txt").write_text("b\n")
    for split in ("train", str(tmp_path / "train.txt")):
        with pytest.raises(ValueError, match=r"train\.txt: its 1 images are not those"):
            own.subset(split)


def test_the_public_form_of_a_list_names_images_wherever_a_list_is_taken(tmp_path):
    own, _ = write_folder(tmp_path, layout="lists")
    (tmp_path / "train.txt").write_text(
        "# image label\r\nimages/b.jpg masks/b.png\r\nimages\\a_b.jpg masks\\a_b.png  \r\n"
    )
    (tmp_path / "few.txt").write_text("\ufeffimages/a_b.jpg masks/a_b.png\n", encoding="utf-8")
    data = mixture({"own": Domain(own, labeled_list=Path("few.txt"), val=str(tmp_path / "few.txt"))})
    assert [record.id for record in own.subset("train")] == ["b", "a_b"]
    assert [record.id for record in data.labeled["own"]] == ["a_b"]
    assert data.evaluation("own")[0].id == "a_b"


def test_what_a_run_keeps_about_its_labels():
    drawn = Domain(Numbered(8), labeled="1/4", groups=r"\d$")
    (facts,) = (labeling_facts(drawn, records, 3) for records in mixture({"one": drawn}, seed=3).labeled.values())
    assert len(facts["ids"]) == 2 and facts["sha256"] == digest(facts["ids"]) and facts["seed"] == 3
    for words in ("1/4 of the images of train", "by the seed", r"group by group (\d$ in the id)", "a group that shows"):
        assert words in facts["rule"]
    assert labeling_facts(Domain(Numbered()), [], 0)["rule"] == "all images of train with masks"
    assert labeling_facts(Domain(Numbered(), labeled_list=Path("few.txt")), [], 0)["rule"] == "those that few.txt lists"
    assert labeling_facts(Domain(Numbered(), labeled=3, cover_classes=False), [], 0)["rule"].endswith(
        "permutation by the seed"
    )
