"""The check of data on disk: what is there, and every kind of thing that can be wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semiverse.cli.main import main
from semiverse.commands.check import check
from semiverse.datasets import CamVid, Folder
from semiverse.datasets.synthetic import SyntheticRooms
from semiverse.doctor.examine import refuse_problems
from semiverse.mixture import Domain, DomainMixture

CLASSES = ["grass", "stone", "water"]


def write_pair(folder: Path, name: str, mask: np.ndarray, seed: int) -> None:
    """An image of noise and its mask, (H, W), as PNG files."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(seed).integers(0, 256, (*mask.shape, 3), dtype=np.uint8)
    Image.fromarray(image).save(folder / "images" / f"{name}.png")
    Image.fromarray(mask.astype(np.uint8)).save(folder / "masks" / f"{name}.png")


@pytest.fixture
def meadow(tmp_path: Path) -> Path:
    """Two training images of 8x6 pixels and one for validation: grass above, stone below, a row without label."""
    mask = np.zeros((6, 8), dtype=np.uint8)
    mask[3:] = 1
    mask[5] = 255
    for number, (split, name) in enumerate([("train", "a"), ("train", "b"), ("val", "c")]):
        write_pair(tmp_path / "meadow" / split, name, mask, seed=number)
    return tmp_path / "meadow"


def mixture(root: Path, **options: object) -> DomainMixture:
    return DomainMixture({"meadow": Domain(Folder(root, CLASSES), **options)}, workers=0)  # type: ignore[arg-type]


def findings(root: Path, out: Path, **options: object) -> dict:
    check(mixture(root, **options), out)
    return json.loads((out / "check.json").read_text())["domains"]["meadow"]


