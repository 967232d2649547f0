"""Configurations as plain values: read, described, compared."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from semiverse.cli.call import parse
from semiverse.configuration import describe, differences, dump_yaml, load_yaml
from semiverse.data import Augmentation, Resolution
from semiverse.datasets import CamVid, Folder, LabelMeFacade, Remapped
from semiverse.mixture import Domain, DomainMixture
from tests.fakes import THREE, Numbered


@dataclass(frozen=True)
class Inner:
    """A nested value."""

    size: tuple[int, int] = (2, 3)
    place: Path | None = None


@dataclass
class Outer:
    """A value with a nested one."""

    inner: Inner = field(default_factory=Inner)
    rates: dict[str, float] = field(default_factory=dict)


class Base:
    """Takes two arguments of its own after the first."""

    def __init__(self, model, rate: float = 0.1, inner: Inner = Inner()):
        self.model, self.rate, self.inner = model, rate, inner


class Derived(Base):
    """Takes those of ``Base`` too, and changes the default of one."""

    def __init__(self, model, weight: float = 1.0, **options):
        super().__init__(model, **options)
        self.weight = weight


class Closed(Base):
    """Takes none of those of ``Base``."""

    def __init__(self, model, depth: int = 3):
        super().__init__(model, rate=depth)
        self.depth = depth


class Forgetful:
    """Does not keep an argument."""

    def __init__(self, kept: int = 1, lost: int = 2):  # noqa: ARG002  (the mistake)
        self.kept = kept


def build(model, width: int = 4, depth: int = 2):
    """A function that waits for a model, like a class."""
    return model, width, depth


# Reading.


@pytest.mark.parametrize(
    "text, value",
    [("1e-3", 0.001), ("1E5", 1e5), ("-2.5e+2", -250.0), (".5e1", 5.0), ("1.e3", 1000.0), ("0.25", 0.25), (".5", 0.5)],
)
def test_numbers_are_read_as_papers_write_them(text, value):
    found = load_yaml(f"lr: {text}")["lr"]
    assert type(found) is float
    assert found == value


@pytest.mark.parametrize("text, value", [("12", 12), ("'1e-3'", "1e-3"), ("e3", "e3"), ("1e3x", "1e3x")])
def test_other_values_are_read_as_ever(text, value):
    found = load_yaml(f"value: {text}")["value"]
    assert type(found) is type(value)
    assert found == value


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3\n", "data:\n  x: 1\n  y: 2\n  x: 3", "{a: 1, a: 1}"])
def test_a_key_that_stands_twice_is_refused(text):
    with pytest.raises(ValueError, match=r"key '[ax]' stands twice \(again in line \d\); expected each once: rename"):
        load_yaml(text)


def test_equal_keys_in_different_places_are_allowed_and_anchors_can_be_merged():
    assert load_yaml("a: {x: 1}\nb: {x: 2}") == {"a": {"x": 1}, "b": {"x": 2}}
    assert load_yaml("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  x: 3") == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}}


@pytest.mark.parametrize("text", ["a: [1, 2", "a: b: c", "[a]: 1\n? {b: 1}\n: 2"])
def test_text_that_is_no_yaml_is_refused(text):
    with pytest.raises(ValueError, match="not readable as YAML"):
        load_yaml(text)


def test_what_is_written_is_read_back():
    values = {"lr": 1e-05, "name": "1e-3", "none": None, "list": [1, 2.5, "ü"], "map": {"on": True}}
    assert load_yaml(dump_yaml(values)) == values
    assert list(load_yaml(dump_yaml({"b": 1, "a": 2}))) == ["b", "a"]


# Describing.


def test_plain_values_and_data_classes_become_plain_values():
    outer = Outer(Inner(place=Path("a/b")), {"x": 0.5})
    assert describe(outer) == {"inner": {"size": [2, 3], "place": "a/b"}, "rates": {"x": 0.5}}
    assert describe([None, True, 1, 0.5, "text"]) == [None, True, 1, 0.5, "text"]


def test_objects_are_described_by_class_and_arguments():
    described = describe(Base("a model", rate=0.2))
    arguments = {"model": "a model", "rate": 0.2, "inner": {"size": [2, 3], "place": None}}
    assert described == {"class_path": f"{__name__}.Base", "init_args": arguments}


def test_a_class_that_waits_is_described_with_its_own_and_inherited_defaults():
    inner = {"size": [2, 3], "place": None}
    assert describe(Derived)["init_args"] == {"rate": 0.1, "inner": inner, "weight": 1.0}
    assert describe(partial(Derived, rate=1e-3, weight=2.0))["init_args"] == {
        "rate": 1e-3,
        "inner": inner,
        "weight": 2.0,
    }
    assert describe(Closed)["init_args"] == {"depth": 3}


def test_a_function_that_waits_is_described_like_a_class():
    assert describe(build) == {"class_path": f"{__name__}.build", "init_args": {"width": 4, "depth": 2}}
    assert describe(partial(build, depth=7))["init_args"] == {"width": 4, "depth": 7}


def test_a_function_without_a_name_is_refused():
    with pytest.raises(TypeError, match=r"cannot be named in a configuration.*functools"):
        describe(lambda model: model)


def test_an_object_that_forgets_its_arguments_is_refused():
    with pytest.raises(TypeError, match=r"Forgetful does not keep its arguments lost; expected .*: store them"):
        describe(Forgetful())


def test_classes_are_named_by_the_shortest_package_that_offers_them():
    assert describe(CamVid(Path("a")))["class_path"] == "semiverse.datasets.CamVid"
    assert describe(Numbered())["class_path"] == "tests.fakes.Numbered"


def test_methods_are_named_by_their_package_with_all_their_options():
    methods = pytest.importorskip("semiverse.methods")
    described = describe(partial(methods.Universal, alpha=0.5))
    assert described["class_path"] == "semiverse.methods.Universal"
    assert described["init_args"]["alpha"] == 0.5
    assert described["init_args"]["theta"] == 1.0


def take(data: DomainMixture, seed: int = 0) -> None:
    """What a command line is parsed for here.

    Args:
        data: A mixture.
        seed: A number.
    """


def parsed(tmp_path, values, *words):
    (tmp_path / "config.yaml").write_text(dump_yaml(values))
    return parse("take", take, (), ["--config", str(tmp_path / "config.yaml"), *words])


def test_a_mixture_is_built_again_from_its_description(tmp_path):
    folder = Folder(Path("own"), THREE, palette=((1, 1, 1), (2, 2, 2), (3, 3, 3)), splits={"train": Path("t.txt")})
    domains = {
        "camvid": Domain(CamVid(Path("camvid")), labeled=50, resolution=Resolution(0.5)),
        "facade": Domain(Remapped(LabelMeFacade(Path("f")), {"sky": None}), train="train450", val="val150"),
        "own": Domain(folder, labeled_list=Path("few.txt"), unlabeled_folder=Path("more"), exclude_labeled=True),
        "outside": Domain(Numbered(3), labeled=0, resolution=Resolution(size=(4, 6))),
    }
    data = DomainMixture(domains, 6, (8, 8), Augmentation((0.5, 1.0), 0.0, 0.25), unlabeled_batches=None, seed=3)
    described = describe(data)["init_args"]
    built = parsed(tmp_path, {"data": described})["data"]
    assert describe(built)["init_args"] == described
    assert built.label_spaces == data.label_spaces


def test_short_names_and_dotted_paths_of_others_are_accepted_and_every_value_can_be_reached(tmp_path):
    domains = {
        "camvid": {"dataset": {"class_path": "CamVid", "init_args": {"root": "camvid"}}},
        "mine": {"dataset": {"class_path": "tests.fakes.Numbered", "init_args": {"count": 4}}},
    }
    words = ["--data.domains.camvid.labeled", "20", "--data.domains.camvid.dataset.init_args.root", "elsewhere"]
    data = parsed(tmp_path, {"data": {"domains": domains}}, *words)["data"]
    assert isinstance(data.domains["mine"].dataset, Numbered)
    assert data.domains["camvid"].labeled == 20
    assert data.domains["camvid"].dataset.root == Path("elsewhere")


# Comparing.


def test_equal_configurations_do_not_differ():
    described = describe(Outer())
    assert differences(described, load_yaml(dump_yaml(described))) == []


def test_differences_are_named_by_their_path():
    old = {"data": {"batch_size": 4, "crop": [1, 2]}, "seed": 0, "gone": 1}
    new = {"data": {"batch_size": 8, "crop": [1, 3]}, "seed": 0, "new": None}
    assert differences(old, new) == [
        "data.batch_size: 4, now 8",
        "data.crop: [1, 2], now [1, 3]",
        "gone: 1, now (absent)",
        "new: (absent), now None",
    ]
