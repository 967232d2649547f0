"""Every fault that the doctor knows, planted into clean data: found, refused, and mended where it can be."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml
from PIL import Image

from semiverse.cli.main import main
from semiverse.commands.check import check
from semiverse.datasets import Folder
from semiverse.doctor.examine import examine_domain
from semiverse.doctor.page import as_values
from semiverse.mixture import Domain, DomainMixture

CLASSES = ["grass", "stone", "water"]
PALETTE = [[0, 128, 0], [140, 140, 140], [0, 0, 200]]
SIZE = (40, 48)


class Fault(NamedTuple):
    """A fault, and what has to be said of it."""

    plant: Callable[[Path], None]
    kind: str
    file: str
    severity: str = "problem"
    options: dict[str, Any] = {}  # noqa: RUF012
    fixed: bool = False
    """Whether the corrected copy has the very masks from before, all of them."""


def photo(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A picture in which large shapes and fine grain are its own."""
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.integers(30, 225, (-(-size[0] // 8), -(-size[1] // 8), 3)), np.ones((8, 8, 1)))
    return (coarse[: size[0], : size[1]] + rng.integers(-20, 20, (*size, 3))).astype(np.uint8)


def ids(seed: int, count: int = 3) -> np.ndarray:
    """A mask of ids: some bands."""
    rows, columns = np.indices(SIZE)
    return ((rows // 7 + columns // 12 + seed) % count).astype(np.uint8)


def save(path: Path, values: np.ndarray, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)


def masks(root: Path) -> list[Path]:
    return sorted(root.glob("*/masks/*.png"))


def every(change: Callable[[np.ndarray], np.ndarray], **options: Any) -> Callable[[Path], None]:
    """Changes all masks."""

    def plant(root: Path) -> None:
        for path in masks(root):
            save(path, change(np.asarray(Image.open(path))), **options)

    return plant


def one(change: Callable[[np.ndarray], np.ndarray], name: str = "train/masks/b.png") -> Callable[[Path], None]:
    """Changes one mask."""

    def plant(root: Path) -> None:
        save(root / name, change(np.asarray(Image.open(root / name))))

    return plant


def in_colors(mask: np.ndarray) -> np.ndarray:
    return np.array(PALETTE, dtype=np.uint8)[mask]


def smoothed(mask: np.ndarray) -> np.ndarray:
    """Edges that some program made soft, without a pixel that is out of place."""
    large = Image.fromarray(in_colors(mask)).resize((SIZE[1] * 4, SIZE[0] * 4), Image.Resampling.NEAREST)
    return np.asarray(large.rotate(0.4, Image.Resampling.BILINEAR).resize(SIZE[::-1], Image.Resampling.BOX))


def pixel(mask: np.ndarray, value: Any) -> np.ndarray:
    changed = mask.copy()
    changed[5, 7] = value
    return changed


def palette_image(path: Path, palette: list[int]) -> None:
    image = Image.fromarray(np.asarray(Image.open(path)))
    image.putpalette(palette)
    image.save(path)


def untouched(root: Path) -> None:
    """The fault is in what is declared."""


def every_palette_image(root: Path) -> None:
    for path in masks(root):
        palette_image(path, [0, 128, 0, 90, 90, 90, 0, 0, 200])


def jpeg_masks(root: Path) -> None:
    for path in masks(root):
        Image.fromarray(in_colors(np.asarray(Image.open(path)))).save(
            path.with_suffix(".jpg"), quality=95, subsampling=0
        )
        path.unlink()


def index_jpeg(root: Path) -> None:
    path = root / "train" / "masks" / "b.png"
    Image.open(path).save(path.with_suffix(".jpg"), quality=80)
    path.unlink()


def resized_mask(root: Path) -> None:
    path = root / "train" / "masks" / "b.png"
    image = Image.open(path)
    image.resize((image.width * 2, image.height * 2), Image.Resampling.NEAREST).save(path)


def swapped_mask(root: Path) -> None:
    path = root / "train" / "masks" / "b.png"
    Image.open(path).rotate(90, expand=True).save(path)


def turned_image(root: Path) -> None:
    """A photograph stored lying, as cameras do, with a mask of the lying picture."""
    image = root / "train" / "images" / "b.png"
    picture, exif = Image.open(image), Image.Exif()
    exif[274] = 6
    picture.save(image.with_suffix(".jpg"), quality=95, exif=exif)
    image.unlink()


def upside_down(root: Path) -> None:
    image = root / "train" / "images" / "b.png"
    picture, exif = Image.open(image), Image.Exif()
    exif[274] = 3
    picture.save(image.with_suffix(".jpg"), quality=95, exif=exif)
    image.unlink()


def truncated(root: Path) -> None:
    path = root / "train" / "images" / "b.png"
    path.write_bytes(path.read_bytes()[:-600])


def bad_list(text: str) -> Callable[[Path], None]:
    """Turns the folders into undivided ones with lists."""

    def plant(root: Path) -> None:
        for split in ("train", "val"):
            for kind in ("images", "masks"):
                shutil.copytree(root / split / kind, root / kind, dirs_exist_ok=True)
            (root / f"{split}.txt").write_text("a\nb\nc\n" if split == "train" else "d\ne\n")
            shutil.rmtree(root / split)
        (root / "train.txt").write_text(text)

    return plant


def copied(source: str, goal: str) -> Callable[[Path], None]:
    return lambda root: shutil.copy(root / source, root / goal) and None


def resaved(root: Path) -> None:
    """A validation image that is a training image, brighter and in another format."""
    picture = Image.open(root / "train" / "images" / "b.png")
    brighter = picture.point(lambda value: min(255, value + 3))
    brighter.save(root / "val" / "images" / "d.jpg", quality=90)
    (root / "val" / "images" / "d.png").unlink()


def tiny_pair(root: Path) -> None:
    save(root / "train" / "images" / "b.png", photo(1, (20, 24)))
    save(root / "train" / "masks" / "b.png", ids(1)[:20, :24])


def picture_of_another_kind(root: Path) -> None:
    (root / "train" / "images" / "x.heic").write_bytes(b"x")


def stack(root: Path) -> None:
    pages = [Image.fromarray(photo(seed)) for seed in (70, 71)]
    (root / "train" / "images" / "b.png").unlink()
    pages[0].save(root / "train" / "images" / "b.tif", save_all=True, append_images=pages[1:])


def dark(root: Path) -> None:
    save(root / "train" / "images" / "b.png", photo(72) // 8)


def beside_case(root: Path) -> None:
    save(root / "train" / "images" / "B.png", photo(77))
    save(root / "train" / "masks" / "B.png", ids(5))


CITYSCAPES = (
    "road sidewalk building wall fence pole traffic_light traffic_sign vegetation terrain sky person rider car truck "
    "bus train motorcycle bicycle"
).split()
LABEL_IDS = np.array([7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33], dtype=np.uint8)
TWO = {"classes": ["ground", "thing"]}
RGB = {"masks": "rgb", "palette": PALETTE}
LISTS = {"splits": {"train": "train.txt", "val": "val.txt"}}

FAULTS = {
    "heic": Fault(picture_of_another_kind, "not-read", "x.heic"),
    "stack": Fault(stack, "stack", "b.tif", "remark"),
    "dark": Fault(dark, "dark", "b.png", "remark"),
    "transparency": Fault(
        one(lambda mask: np.dstack([np.zeros((*SIZE, 3), np.uint8), 255 * (mask > 0).astype(np.uint8)])),
        "transparency",
        "b.png",
    ),
    "binary-as-ids": Fault(every(lambda m: (m > 0).astype(np.uint8) * 255), "binary", "a.png", options=TWO, fixed=True),
    "palette-for-ids": Fault(every_palette_image, "palette", "a.png", fixed=True),
    "ids-for-palette": Fault(untouched, "ids", "a.png", options={"masks": "palette"}, fixed=True),
    "colours-for-ids": Fault(every(in_colors), "colours", "a.png"),
    "declared-colours-for-ids": Fault(every(in_colors), "colours", "a.png", options={"palette": PALETTE}, fixed=True),
    "ids-for-colours": Fault(untouched, "ids", "a.png", options=RGB, fixed=True),
    "grey-stored-as-colours": Fault(every(lambda m: np.stack([m] * 3, -1)), "grey-as-colours", "a.png", fixed=True),
    "smoothed-edges": Fault(every(smoothed), "smoothed-edges", "a.png", options=RGB),
    "smoothed-binary": Fault(
        every(
            lambda m: np.asarray(Image.fromarray((m > 0).astype(np.uint8) * 255).resize((96, 80)).resize(SIZE[::-1]))
        ),
        "smoothed-edges",
        "a.png",
        options=TWO | {"masks": "binary"},
    ),
    "off-by-one": Fault(every(lambda m: m + 1), "off-by-one", "a.png", fixed=True),
    "one-class-more": Fault(one(lambda m: pixel(m, 3)), "one-more", "b.png"),
    "stretched-ids": Fault(every(lambda m: np.array([0, 127, 255], np.uint8)[m]), "stretched", "a.png", fixed=True),
    "label-ids-of-cityscapes": Fault(
        every(lambda m: LABEL_IDS[np.indices(m.shape).sum(axis=0) // 4 % 19]),
        "label-ids",
        "a.png",
        options={"classes": CITYSCAPES},
    ),
    "sixteen-bits": Fault(every(lambda m: m.astype(np.uint16) * 257), "16-bit", "a.png", fixed=True),
    "jpeg-masks": Fault(jpeg_masks, "jpeg-mask", "a.jpg", options=RGB),
    "jpeg-of-ids": Fault(index_jpeg, "jpeg-mask", "b.jpg"),
    "unknown-value": Fault(one(lambda m: pixel(m, 9)), "unknown-value", "b.png"),
    "unknown-colour": Fault(
        lambda root: [every(in_colors)(root), one(lambda m: pixel(m, (9, 250, 9)))(root)] and None,
        "unknown-colour",
        "b.png",
        options=RGB,
    ),
    "one-class-only": Fault(every(lambda m: m * 0), "one-class", "a.png"),
    "nothing-labelled": Fault(every(lambda m: m * 0 + 255), "all-ignored", "a"),
    "other-size": Fault(resized_mask, "sizes", "b.png", fixed=True),
    "cropped-mask": Fault(one(lambda m: m[:30]), "sizes", "b.png"),
    "swapped-sides": Fault(swapped_mask, "sizes", "b.png"),
    "mask-of-lying-image": Fault(turned_image, "sizes", "b.png"),
    "missing-mask": Fault(lambda root: (root / "train/masks/b.png").unlink(), "no-mask", "b.png"),
    "two-endings": Fault(lambda root: save(root / "train/images/b.bmp", photo(50)), "two-endings", "b.bmp"),
    "empty-file": Fault(lambda root: (root / "train/images/b.png").write_bytes(b"") and None, "unreadable", "b.png"),
    "text-as-image": Fault(lambda root: (root / "train/images/b.png").write_text("x") and None, "unreadable", "b.png"),
    "truncated-image": Fault(truncated, "unreadable", "b.png"),
    "empty-mask-file": Fault(
        lambda root: (root / "train/masks/b.png").write_bytes(b"") and None, "unreadable", "b.png"
    ),
    "listed-and-missing": Fault(bad_list("a\nb\nzebra\n"), "list", "zebra", options=LISTS),
    "listed-twice": Fault(bad_list("a\nb\na\n"), "list", "'a'", options=LISTS),
    "empty-list": Fault(bad_list("\n"), "list", "train.txt", options=LISTS),
    "missing-split": Fault(lambda root: shutil.rmtree(root / "val"), "records", "val"),
    "mask-without-image": Fault(copied("train/masks/b.png", "train/masks/z.png"), "no-image", "z.png", "remark"),
    "text-beside-images": Fault(
        lambda root: (root / "train/images/notes.txt").write_text("x") and None, "no-image-file", "notes.txt", "remark"
    ),
    "names-differ-in-case": Fault(beside_case, "letter-case", "B", "remark"),
    "image-of-both-splits": Fault(copied("train/images/b.png", "val/images/d.png"), "duplicates", "d.png", "remark"),
    "resaved-in-the-other-split": Fault(resaved, "near-duplicates", "d.jpg", "remark"),
    "image-twice": Fault(copied("train/images/a.png", "train/images/b.png"), "twice", "b.png", "remark"),
    "turned-image": Fault(upside_down, "turned", "b.jpg", "remark"),
    "grey-image": Fault(lambda root: save(root / "train/images/b.png", photo(1)[..., 0]), "not-rgb", "b.png", "remark"),
    "tiny-image": Fault(tiny_pair, "tiny", "b.png", "remark"),
    "class-never-seen": Fault(every(lambda m: m % 2), "unseen-class", "water", "remark"),
    "class-hardly-seen": Fault(
        lambda root: (
            [
                [save(root / f"train/images/{n}.png", photo(n + 300, (160, 160))) for n in range(3)],
                [
                    save(root / f"train/masks/{n}.png", np.kron(ids(0)[:20, :20] % 2, np.ones((8, 8), np.uint8)))
                    for n in range(3)
                ],
                every(lambda m: pixel(m % 2, 2) if m.shape == SIZE and m.sum() % 2 else m % 2)(root),
                one(lambda m: pixel(m % 2, 2), "train/masks/a.png")(root),
            ]
            and None
        ),
        "rare-class",
        "water",
        "remark",
    ),
    "mask-without-labels": Fault(one(lambda m: m * 0 + 255), "empty-mask", "b", "remark"),
    "mask-mostly-ignored": Fault(
        one(lambda m: np.where(np.indices(SIZE)[0] < 38, 255, m).astype(np.uint8)), "mostly-ignored", "b.png", "remark"
    ),
}


@pytest.fixture
def meadow(tmp_path: Path) -> Path:
    """Two splits, every class in every mask."""
    for number, (split, name) in enumerate(
        [("train", "a"), ("train", "b"), ("train", "c"), ("val", "d"), ("val", "e")]
    ):
        save(tmp_path / "meadow" / split / "images" / f"{name}.png", photo(number))
        save(tmp_path / "meadow" / split / "masks" / f"{name}.png", ids(number))
    return tmp_path / "meadow"


def arguments(root: Path, fault: Fault) -> dict[str, Any]:
    return {"root": str(root), "classes": CLASSES} | fault.options


def findings(options: dict[str, Any], fix: Path | None = None) -> list[dict[str, Any]]:
    data = DomainMixture({"meadow": Domain(Folder(**options | {"root": Path(options["root"])}))}, workers=0)
    code = check(data, None, fix)
    found = as_values(examine_domain(data, "meadow"))["findings"]
    assert code == any(finding["severity"] == "problem" for finding in found)
    return found


def write_config(folder: Path, values: dict[str, Any]) -> Path:
    domain = {"dataset": {"class_path": "Folder", "init_args": values}}
    content = {
        "data": {"domains": {"meadow": domain}, "batch_size": 2, "workers": 0, "crop": [16, 16]},
        "model": {"encoder": "drn_d_22", "width": 0.0625},
        "trainer": {"max_steps": 1, "accelerator": "cpu"},
    }
    (folder / "meadow.yaml").write_text(yaml.safe_dump(content))
    return folder / "meadow.yaml"


def test_clean_data_gives_no_finding(meadow: Path, tmp_path: Path) -> None:
    assert findings({"root": meadow, "classes": CLASSES}) == []


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_fault_is_found_with_its_file_and_a_remedy(fault: Fault, meadow: Path, tmp_path: Path) -> None:
    fault.plant(meadow)
    found = findings(arguments(meadow, fault))
    (mine,) = [finding for finding in found if finding["kind"] == fault.kind and fault.file in finding["message"]][:1]
    assert mine["severity"] == fault.severity
    assert "expected" in mine["message"] or "declared" in mine["message"]
    assert mine["remedy"]
    others = {finding["kind"] for finding in found} - {fault.kind}
    assert not [finding for finding in found if finding["severity"] == "problem" and finding["kind"] != fault.kind], (
        others
    )


PROBLEMS = {name: fault for name, fault in FAULTS.items() if fault.severity == "problem"}


@pytest.mark.parametrize("fault", PROBLEMS.values(), ids=PROBLEMS.keys())
def test_training_refuses_the_fault_before_anything_is_written(
    fault: Fault, meadow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fault.plant(meadow)
    config = write_config(tmp_path, arguments(meadow, fault))
    assert main(["train", "--config", str(config), "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert "cannot be used" in said and fault.file in said and "Traceback" not in said
    assert not (tmp_path / "run").exists()


UNDONE = ("colours-for-ids", "one-class-more", "one-class-only", "nothing-labelled", "missing-mask", "missing-split")
NOTHING_LEFT = {*UNDONE, "listed-and-missing", "listed-twice", "empty-list", "two-endings"}
MENDED = {name: fault for name, fault in PROBLEMS.items() if name not in NOTHING_LEFT}


@pytest.mark.parametrize("fault", MENDED.values(), ids=MENDED.keys())
def test_corrected_copy_is_clean_and_the_owners_files_are_untouched(
    fault: Fault, meadow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = {path.relative_to(meadow): np.asarray(Image.open(path)) for path in masks(meadow)}
    fault.plant(meadow)
    before = {path: path.read_bytes() for path in sorted(meadow.rglob("*")) if path.is_file()}
    findings(arguments(meadow, fault), tmp_path / "fixed")
    lines = yaml.safe_load(capsys.readouterr().out.partition("use them with:\n")[2])
    assert {path: path.read_bytes() for path in sorted(meadow.rglob("*")) if path.is_file()} == before
    new = lines["data"]["domains"]["meadow"]["dataset"]["init_args"]
    assert findings(new) == []
    if fault.fixed:
        for path, mask in wanted.items():
            mask = (mask > 0).astype(np.uint8) if fault.options == TWO else mask
            assert np.array_equal(np.asarray(Image.open(tmp_path / "fixed" / "meadow" / path)), mask)


def test_mask_of_a_lying_image_is_turned_as_the_image_is(meadow: Path, tmp_path: Path) -> None:
    before = np.asarray(Image.open(meadow / "train" / "masks" / "b.png"))
    turned_image(meadow)
    findings({"root": meadow, "classes": CLASSES}, tmp_path / "fixed")
    after = np.asarray(Image.open(tmp_path / "fixed" / "meadow" / "train" / "masks" / "b.png"))
    assert np.array_equal(after, np.rot90(before, -1))  # orientation 6: a quarter turn clockwise


@pytest.mark.parametrize("name", sorted(NOTHING_LEFT))
def test_what_cannot_be_corrected_is_said_with_the_reason(
    name: str, meadow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = FAULTS[name]
    fault.plant(meadow)
    findings(arguments(meadow, fault), tmp_path / "fixed")
    assert f"not fixable: {fault.kind} (" in capsys.readouterr().out
