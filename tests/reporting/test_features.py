"""Maps of features and of classes in the report."""

from pathlib import Path

import numpy as np
import pytest
import torch

from semiverse.labels import LabelSpace
from semiverse.models import ModelConfig, SegmentationModel
from semiverse.reporting.features import (
    Features,
    NamedClass,
    class_colors,
    clustered,
    cosines,
    embedded,
    feature_map,
    label_row_similarity,
    read_features,
    similarity_figure,
    thinned,
)

STREET, ROOM = NamedClass("a/b", "sky $1$"), NamedClass("a", "b/sky $1$")


def features(*counts: int, channels: int = 6) -> Features:
    """So many pixels of each class, around directions of their own."""
    pixels = [NamedClass(("x", "y")[i % 2], f"class {i // 2}") for i, count in enumerate(counts) for _ in range(count)]
    centers = np.repeat(5 * np.eye(len(counts), channels), counts, axis=0)
    return Features(centers + np.random.default_rng(0).random((len(pixels), channels)), pixels)


def write(folder: Path, values: np.ndarray, pixels: list[NamedClass], evaluation: str = "") -> Path:
    names, titles = np.array(pixels).T
    np.savez(folder / "features.npz", features=values, domains=names, classes=titles)
    if evaluation:
        (folder / "evaluation.json").write_text(evaluation)
    return folder


# Reading.


def test_names_with_any_signs_stay_apart_and_infinite_pixels_are_left_out(tmp_path: Path) -> None:
    values = np.array([[1, 0], [np.nan, 0], [0, 1]], dtype=np.float32)
    found = read_features(write(tmp_path, values, [STREET, STREET, ROOM], '{"same_name_similarity": null}'))
    assert found is not None
    assert found.values.tolist() == [[1, 0], [0, 1]] and list(found.pixels) == [STREET, ROOM]
    assert found.classes == [STREET, ROOM] and found.same_name is None


def test_folder_without_usable_features_has_none(tmp_path: Path) -> None:
    assert read_features(tmp_path) is None
    assert read_features(write(tmp_path, np.full((1, 2), np.inf), [STREET])) is None


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    objects = np.array([{}], dtype=object)
    np.savez(tmp_path / "features.npz", features=objects, domains=np.array(["a"]), classes=np.array(["b"]))
    with pytest.raises(ValueError, match="is damaged"):
        read_features(tmp_path)


def test_similarity_is_the_cosine_of_centroids_and_across_domains_what_the_evaluation_says(tmp_path: Path) -> None:
    values = np.array([[3.0, 1.0], [1.0, 3.0], [0.0, 2.0], [-1.0, 0.0]])
    sky, lamp, wall = NamedClass("a", "sky"), NamedClass("a", "lamp"), NamedClass("b", "wall")
    said = '{"centroid_similarity": {"a/sky": {"b/wall": -0.5}, "b/wall": {"a/sky": -0.5}}}'
    found = read_features(write(tmp_path, values, [sky, sky, lamp, wall], said))
    assert found is not None
    half = 0.5**0.5
    expected = [[1, half, -0.5], [half, 1, 0], [-0.5, 0, 1]]
    assert found.similarity() == pytest.approx(np.array(expected))


def test_vector_of_length_zero_is_like_nothing() -> None:
    assert cosines(np.array([[0.0, 0.0], [2.0, 0.0], [-1.0, 0.0]])).tolist() == [[0, 0, 0], [0, 1, -1], [0, -1, 1]]


# The map of features.


def test_every_class_gives_up_the_same_share_of_its_pixels() -> None:
    many = features(40, 20, 4)
    chosen = thinned(many, 16)
    assert chosen == sorted(set(chosen)) == thinned(many, 16)
    counts = [sum(many.pixels[i] == one for i in chosen) for one in many.classes]
    assert counts == [10, 5, 1]
    assert thinned(many, 100) == list(range(64))


def test_map_keeps_classes_apart_and_is_always_the_same() -> None:
    many = features(30, 30)
    plane = embedded(many.values)
    assert plane.shape == (60, 2) and (plane == embedded(many.values)).all()
    first, second = plane[:30], plane[30:]
    between = np.linalg.norm(first.mean(axis=0) - second.mean(axis=0))
    assert between > 2 * max(np.linalg.norm(part - part.mean(axis=0), axis=1).max() for part in (first, second))


def test_equal_names_share_a_colour_and_domains_have_shapes() -> None:
    figure = feature_map({"run": features(5, 5, 5, 5)})
    assert figure is not None
    round_points, triangles = figure.axes[0].collections
    assert len(round_points.get_offsets()) == len(triangles.get_offsets()) == 10
    shades = [{tuple(color) for color in points.get_facecolors()} for points in (round_points, triangles)]
    assert shades[0] == shades[1] and len(shades[0]) == 2
    assert not np.array_equal(round_points.get_paths()[0].vertices, triangles.get_paths()[0].vertices)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["x", "y", "class 0", "class 1"]


