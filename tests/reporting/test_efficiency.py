"""Label efficiency: which runs form a line, and what is drawn."""

from pathlib import Path

import pytest

from semiverse.reporting.curves import budget_lines, budget_points, efficiency_pictures
from semiverse.reporting.figures import draw
from semiverse.reporting.scores import protocols
from tests.reporting.made_up_runs import make_run, read


def run(
    folder: Path, count: int, seed: int = 0, score: float | None = 0.4, method: str = "Supervised", room: int = 3
) -> Path:
    scores = {"street": score, "room": 0.3} if score is not None else None
    return make_run(folder, scores, method, seed=seed, budgets={"street": count, "room": room})


def test_runs_that_differ_in_budget_and_seed_form_a_line_and_other_methods_another(tmp_path: Path) -> None:
    runs = [
        run(tmp_path / f"{name}_{count}_{seed}", count, seed, method=method)
        for name, method in (("plain", "Supervised"), ("full", "Universal"))
        for count in (2, 4, 8)
        for seed in range(2)
    ]
    assert [(name, len(line)) for name, line in budget_lines(read(*runs)).items()] == [("plain", 6), ("full", 6)]


def test_methods_name_lines_whose_runs_have_no_name_in_common(tmp_path: Path) -> None:
    runs = [run(tmp_path / f"{n}_{method}", n, method=method) for n in (2, 4) for method in ("Supervised", "Universal")]
    assert list(budget_lines(read(*runs))) == ["Supervised", "Universal"]


def test_folders_that_runs_share_name_lines_where_budgets_are_folders(tmp_path: Path) -> None:
    places = [(n, name, seed) for n in (2, 4) for name in ("plain", "full") for seed in range(2)]
    runs = [
        make_run(
            tmp_path / f"n{n}/{name}/seed{seed}",
            {"street": 0.4},
            "Supervised",
            budgets={"street": n},
            seed=seed,
            optimizer__lr=0.1 if name == "full" else 0.2,
        )
        for n, name, seed in places
    ]
    assert list(budget_lines(read(*runs))) == ["plain", "full"]


def test_lines_of_one_method_and_one_name_are_told_apart_by_their_first_runs(tmp_path: Path) -> None:
    def with_crop(name: str, count: int, side: int) -> Path:
        return make_run(tmp_path / name, {"street": 0.4}, budgets={"street": count}, data__crop=[side, side])

    runs = [with_crop("a2", 2, 32), with_crop("a4", 4, 32), with_crop("a6", 2, 64), with_crop("a8", 4, 64)]
    assert list(budget_lines(read(*runs))) == ["like a2", "like a6"]


def test_points_are_sums_of_every_seed_by_number_of_labelled_images(tmp_path: Path) -> None:
    runs = [run(tmp_path / f"p_{n}_{seed}", n, seed, 0.1 * n + 0.01 * seed) for n in (4, 2) for seed in range(2)]
    compared = read(*runs)
    (line,), members = budget_lines(compared).values(), protocols(compared)["by decoder"]
    street = [protocol for protocol in members if protocol.domain == "street"]
    assert budget_points(line, street, ["street"]) == {2: pytest.approx([0.2, 0.21]), 4: pytest.approx([0.4, 0.41])}
    assert budget_points(line, members, ["street", "room"]) == {
        5: pytest.approx([0.5, 0.51]),
        7: pytest.approx([0.7, 0.71]),
    }


def test_figure_has_a_panel_a_domain_and_the_sum_with_counts_on_a_log_axis(tmp_path: Path) -> None:
    runs = [run(tmp_path / f"p_{n}_{seed}", n, seed, 0.1 * n + 0.01 * seed) for n in (2, 4) for seed in range(2)]
    (picture,) = efficiency_pictures(read(*runs))
    assert picture.name == "label_efficiency" and "labelled images" in picture.caption
    figure = picture.figure
    street, room, total = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["street", "room", "sum over domains"]
    assert street.get_xscale() == "log" and [*street.get_xticks()] == [2, 4]
    (line,) = street.get_lines()
    assert [*line.get_xdata()] == [2, 4] and line.get_ydata() == pytest.approx([20.5, 40.5])
    band = street.collections[0].get_paths()[0].get_extents()
    assert (band.ymin, band.ymax) == (pytest.approx(20.0), pytest.approx(41.0))
    assert room.get_xlabel() == total.get_xlabel() == "labelled images of all domains"  # that of room never changes
    assert [*room.get_lines()[0].get_xdata()] == [5, 7]
    assert draw(figure, "png").startswith(b"\x89PNG")


def test_nothing_is_drawn_where_budgets_are_equal_or_scores_are_missing(tmp_path: Path) -> None:
    same = [run(tmp_path / f"same_{seed}", 2, seed) for seed in range(2)]
    assert efficiency_pictures(read(*same)) == []
    assert efficiency_pictures(read(same[0])) == []
    silent = [run(tmp_path / f"silent_{n}", n, score=None) for n in (2, 4)]
    assert efficiency_pictures(read(*silent)) == []
    assert efficiency_pictures(read(run(tmp_path / "only_2", 2), run(tmp_path / "only_4", 4, score=None))) == []


def test_domain_without_labels_is_drawn_over_those_of_the_others(tmp_path: Path) -> None:
    runs = [run(tmp_path / f"p_{n}", n, room=0) for n in (2, 4)]
    (picture,) = efficiency_pictures(read(*runs))
    assert [*picture.figure.axes[1].get_lines()[0].get_xdata()] == [2, 4]