def test_good_data_is_counted_and_passes(meadow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(mixture(meadow), tmp_path / "out") == 0
    found = json.loads((tmp_path / "out" / "check.json").read_text())
    train = found["domains"]["meadow"]["splits"]["train"]
    assert found["problems"] == 0
    assert (train["images"], train["masks"], train["problems"]) == (2, 2, 0)
    assert train["sizes"] == [{"height": 6, "width": 8, "images": 2}]
    assert train["ignored"] == pytest.approx(1 / 6, abs=1e-6)
    assert train["frequencies"] == {
        "grass": {"pixels": 0.5, "images": 2},
        "stone": {"pixels": pytest.approx(1 / 3, abs=1e-6), "images": 2},
        "water": {"pixels": 0.0, "images": 0},
    }
    text = capsys.readouterr().out
    assert "16.7 %" in text and "50.00 %" in text and "8x6" in text
    assert "3 images in 1 domain: no problems" in text


def test_class_that_no_mask_shows_is_a_remark(meadow: Path, tmp_path: Path) -> None:
    remarks = "\n".join(findings(meadow, tmp_path)["remarks"])
    assert "train: no mask shows water;" in remarks and "val: no mask shows water;" in remarks


def test_contact_sheet_shows_images_beside_masks_in_their_colours(meadow: Path, tmp_path: Path) -> None:
    check(mixture(meadow), tmp_path)
    sheet = np.asarray(Image.open(tmp_path / "contact_sheet_meadow.png").convert("RGB")).reshape(-1, 3)
    grass = np.array(Folder(meadow, CLASSES).labels.palette[0])
    assert (sheet == grass).all(axis=1).sum() > 50  # its entry in the legend


def test_value_outside_the_label_space_is_a_problem_with_its_file(meadow: Path, tmp_path: Path) -> None:
    bad = np.full((6, 8), 7, dtype=np.uint8)
    write_pair(meadow / "train", "strange", bad, seed=5)
    assert check(mixture(meadow), tmp_path) == 1
    problems = json.loads((tmp_path / "check.json").read_text())["domains"]["meadow"]["problems"]
    assert len(problems) == 1
    assert "masks/strange.png" in problems[0] and "mask value 7" in problems[0]


def test_every_bad_file_is_listed_and_the_others_are_counted(
    meadow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (meadow / "train" / "images" / "a.png").write_bytes(b"no image")
    write_pair(meadow / "val", "small", np.zeros((3, 4), dtype=np.uint8), seed=6)
    Image.new("RGB", (8, 6)).save(meadow / "val" / "images" / "small.png")
    found = findings(meadow, tmp_path)
    assert [problem.partition(":")[0] for problem in found["problems"]] == ["train", "val"]
    assert "a.png" in found["problems"][0] and "small.png" in found["problems"][1]
    assert found["splits"]["train"]["problems"] == 1
    assert found["splits"]["train"]["frequencies"]["grass"]["images"] == 1
    assert "2 problems" in capsys.readouterr().out


def test_missing_mask_is_a_problem_and_the_other_split_is_still_read(meadow: Path, tmp_path: Path) -> None:
    (meadow / "train" / "masks" / "a.png").unlink()
    found = findings(meadow, tmp_path)
    assert list(found["splits"]) == ["val"]
    assert len(found["problems"]) == 1 and "no mask for 1 of 2 images" in found["problems"][0]


def test_absent_dataset_is_a_problem_of_both_splits(tmp_path: Path) -> None:
    assert check(DomainMixture({"camvid": Domain(CamVid(tmp_path / "nowhere"))}), tmp_path / "out") == 1
    found = json.loads((tmp_path / "out" / "check.json").read_text())
    assert found["problems"] == 2
    assert not list((tmp_path / "out").glob("*.png"))


def test_budget_larger_than_the_dataset_is_a_problem(meadow: Path, tmp_path: Path) -> None:
    assert "a budget of 9 labelled images" in findings(meadow, tmp_path, labeled=9)["problems"][0]


def test_classes_that_the_labelled_images_do_not_show_are_a_remark(meadow: Path, tmp_path: Path) -> None:
    write_pair(meadow / "train", "pond", np.full((6, 8), 2, dtype=np.uint8), seed=8)
    # One image cannot show all; the rarest class comes first (covering draw), and only the pond has water.
    remarks = "\n".join(findings(meadow, tmp_path, labeled=1)["remarks"])
    assert "train: the 1 labelled images do not show grass, stone;" in remarks


def test_image_of_both_splits_is_a_remark_whatever_its_name(meadow: Path, tmp_path: Path) -> None:
    twin = (meadow / "train" / "images" / "b.png").read_bytes()
    (meadow / "val" / "images" / "c.png").write_bytes(twin)
    remark = next(remark for remark in findings(meadow, tmp_path)["remarks"] if "flatter" in remark)
    assert remark.startswith("val: 1 images of val are in train too") and "c.png is" in remark and "b.png" in remark


def test_mask_without_a_labelled_pixel_is_a_remark(meadow: Path, tmp_path: Path) -> None:
    write_pair(meadow / "val", "blank", np.full((6, 8), 255, dtype=np.uint8), seed=9)
    assert "val: 1 masks have no labelled pixel, first: blank;" in "\n".join(findings(meadow, tmp_path)["remarks"])


def test_further_images_without_masks_are_read_too(meadow: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    Image.new("RGB", (8, 6)).save(tmp_path / "more" / "x.png")
    (tmp_path / "more" / "y.png").write_bytes(b"")
    found = findings(meadow, tmp_path / "out", unlabeled_folder=tmp_path / "more")
    assert (found["splits"]["unlabelled"]["images"], found["splits"]["unlabelled"]["masks"]) == (2, 0)
    assert len(found["problems"]) == 1 and "y.png" in found["problems"][0]


def test_rendered_worlds_need_no_files() -> None:
    world = SyntheticRooms(images=2, val_images=1, size=(16, 24))
    assert check(DomainMixture({"rooms": Domain(world)}, workers=0)) == 0


def test_refusal_names_bad_files_before_training(meadow: Path) -> None:
    refuse_problems(mixture(meadow))
    (meadow / "val" / "images" / "c.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"the data cannot be used, 1 problem:\n  meadow val: .*c\.png"):
        refuse_problems(mixture(meadow))


def test_command_line_reads_only_the_data_of_a_training_file(
    meadow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = f"{{class_path: Folder, init_args: {{root: {meadow}, classes: [grass, stone, water]}}}}"
    config = tmp_path / "train.yaml"
    config.write_text(
        f"data:\n  domains:\n    meadow: {{dataset: {dataset}}}\nmethod: {{class_path: Universal}}\nseed: 3\n"
    )
    words = ["check", f"--config={config}", "--data.domains.meadow.labeled", "9", "--out", str(tmp_path / "out")]
    assert main(words) == 1
    assert "a budget of 9 labelled images" in capsys.readouterr().out
    assert (tmp_path / "out" / "check.json").is_file()


def test_file_without_data_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.yaml").write_text("seed: 3")
    assert main(["check", "--config", str(tmp_path / "bad.yaml")]) == 2
    assert "data is missing" in capsys.readouterr().err


def test_page_shows_findings_bars_sizes_and_examples_and_needs_no_other_file(meadow: Path, tmp_path: Path) -> None:
    write_pair(meadow / "train", "strange", np.full((6, 8), 7, dtype=np.uint8), seed=5)
    check(mixture(meadow), tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    assert "1 problem: a training with this data will not start" in page
    assert "Problem: unknown-value" in page and "strange.png" in page and "x=0, y=0" in page
    assert "8 x 6" in page and '<td class="bar"><i' in page and 'src="data:image/png;base64,' in page
    assert "http://" not in page and "https://" not in page and "<script" not in page


def test_names_of_files_cannot_inject_anything_into_the_page(meadow: Path, tmp_path: Path) -> None:
    write_pair(meadow / "train", "<b>x&", np.full((6, 8), 7, dtype=np.uint8), seed=5)
    check(mixture(meadow), tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    assert "<b>x" not in page and "&lt;b&gt;x&amp;" in page


def test_findings_are_listed_with_kind_files_and_remedy(meadow: Path, tmp_path: Path) -> None:
    write_pair(meadow / "train", "strange", np.full((6, 8), 7, dtype=np.uint8), seed=5)
    (found,) = [entry for entry in findings(meadow, tmp_path)["findings"] if entry["severity"] == "problem"]
    assert (found["kind"], found["where"]) == ("unknown-value", "train")
    assert found["files"] == [str(meadow / "train" / "masks" / "strange.png")]
    assert found["remedy"] == "map it to a class or to ignore, or correct the file"
    assert found["unfixable"]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_fix_never_writes_over_something(meadow: Path, tmp_path: Path, kind: str) -> None:
    goal = tmp_path / "fixed"
    if kind == "folder":
        goal.mkdir()
    precious = goal / "precious.txt" if kind == "folder" else goal
    precious.write_text("mine")
    with pytest.raises(ValueError, match=r"fixed (holds .*did not write|is a file).*choose another"):
        check(mixture(meadow), fix=goal)
    assert precious.read_text() == "mine"


def test_fix_of_data_in_order_writes_nothing(meadow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(mixture(meadow), fix=tmp_path / "fixed") == 0
    assert "nothing to correct" in capsys.readouterr().out
    assert not (tmp_path / "fixed").exists()


def test_fix_says_how_many_pixels_were_guessed(
    meadow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    palette = [(0, 128, 0), (140, 140, 140), (0, 0, 200)]
    for path in meadow.glob("*/masks/*.png"):
        mask = np.array([*palette, (0, 0, 0)], dtype=np.uint8)[np.asarray(Image.open(path)).clip(max=3)]
        mask[2, :3] = [(1, 126, 2), (9, 120, 3), (5, 121, 1)]
        Image.fromarray(mask).save(path)
    data = Folder(meadow, CLASSES, masks="rgb", palette=palette, ignore_color=(0, 0, 0))
    check(DomainMixture({"meadow": Domain(data)}, workers=0), fix=tmp_path / "fixed")
    said = capsys.readouterr().out
    assert "meadow train: 2 images written" in said and "2 of them corrected, 6 pixels set" in said
    first = np.asarray(Image.open(tmp_path / "fixed" / "meadow" / "train" / "masks" / "a.png"))
    assert first.tolist() == [[0] * 8] * 3 + [[1] * 8] * 2 + [[255] * 8]


def test_options_of_the_command_reach_check(meadow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = f"{{class_path: Folder, init_args: {{root: {meadow}, classes: [grass, stone, water]}}}}"
    (tmp_path / "c.yaml").write_text(f"data:\n  domains:\n    meadow: {{dataset: {dataset}}}\n")
    words = ["check", "--config", str(tmp_path / "c.yaml"), "--fresh", "true", "--fix", str(tmp_path / "fixed")]
    assert main(words) == 0
    assert "nothing to correct" in capsys.readouterr().out