def test_runs_stand_side_by_side_on_one_scale_with_one_legend() -> None:
    few, many = features(5, 5, 5, 5), features(9, 9)
    figure = feature_map({"few": few, "nothing to tell": features(1), "many": many})
    assert figure is not None
    first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["few", "many"]
    assert first.get_xlim() == first.get_ylim() == second.get_xlim() == second.get_ylim()
    points = [np.concatenate([np.asarray(part.get_offsets()) for part in axes.collections]) for axes in figure.axes]
    assert [len(part) for part in points] == [20, 18]
    assert np.stack([part.max(axis=0) + part.min(axis=0) for part in points]) == pytest.approx(
        np.zeros((2, 2)), abs=1e-4
    )
    assert 1.05 * max(np.abs(part).max() for part in points) == pytest.approx(first.get_xlim()[1])
    distances = [[np.linalg.norm(part - one, axis=1) for one in part] for part in (embedded(few.values), points[0])]
    assert np.sort(distances[0], axis=None) == pytest.approx(
        np.sort(distances[1], axis=None), rel=1e-4
    )  # no stretching
    shades = [{tuple(color) for part in axes.collections for color in part.get_facecolors()} for axes in figure.axes]
    assert shades[1] < shades[0]  # one colour a class in all of them
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["x", "y", "class 0", "class 1"]


def test_chosen_classes_are_named_by_title_or_of_one_domain() -> None:
    wall, floor = NamedClass("room", "wall"), NamedClass("room", "floor")
    street, road = NamedClass("street", "wall"), NamedClass("street", "road")
    across = {
        "street/wall": {"room/wall": 0.5, "room/floor": 0.1},
        "room/wall": {"street/wall": 0.5, "street/road": 0.2},
        "street/road": {"room/wall": 0.2},
    }
    every = Features(np.arange(8.0).reshape(4, 2), [wall, floor, street, road], across, 0.75)
    assert every.only(None) is every
    both = every.only(["wall", "road"])
    assert list(both.pixels) == [wall, street, road] and both.values.tolist() == [[0, 1], [4, 5], [6, 7]]
    assert both.same_name == 0.5
    rooms = every.only(["room/wall", "road"])
    assert list(rooms.pixels) == [wall, road] and rooms.same_name is None
    assert list(every.only(["sea"]).pixels) == []


def test_features_of_one_channel_can_be_drawn() -> None:
    assert feature_map({"run": Features(np.arange(8.0)[:, None], [STREET] * 8)}) is not None


@pytest.mark.parametrize("values", [np.zeros((9, 3)), np.eye(3)])
def test_nothing_is_drawn_of_equal_or_too_few_pixels(values: np.ndarray) -> None:
    assert feature_map({"run": Features(values, [STREET] * len(values))}) is None


@pytest.mark.parametrize("count", [3, 20, 40])
def test_colours_differ(count: int) -> None:
    colors = class_colors([str(i) for i in range(count)])
    assert list(colors) == [str(i) for i in range(count)] and len(set(colors.values())) == count


# The map of classes.


@pytest.fixture(scope="module")
def model() -> SegmentationModel:
    spaces = {name: LabelSpace("two", ("sky", "road")) for name in ("first", "twin")}
    spaces["other"] = LabelSpace("three", ("sky", "wall", "lamp"))
    built = SegmentationModel(ModelConfig("drn_d_22", width=0.0625), spaces)
    embeddings = built.add_label_embeddings(embed_dim=4, centroids=2)
    values = torch.arange(1.0, 25.0).reshape(3, 2, 4).sin()
    embeddings.set_rows("other", values, torch.tensor([True, False, True]))
    return built


def test_label_rows_are_named_by_domain_and_class(model: SegmentationModel) -> None:
    names, similarity = label_row_similarity(model)
    assert [str(name) for name in names] == [
        "first+twin/sky 1", "first+twin/sky 2", "first+twin/road 1", "first+twin/road 2",
        "other/sky 1", "other/sky 2", "other/lamp 1", "other/lamp 2",
    ]  # fmt: skip
    rows = [row for space in ("first", "other") for row in model.label_embeddings.rows(space)]
    for i, one in enumerate(rows):
        for j, other in enumerate(rows):
            assert similarity[i, j] == pytest.approx(float(one @ other), abs=1e-6)


def test_what_is_alike_stands_side_by_side() -> None:
    angles = np.radians([0, 90, 5, 95, 45])
    order = clustered(cosines(np.stack([np.cos(angles), np.sin(angles)], axis=1)))
    assert order in ([0, 2, 4, 1, 3], [3, 1, 4, 2, 0])
    assert clustered(np.eye(2)) == [0, 1] and clustered(np.eye(1)) == [0]


def test_heat_map_of_classes_is_symmetric_and_in_that_order() -> None:
    angles = np.radians([0, 90, 5, 95])
    similarity = cosines(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    names = [NamedClass(domain, title) for title in ("p", "q") for domain in ("a", "b")]
    axes = similarity_figure(names, similarity).axes[0]
    shown = axes.images[0].get_array()
    titles = [text.get_text() for text in axes.get_xticklabels()]
    assert titles == [text.get_text() for text in axes.get_yticklabels()]
    where = [titles.index(str(name)) for name in names]
    assert np.allclose(shown[np.ix_(where, where)], similarity)
    assert abs(titles.index("a/p") - titles.index("a/q")) == 1
    inks = {text.get_text()[0]: text.get_color() for text in axes.get_yticklabels()}
    assert inks["a"] != inks["b"] and axes.images[0].get_clim() == (-1, 1)
