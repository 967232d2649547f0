"""Figures of latent classes in the report, of a run that was really trained."""

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from semiverse.commands.report import report
from semiverse.commands.train import train
from semiverse.configuration import dump_yaml, load_yaml
from semiverse.datasets.synthetic import SyntheticRooms, SyntheticStreets
from semiverse.labels import LabelSpace
from semiverse.methods import Latent
from semiverse.mixture import Domain, DomainMixture
from semiverse.models import ModelConfig, SegmentationModel
from semiverse.reporting.curves import curve_pictures
from semiverse.reporting.examples import add_predictions, read_examples
from semiverse.reporting.latent import (
    LatentClasses,
    column_order,
    given_class_figure,
    laid_over,
    latent_pictures,
    read_latent_classes,
    side_by_side,
)
from semiverse.reporting.runs import read_runs
from semiverse.reporting.settings import settings

pytestmark = pytest.mark.slow

LETTERS = LabelSpace("letters", ("a", "b", "c"))


@pytest.fixture(scope="module")
def world() -> DomainMixture:
    domains = {
        "streets": Domain(SyntheticStreets(images=8, val_images=3, size=(32, 48)), labeled=4),
        "rooms": Domain(SyntheticRooms(images=8, val_images=3, size=(32, 48)), labeled=4),
    }
    return DomainMixture(domains, batch_size=2, crop=(32, 48), workers=0)


@pytest.fixture(scope="module")
def trained(world: DomainMixture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    method = partial(Latent, latent_classes=4, pseudo_weight=0.1, pseudo_from=0)
    options = {"max_steps": 4, "accelerator": "cpu"}
    out = tmp_path_factory.mktemp("runs") / "first"
    return train(world, method, ModelConfig("drn_d_22", width=0.0625), options, out, validate_every=2)


@pytest.fixture(scope="module")
def figures(trained: Path) -> list[str]:
    page = report([trained], images=2, device="cpu", latent_validation=True)
    return sorted(path.stem for path in (page.parent / "figures").glob("*.png"))


def without(trained: Path, folder: Path, part: str) -> Path:
    """A copy of a run that lacks its weights or its data."""
    folder.mkdir(parents=True)
    config = load_yaml((trained / "config.yaml").read_text())
    if part == "data":
        (folder / "model").symlink_to(trained / "model")
        for domain in config["data"]["domains"].values():
            domain["dataset"] = {"class_path": "semiverse.datasets.CamVid", "init_args": {"root": "/no-such-data"}}
    (folder / "config.yaml").write_text(dump_yaml(config))
    return folder


@pytest.mark.parametrize("domain", ["streets", "rooms"])
def test_report_has_heat_map_and_overlays_of_every_domain(figures: list[str], domain: str) -> None:
    assert {f"latent_given_class_{domain}_first", f"latent_examples_{domain}_first"} <= set(figures)


def test_terms_that_belong_together_share_a_figure(figures: list[str]) -> None:
    assert {
        "effective_latent_classes",
        "discriminator",
        "discriminator_loss",
        "pseudo_labels_streets",
        "pseudo_labels_rooms",
    } <= set(figures)
    assert not [
        name for name in figures if name.startswith(("loss_effective", "loss_discriminator", "loss_pseudo_labels"))
    ]


def test_curves_are_those_of_the_metrics(trained: Path) -> None:
    facts = read_runs([trained])
    figures = {picture.name: picture.figure for picture in curve_pictures(settings(facts))}
    figure = figures["effective_latent_classes"]
    streets = next(axes for axes in figure.axes if axes.get_title() == "streets")
    for line, threshold in zip(streets.lines, ("0.1", "0.9"), strict=True):
        expected = [row[f"streets/effective_latent_classes_{threshold}"] for row in facts[0].rows]
        assert line.get_ydata().tolist() == expected
    figure = figures["pseudo_labels_rooms"]
    shares = [row["rooms/pseudo_labels/wall"] for row in facts[0].rows]
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx([100 * share for share in shares])
    assert len(figure.axes[0].lines) == len(SyntheticRooms.labels)


def test_validation_estimate_is_that_of_a_slow_loop(trained: Path, world: DomainMixture) -> None:
    compared = settings(read_runs([trained]))
    examples, _ = read_examples(compared, 1)
    add_predictions(examples, {"first": trained}, "cpu")
    found, problems = read_latent_classes(compared, examples, validation=True, device="cpu")
    assert not problems
    model = SegmentationModel.load(trained)
    expected = torch.zeros(len(SyntheticStreets.labels), 4, dtype=torch.float64)
    samples = world.evaluation("streets")
    for i in range(len(samples)):
        logits = model.latent_branch.logits(model.features(samples[i].image[None], "streets"), "streets").values
        shares = F.interpolate(logits.double(), size=(32, 48), mode="bilinear").softmax(dim=1)[0]
        for c in range(len(expected)):
            expected[c] += shares[:, samples[i].mask == c].sum(dim=1)
    counts = found["streets"][0].counts
    torch.testing.assert_close(counts["validation"].double(), expected, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(counts["training"], model.latent_branch.co_occurrence("streets"))


def test_heat_map_shows_latent_given_class_in_the_order_of_the_classes() -> None:
    counts = torch.tensor([[0.0, 3.0, 1.0, 0.0], [6.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    axes = given_class_figure([LatentClasses("run", LETTERS, {"training": counts})]).axes[0]
    expected = np.array([[0.75, 0.25, 0.0, 0.0], [0.0, 0.25, 0.75, 0.0]])
    shown = axes.images[0].get_array()
    assert shown[:2].tolist() == expected.tolist() and shown.mask[2].all()
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "2", "0", "3"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b", "c (never seen)"]
    assert axes.images[0].get_clim() == (0, 1)


def test_heat_map_can_keep_the_order_of_the_numbers_and_shows_every_source() -> None:
    counts = {"training": torch.tensor([[0.0, 1.0]] * 3), "validation": torch.tensor([[1.0, 3.0]] * 3)}
    panels = given_class_figure([LatentClasses("run", LETTERS, counts)], "number").axes[:2]
    assert [axes.images[0].get_array()[0].tolist() for axes in panels] == [[0.0, 1.0], [0.25, 0.75]]


def test_heat_maps_of_settings_stand_side_by_side_in_one_scale() -> None:
    few = LatentClasses("few", LETTERS, {"training": torch.tensor([[1.0, 3.0], [4.0, 0.0], [0.0, 0.0]])})
    many = LatentClasses("many", LETTERS, {"training": torch.eye(3).repeat(1, 2)[:, :5]})
    first, second, bar = given_class_figure([few, many]).axes
    assert [axes.get_title() for axes in (first, second)] == ["few", "many"]
    assert [text.get_text() for text in first.get_xticklabels()] == ["1", "0"]
    assert first.images[0].get_array()[:2].tolist() == [[0.75, 0.25], [0.0, 1.0]]
    assert second.images[0].get_array().shape == (3, 5) and not second.images[0].get_array().mask.any()
    assert [text.get_text() for text in first.get_yticklabels()] == ["a", "b", "c"]  # one of them has seen c
    assert first.images[0].get_clim() == second.images[0].get_clim() == (0, 1)
    assert bar.get_ylabel() == "P(latent class | class)"


def latent_classes(*counts: int, labels: LabelSpace = LETTERS) -> list[LatentClasses]:
    return [LatentClasses(f"latent {i}", labels, {"training": torch.ones(3, count)}) for i, count in enumerate(counts)]


def test_ten_and_twenty_latent_classes_share_a_figure_and_more_do_not() -> None:
    assert [[one.count for one in row] for row in side_by_side(latent_classes(10, 20))] == [[10, 20]]
    assert [[one.count for one in row] for row in side_by_side(latent_classes(2, 4, 6, 10, 20, 50))] == [
        [2, 4, 6, 10],
        [20],
        [50],
    ]
    others = latent_classes(3, labels=LabelSpace("others", ("d", "e", "f")))
    assert [len(row) for row in side_by_side([*latent_classes(2, 2), *others])] == [2, 1]
    pictures = latent_pictures("abc", latent_classes(10, 20, 50), None, "class")
    assert [picture.name for picture in pictures] == ["latent_given_class_abc", "latent_given_class_abc_latent 2"]
    assert "latent classes of latent 0 and latent 1; a row" in pictures[0].caption


def test_columns_stand_by_class_and_unused_ones_at_the_end() -> None:
    given = np.array([[0.05, 0.15, 0.0, 0.8], [0.0, 0.0, 1.0, 0.0]])
    assert column_order(given) == [3, 1, 2, 0]


def test_colours_lie_over_the_grey_values_of_the_image() -> None:
    image = torch.tensor([30, 60, 90], dtype=torch.uint8)[:, None, None]
    assert laid_over(image, torch.tensor([[[0, 100, 200]]], dtype=torch.uint8)).tolist() == [[[18, 88, 158]]]


def test_latent_classes_have_colours_of_their_own_that_stay() -> None:
    latent = LatentClasses("run", LETTERS, {"training": torch.ones(3, 50)})
    assert len(set(latent.colors.palette)) == 50
    assert latent.colors.palette == LatentClasses("other", LETTERS, {"training": torch.ones(2, 50)}).colors.palette


def test_heat_map_needs_no_images(trained: Path, tmp_path: Path) -> None:
    run = without(trained, tmp_path / "moved", "data")
    page = report([run], device="cpu")
    drawn = [path.stem for path in (page.parent / "figures").glob("*.png")]
    assert {"latent_given_class_streets_moved", "latent_given_class_rooms_moved"} == set(drawn)


def test_run_without_weights_is_pointed_out(trained: Path, tmp_path: Path) -> None:
    run = without(trained, tmp_path / "new", "model")
    (run / "model").mkdir()
    for part in ("labels.json", "config.json"):
        shutil.copy(trained / "model" / part, run / "model")
    page = report([run], images=0, device="cpu")
    assert "No latent classes of new: there is no saved model" in page.read_text(encoding="utf-8")
