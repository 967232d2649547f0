"""Everything of the library that reads files of users: valid files of each kind, and what reads them.

Readers of datasets are found by themselves: every dataset has a writer in ``tests/fakes``, and every kind of file that
one writes, other than its photographs, is a target.
"""

import io
import json
import shutil
import tarfile
from collections.abc import Callable, Sequence
from functools import cache, partial
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from semiverse.cli.call import parse
from semiverse.clustering.folder import ClusterFolder, name_clusters
from semiverse.commands.train import train
from semiverse.configuration import load_yaml, read_config
from semiverse.data import Resolution, SegmentationDataset
from semiverse.data.cache import CachedReader
from semiverse.data.headers import read_header
from semiverse.data.images import examine_raw, note_image, read_image
from semiverse.data.masks import MaskCoding
from semiverse.data.survey import examine, survey
from semiverse.datasets import Folder
from semiverse.discovery.configuration import configured, look_at
from semiverse.downloads.archives import stated_commit, unpack
from semiverse.downloads.download import installed
from semiverse.embeddings.sources import RowsFromFile
from semiverse.files import DataProblem, Outputs, read_json, states
from semiverse.formats.matlab import load_matlab, struct_field, train_ids
from semiverse.formats.regions import drawn_once
from semiverse.inference.journal import Journal
from semiverse.inference.sources import as_image
from semiverse.labels import IGNORE, LabelSpace
from semiverse.mixture import Domain, DomainMixture
from semiverse.mixture.pseudolabels import PseudoLabels
from semiverse.models import ModelConfig, SegmentationModel
from semiverse.models.published import read_tensors
from semiverse.models.saving import read_model
from semiverse.recipes.recipe import load as load_recipe
from semiverse.recipes.results import read_results
from semiverse.reporting.features import read_features
from semiverse.reporting.published import read_published
from semiverse.reporting.rounds import tables_of_rounds
from semiverse.reporting.runs import read_run
from semiverse.reporting.settings import settings
from semiverse.run import Run
from tests.fakes import WRITERS
from tests.faults.fuzz import Reader, World
from tests.robustness.yards import folder as yard_of
from tests.robustness.yards import halves, photo, save, yard

RUN: dict[str, Path] = {}
"""``run``: a finished and evaluated run, set by whoever starts readers of run folders."""
SIZE = (8, 9)
THREE = ("road", "car", "sky")


def written(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def pictures(kind: str) -> list[bytes]:
    """Small pictures of a format, in the ways in which it stores pixels."""
    colors = Image.fromarray(photo(size=SIZE))
    grey = colors.convert("L")
    clear = colors.convert("RGBA")
    deep = Image.fromarray(np.arange(72, dtype=np.uint16).reshape(SIZE) * 900)
    exif = Image.Exif()
    exif[0x112], exif[0x10E] = 6, "words"
    noted = {"exif": exif}
    match kind:
        case "PNG":
            plain = [colors, grey, clear, deep, colors.convert("P"), grey.convert("1"), clear.convert("LA")]
            return [written(one, kind) for one in plain] + [written(colors, kind, **noted)]
        case "JPEG":
            return [written(colors, kind, **noted), written(grey, kind), written(colors, kind, progressive=True),
                    written(colors.convert("CMYK"), kind)]  # fmt: skip
        case "TIFF":
            found = [written(one, kind) for one in (colors, grey, clear, deep, colors.convert("P"))]
            packed = ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
            found += [written(colors, kind, compression=one) for one in packed]
            return [*found, written(colors, kind, **noted), written(grey.convert("1"), kind, compression="group4")]
        case "GIF":
            return [written(colors, kind), written(grey, kind, save_all=True, append_images=[grey.rotate(90)])]
        case "WEBP":
            return [written(colors, kind), written(clear, kind, lossless=True), written(colors, kind, **noted)]
        case "PPM":
            return [written(one, kind) for one in (colors, grey, grey.convert("1"))] + [b"P3 2 1 255 1 2 3 4 5 6\n"]
        case _:
            return [written(colors, kind), written(grey, kind)]


ENDINGS = {
    "PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif", "GIF": ".gif", "WEBP": ".webp", "BMP": ".bmp", "PPM": ".ppm",
    "JPEG2000": ".jp2", "AVIF": ".avif",
}  # fmt: skip


def photographs(kind: str, folder: Path) -> list[World]:
    """A photograph of this format, as a file and as the body of a request."""
    worlds = []
    for number, content in enumerate(pictures(kind)):
        path = folder / f"{number}{ENDINGS[kind]}"
        path.write_bytes(content)
        worlds.append(World(path, partial(read_photograph, path)))
    return worlds


def read_photograph(path: Path) -> None:
    header = read_header(path)
    if len(path.read_bytes()) % 5 == 0:  # the way of the service
        try:
            check_image(as_image(path.read_bytes()), header)
        except DataProblem as problem:
            assert "\n" not in str(problem), problem
    image = read_image(path)
    check_image(image, header)
    facts = note_image(path, image)
    assert facts.thumbnail.shape == (16, 18)


def check_image(image: torch.Tensor, header: Any) -> None:
    assert image.dtype == torch.uint8 and image.ndim == 3 and image.shape[0] == 3, (image.dtype, image.shape)
    assert header.format is not None, "read, but without header"
    assert tuple(image.shape[1:]) == (header.size[::-1] if header.lying else header.size), (image.shape, header)
    assert min(image.shape) > 0, image.shape


CODINGS = {
    "index": MaskCoding("index", THREE),
    "ids": MaskCoding("index", THREE, ids={"road": 7, "car": [300, 301], "sky": 65535}, ignore=None, others="ignore"),
    "palette": MaskCoding("palette", THREE),
    "rgb": MaskCoding("rgb", THREE, palette=((0, 0, 0), (9, 9, 9), (255, 255, 255)), ignore_color=(1, 2, 3)),
    "binary": MaskCoding("binary", ("other", "door")),
}


def masks(coding: str, folder: Path) -> list[World]:
    """Masks of a coding in every format that can hold it."""
    values = np.resize(np.array([0, 1, 2, 255] if coding != "binary" else [0, 255], dtype=np.uint8), SIZE)
    grey = Image.fromarray(values)
    if coding == "ids":
        wide = np.resize(np.array([7, 300, 301, 65535]), SIZE)
        kinds = (("PNG", np.uint16), ("TIFF", np.uint16), ("TIFF", np.int32), ("TIFF", np.float32))
        stored = [(kind, Image.fromarray(wide.astype(number))) for kind, number in kinds]
    elif coding == "palette":
        indexed = Image.fromarray(values)
        indexed.putpalette([value for i in range(256) for value in (i, 255 - i, 7)])
        stored = [("PNG", indexed), ("TIFF", indexed), ("BMP", indexed)]
    elif coding == "rgb":
        colors = Image.fromarray(np.array([[0] * 3, [9] * 3, [255] * 3, [1, 2, 3]], dtype=np.uint8)[values % 4])
        stored = [("PNG", colors), ("TIFF", colors), ("BMP", colors), ("PPM", colors), ("PNG", colors.convert("RGBA"))]
    else:
        stored = [
            ("PNG", grey),
            ("TIFF", grey),
            ("PPM", grey),
            ("BMP", grey),
            ("PNG", Image.fromarray(values % 2 * 255).convert("1")),
        ]
        stored = stored if coding == "binary" else stored[:-1]
    worlds = []
    for number, (kind, picture) in enumerate(stored):
        path = folder / f"{number}{ENDINGS[kind]}"
        picture.save(path, kind)
        worlds.append(World(path, partial(read_coded, CODINGS[coding], path)))
    return worlds


def read_coded(coding: MaskCoding, path: Path) -> None:
    examine_raw(path)
    check_mask(coding.read(path), len(coding.classes))


def check_mask(mask: torch.Tensor, classes: int, size: tuple[int, ...] | None = None) -> None:
    assert mask.dtype == torch.uint8 and mask.ndim == 2, (mask.dtype, mask.shape)
    assert size is None or mask.shape == size, (mask.shape, size)
    strange = (mask >= classes) & (mask != IGNORE)
    assert not strange.any(), f"train id {mask[strange][0]} of {classes} classes"


# Datasets


def again(dataset: SegmentationDataset) -> SegmentationDataset:
    """The same dataset, which knows nothing yet of its files."""
    names = [name for name, one in signature(type(dataset)).parameters.items() if one.kind is not one.VAR_KEYWORD]
    values = {name: getattr(dataset, name) for name in names}
    inner = {name: again(value) for name, value in values.items() if isinstance(value, SegmentationDataset)}
    return type(dataset)(**values | inner)


@cache
def files_of_datasets() -> dict[tuple[str, str], list[tuple[str, str, int]]]:
    """Files that datasets read, beside photographs: case, path, number of the file, by dataset and ending."""
    from tempfile import TemporaryDirectory

    found: dict[tuple[str, str], list[tuple[str, str, int]]] = {}
    for kind, cases in WRITERS.items():
        for case, write in cases.items():
            with TemporaryDirectory() as place:
                root = Path(place) / "owner"
                records = write(root).dataset.subset("all")
                seen = {record.image for record in records}
                for path in sorted(path for path in root.rglob("*") if path.is_file()):
                    name = path.relative_to(root).as_posix()
                    key = (kind.__name__, path.suffix.lower())
                    known = [one for one in found.get(key, []) if one[0] == case]
                    if path not in seen and path.suffix in MUTATED and path.stat().st_size and len(known) < 2:
                        found.setdefault(key, []).append((case, name, len(known)))
    return found


MUTATED = {
    ".png": "png", ".json": "json", ".xml": "text", ".txt": "text", ".mat": "matlab", ".yaml": "yaml",
    ".jpg": "binary",
}  # fmt: skip
"""How files of datasets are damaged, by their ending."""


def of_dataset(kind: type, files: Sequence[tuple[str, str, int]], folder: Path) -> list[World]:
    """Worlds of a dataset: one for each of these files."""
    worlds, roots = [], {}
    for case, name, _ in files:
        if case not in roots:
            roots[case] = WRITERS[kind][case](folder / case / "owner").dataset
        path = folder / case / "owner" / name
        worlds.append(World(path, partial(read_dataset, roots[case], path)))
    return worlds


def read_dataset(fresh: SegmentationDataset, path: Path) -> None:
    """Read what is wrong with a file, as training does; the doctor has to say it of the record, and go on."""
    dataset = again(fresh)
    records = dataset.subset("all")
    concerned = [record for record in records if path in (record.image, record.mask, *(record.mask or path).parents)]
    for record in (concerned or records)[:1]:
        content = examine(dataset, record)
        if content.problem is not None:
            assert content.at != "reader", content.problem
            raise content.problem


# Configurations, lists, runs, models


CONFIG = {
    "data": {
        "domains": {
            "streets": {
                "dataset": {
                    "class_path": "SyntheticStreets",
                    "init_args": {"images": 2, "val_images": 1, "size": [16, 16]},
                },
                "labeled": "1/2",
                "resolution": {"scale": 0.5},
            },
            "own": {
                "dataset": {
                    "class_path": "Folder",
                    "init_args": {"root": "x", "classes": ["a", "b"], "ids": {"a": 1, "b": 2}},
                }
            },
        },
        "batch_size": 2,
        "crop": [8, 8],
        "augmentation": {"color": 0.3},
    },
    "model": {"encoder": "drn_d_22", "width": 0.0625},
    "method": {"class_path": "Universal", "init_args": {"embed_dim": 8, "warmup": [0.2, 0.6]}},
    "optimizer": {"lr": 1e-3},
    "trainer": {"max_steps": 2},
    "out": "runs/x",
}


def configurations(folder: Path, read: Callable[[Path], object]) -> list[World]:
    path = folder / "c.yaml"
    path.write_text(json.dumps(CONFIG))
    return [World(path, partial(read, path))]


def parse_config(path: Path) -> None:
    built = parse("train", train, (), ["--config", str(path)])
    assert isinstance(built["data"], DomainMixture)


def lists(folder: Path) -> list[World]:
    """Lists of splits, and the file that says how they were drawn."""
    root = yard(folder / "yard", ("a", "b", "sub/c"))
    (root / "train.txt").write_text("# chosen\na\nimages/b.png masks/b.png\n")
    (root / "val.txt").write_text("sub/c\n")
    dataset = Folder(root, ("ground", "fence"), splits={"train": Path("train.txt"), "val": Path("val.txt")})
    return [World(root / f"{name}.txt", partial(read_list, dataset, name)) for name in ("train", "val")]


def read_list(dataset: Folder, split: str) -> None:
    records = again(dataset).subset(split)
    names = [record.id for record in records]
    assert records and len(set(names)) == len(names) and set(names) <= {"a", "b", "sub/c"}, names


def run_files(name: str, read: Callable[[Path], object], folder: Path) -> list[World]:
    """One of the files of a run, in a copy of the folder."""
    copy = folder / "run"
    shutil.copytree(RUN["run"], copy)
    for path in copy.glob("checkpoints/best.ckpt" if "last" in name else "checkpoints/*"):
        path.unlink()
    return [World(copy / name, partial(read, copy))]


def read_facts(run: Path) -> None:
    """What a report reads, and the tables that it makes from it; a file that is left out has to be named."""
    from semiverse.reporting.comparisons import compare
    from semiverse.reporting.page import _environments, label_lists, summary_sentences
    from semiverse.reporting.scores import difference_table, score_table
    from semiverse.reporting.verdicts import verdict_on

    facts = read_run(run, "run")
    compared = settings([facts])
    read_features(run)
    score_table(compared)
    difference_table([facts, facts])
    label_lists([facts])
    _environments([facts])
    summary_sentences(compared, {})
    [verdict_on(pair) for pair in compare(compared)]
    for problem in facts.problems:
        assert "\n" not in problem and len(problem) < 1000, problem
    if facts.problems:
        raise DataProblem(facts.problems[0], "as written", "remove it")


def read_run_config(run: Path) -> None:
    from semiverse.cli.call import given_values
    from semiverse.commands.evaluate import evaluate

    found = Run(run)
    values = found.read_config()
    assert isinstance(values, dict)
    given_values(evaluate, ("run",), [str(run)])


def read_labeled(run: Path) -> None:
    from semiverse.training.start import refuse_other_labels

    refuse_other_labels(Run(run), mixture())


def read_held_out(run: Path) -> None:
    Run(run).restore_held_out(mixture())


def mixture() -> DomainMixture:
    return _mixture()


@cache
def _mixture() -> DomainMixture:
    config = Run(RUN["run"]).read_config()
    return parse("check", _takes_data, (), ["--data", json.dumps(config["data"])])["data"]


def _takes_data(data: DomainMixture) -> None:
    """A command about data.

    Args:
        data: Domains.
    """


def read_checkpoint(run: Path) -> None:
    """As a training that goes on does, without its network."""
    last = Run(run).last
    with Run(run).part(last):
        state = torch.load(last, map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise ValueError(f"found {type(state).__name__}")


def model_files(name: str, folder: Path) -> list[World]:
    """A file of a model's folder; the network is built and filled where names and shapes can be believed."""
    torch.manual_seed(0)
    spaces = {
        "yard": LabelSpace("yard", ("ground", "fence", "machine")),
        "street": LabelSpace("street", ("road", "sky")),
    }
    model = SegmentationModel(ModelConfig("drn_d_22", width=1 / 32, pretrained=False), spaces)
    model.save(folder / "model")
    return [World(folder / "model" / name, partial(load_model, folder / "model", name))]


def load_model(folder: Path, name: str) -> None:
    saved = read_model(folder)
    assert all(isinstance(space, LabelSpace) for space in saved.label_spaces.values())
    if name.endswith(".json"):
        SegmentationModel.load(folder)


def weight_files(folder: Path) -> list[World]:
    """Published weights."""
    path = folder / "weights.pth"
    torch.save({"state_dict": {"a.weight": torch.ones(2, 3), "b": torch.zeros(1)}, "epoch": 3}, path)
    return [World(path, partial(read_tensors, path))]


def row_files(folder: Path) -> list[World]:
    from safetensors.torch import save_file

    path = folder / "rows.safetensors"
    spaces = {"yard": LabelSpace("yard", ("ground", "fence"))}
    model = SegmentationModel(ModelConfig("drn_d_22", width=1 / 32, pretrained=False), spaces)
    model.add_label_embeddings(embed_dim=4, centroids=1)
    save_file({"yard": torch.ones(2, 1, model.label_embeddings.rows("yard").shape[-1])}, path)
    return [World(path, lambda: RowsFromFile(path).fill(model, None))]


def archives(folder: Path) -> list[World]:
    """An archive as git makes them."""
    path = folder / "data.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": "0" * 40}) as tar:
        for name, content in (("top/README", b"x"), ("top/images/a.txt", b"abc" * 50), ("top/images/b/c.txt", b"")):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return [World(path, partial(read_archive, path, folder))]


def read_archive(path: Path, folder: Path) -> None:
    goal = folder / "unpacked"
    shutil.rmtree(goal, ignore_errors=True)
    goal.mkdir()
    stated_commit(path)
    files = unpack(path, goal, ("images",))
    outside = {one.name for one in folder.iterdir()} - {"unpacked", path.name}
    assert not outside, outside
    assert {one.relative_to(goal).as_posix() for one in goal.rglob("*") if one.is_file()} == set(files)
    assert not any(one.is_symlink() for one in goal.rglob("*"))


def matlab_files(folder: Path) -> list[World]:
    """Files of both kinds, with everything that datasets ask for."""
    import h5py
    from scipy.io import savemat

    entries = np.array([(np.eye(3, dtype=np.uint8), "a")], dtype=[("seg", "O"), ("name", "O")])
    old, new, apart = folder / "old.mat", folder / "new.mat", folder / "plain.mat"
    savemat(old, {"mask": np.eye(4, dtype=np.uint8), "entries": entries, "text": "words"}, do_compression=True)
    savemat(apart, {"mask": np.eye(4, dtype=np.uint8), "entries": entries})
    with h5py.File(new, "w") as file:
        file["mask"] = np.eye(4, dtype=np.uint8)
        file["inner/text"] = np.array([65, 66], dtype=np.uint16)
        file["inner/text"].attrs["MATLAB_class"] = np.bytes_("char")
    return [World(path, partial(read_matlab, path)) for path in (old, apart, new)]


def read_matlab(path: Path) -> None:
    values = load_matlab(path)
    if "entries" in values:
        struct_field(path, "entries", "seg")
    if "mask" in values:
        check_mask(train_ids(values["mask"], np.array([0, 1], dtype=np.uint8), path), 2)


# Caches and what commands leave for later calls


def cached_samples(folder: Path) -> list[World]:
    """Entries of the cache of decoded images; a damaged one is read from its file instead, or is of the same size."""
    root = yard(folder / "yard", "ab")
    reader = CachedReader(yard_of(root), Resolution(0.5), folder / "cache")
    records = yard_of(root).subset("all")
    reader.build(records, "yard")
    return [World(path, partial(read_cached, reader, records)) for path in sorted((folder / "cache").rglob("*.*"))]


def read_cached(reader: CachedReader, records: Sequence[Any]) -> None:
    for record in records:
        image, mask = reader.read(record)
        assert image.shape[1:] == mask.shape, (image.shape, mask.shape)


def surveys(folder: Path) -> list[World]:
    """What a check remembers of files; damaged, they are looked at again."""
    import os

    os.environ["SEMIVERSE_CACHE"] = str(folder / "cache")
    states.SETTLED = -1.0  # in this process, files that were just written are remembered
    dataset = yard_of(yard(folder / "yard", "ab"))
    survey(dataset, dataset.subset("all"), "yard")
    path = next((folder / "cache").rglob("*.jsonl"))
    return [World(path, partial(read_survey, dataset))]


def journals(folder: Path) -> list[World]:
    """What a call notes of its results; damaged, that is done again."""
    call, share = {"images": ["a.png", "b.png"]}, (0, 1)
    journal = Journal(folder, "predict", call, share=share)
    journal.start()
    for name in ("a", "b"):
        journal.note(name, {"file": f"{name}.png", "confidence": 0.5})
    journal.close()

    def read() -> None:
        for key, entry in Journal(folder, "predict", call, share=share).entries.items():
            assert isinstance(key, str) and isinstance(entry, dict), (key, entry)

    return [World(folder / ".predict_0.jsonl", read)]


def read_survey(dataset: Folder) -> None:
    for content in survey(dataset, dataset.subset("all"), "yard"):
        assert content.problem is None
        assert content.pixels is not None and content.pixels.shape == (3,), content.pixels


def drawings(folder: Path) -> list[World]:
    path = folder / "drawn.npz"
    drawn_once(path, lambda: torch.ones(3, 4, dtype=torch.uint8))
    return [World(path, lambda: check_mask(drawn_once(path, lambda: torch.ones(3, 4, dtype=torch.uint8)), 255, (3, 4)))]


def clusters(folder: Path) -> list[World]:
    """``clusters.json``: what a next call goes on from, and what naming reads."""
    from semiverse.clustering.results import Clusters

    image = save(folder / "photos" / "a.png", photo())
    made = ClusterFolder(folder / "out", {"seed": 0}, overwrite=False, pictures=False)
    labels = LabelSpace("clusters", ("0", "1"))
    found = Clusters(torch.from_numpy(halves()), labels, torch.ones(12, 16), 4, 5, "fewest")
    made.add("a", image, read_image(image), found, pictures=False)
    path = folder / "out" / "clusters.json"

    def read() -> None:
        ClusterFolder(folder / "out", {"seed": 0}, overwrite=False, images={"b": image}, pictures=False)
        shutil.rmtree(folder / "named", ignore_errors=True)
        name_clusters(folder / "out", {0: "road"}, folder / "named")

    return [World(path, read)]


def written_lists(folder: Path) -> list[World]:
    """The list of what a command wrote: whatever it says, nothing of somebody else's counts as written."""
    outputs = Outputs(folder / "out", "predict")
    for name in "ab":
        outputs.write(f"{name}.png", name)
    (folder / "out" / "mine.png").write_text("mine")

    def read() -> None:
        known = Outputs(folder / "out", "predict")
        assert known.foreign(["mine.png"]) == ["mine.png"], "somebody else's file counts as written"
        known.foreign(["a.png", "b.png"])

    return [World(outputs.list, read)]


def pseudolabels(folder: Path) -> list[World]:
    save(folder / "p" / "images" / "a.png", photo())
    save(folder / "p" / "masks" / "a.png", halves())
    (folder / "p" / "pseudolabels.json").write_text(json.dumps({"classes": ["ground", "fence"], "seconds": 1.0}))
    dataset = PseudoLabels(folder / "p", LabelSpace("yard", ("ground", "fence")))
    return [World(folder / "p" / "pseudolabels.json", lambda: again(dataset).subset("all"))]


def sources(folder: Path) -> list[World]:
    path = folder / "SOURCE.json"
    path.write_text(json.dumps({"url": "http://x", "sha256": "0" * 64, "size": 3}))
    return [World(path, lambda: installed(folder, "0" * 64))]


def json_files(folder: Path) -> list[World]:
    path = folder / "a.json"
    path.write_text(json.dumps({"a": [1, {"b": None}], "c": "x"}))
    return [World(path, lambda: read_json(path, "an object"))]


def rounds(folder: Path) -> list[World]:
    one = {"title": "first", "run": "x", "mious": {"a": 0.5, "b": None}, "seconds": 3.0, "labeling_seconds": 1.0,
           "kept": {"a": 0.5}}  # fmt: skip
    path = folder / "rounds.json"
    path.write_text(json.dumps({"rounds": [one, one | {"title": "1"}]}))
    return [World(path, lambda: _problems(tables_of_rounds([folder])[1]))]


def tables(folder: Path) -> list[World]:
    path = folder / "table.json"
    table = {"name": "t", "caption": "c", "notes": [], "columns": [{"title": "row", "key": "row"}],
             "rows": [{"cells": [{"text": "x"}], "member": False}]}  # fmt: skip
    values = {
        "title": "t",
        "efficiency": "",
        "columns": {"a": "A"},
        "rows": {"b": "B"},
        "table": table,
        "verdicts": ["v"],
    }
    path.write_text(json.dumps(values))
    return [World(path, lambda: _problems(read_published([folder], 0)[1]))]


def _problems(found: Sequence[str]) -> None:
    if found:
        raise DataProblem(found[0], "what was written", "write it anew")


def results(folder: Path) -> list[World]:
    path = folder / "a" / "b" / "seed0.json"
    path.parent.mkdir(parents=True)
    values = {"column": "a", "row": "b", "seed": 0, "config": {"seed": 0}, "scores": {"x/miou": 0.5}, "seconds": 1.0}
    path.write_text(json.dumps(values | {"environment": {"threads": 1}}))
    return [World(path, lambda: [_check_result(one) for one in read_results([folder])])]


def _check_result(one: Any) -> None:
    assert isinstance(one.scores, dict) and all(isinstance(v, int | float) for v in one.scores.values()), one.scores
    assert isinstance(one.config, dict) and isinstance(one.seed, int), one


def recipes(folder: Path) -> list[World]:
    from tests.recipes.test_reproduce import RECIPE

    path = folder / "tiny.yaml"
    path.write_text(json.dumps(RECIPE))
    return [World(path, partial(read_recipe, path))]


def read_recipe(path: Path) -> None:
    from semiverse.recipes.cells import cells

    recipe = load_recipe(str(path))
    cells(recipe, recipe.size(None))


# What `semiverse init` and `semiverse check` look at


INSPECTED = ("Coco", "Labelme", "LabelStudio", "CvatXml", "YoloSegmentation", "VocFolder")


def inspected(ending: str, folder: Path) -> list[World]:
    """Folders of annotation tools whose kind has to be found out; whatever they hold, it is said or understood."""
    worlds = []
    for kind, cases in WRITERS.items():
        if kind.__name__ in INSPECTED:
            case = next(iter(cases))
            root = folder / kind.__name__
            cases[case](root)
            if kind.__name__ == "YoloSegmentation":
                (root / "data.yaml").write_text("names: {0: road, 1: car, 2: sky}\n")
                (root / "classes.txt").write_text("road\ncar\nsky\n")
            files = sorted(path for path in root.rglob(f"*{ending}") if path.stat().st_size)
            worlds += [World(path, partial(look, root)) for path in files[:3]]
    return worlds


def look(root: Path) -> None:
    found = look_at(root)
    text = configured({"d": root}, {"d": found}, "cpu", root / "mine.yaml")
    assert "domains" in load_yaml(text)["data"]


def doctored(folder: Path) -> list[World]:
    """A mask among others, which a check describes and ``--fix`` corrects."""
    root = yard(folder / "yard", "ab")
    place = folder / "fixed"

    def read(path: Path) -> None:
        from semiverse.doctor.examine import examine_domain
        from semiverse.doctor.fix import copies_in, write_fixed

        data = DomainMixture({"d": Domain(yard_of(root), train="all", val="all")})
        found = examine_domain(data, "d", fresh=True)
        for problem in found.problems:
            assert "\n" not in problem, problem
        shutil.rmtree(place, ignore_errors=True)
        write_fixed(data, {"d": found}, copies_in(place))
        for mask in place.rglob("masks/*.png"):
            check_mask(torch.from_numpy(np.asarray(Image.open(mask)).copy()), 2)
        if found.problems:
            raise DataProblem(" ".join(found.problems), "as said", "as said")

    return [World(path, partial(read, path)) for path in (root / "masks" / "a.png", root / "images" / "a.png")]


def all_readers() -> list[Reader]:
    """Every reader."""
    found = [
        Reader(f"image {kind}", "png" if kind == "PNG" else "binary", partial(photographs, kind)) for kind in ENDINGS
    ]
    found += [Reader(f"mask {coding}", "png" if coding in ("index", "palette") else "binary", partial(masks, coding))
              for coding in CODINGS]  # fmt: skip
    kinds = {kind.__name__: kind for kind in WRITERS}
    for (name, ending), files in files_of_datasets().items():
        share = 10 if ending in (".png", ".jpg", ".txt") else 1
        made = partial(of_dataset, kinds[name], files)
        found.append(Reader(f"dataset {name} {ending}", MUTATED[ending], made, share=share))
    found += [Reader(f"init {ending}", MUTATED[ending], partial(inspected, ending), named=False) for ending in
              (".json", ".xml", ".txt", ".yaml")]  # fmt: skip
    for name, kind, read in (
        ("config.yaml", "yaml", read_run_config),
        ("metrics.csv", "text", read_facts),
        ("evaluation.json", "json", read_facts),
        ("labeled.json", "json", read_facts),
        ("environment.json", "json", read_facts),
        ("finished.json", "json", read_facts),
        ("method.json", "json", read_facts),
        ("features.npz", "zip", read_facts),
        ("checkpoints/last.ckpt", "zip", read_checkpoint),
    ):
        found.append(Reader(f"run {Path(name).name}", kind, partial(run_files, name, read)))
    found.append(Reader("run labeled.json on resuming", "json", partial(run_files, "labeled.json", read_labeled)))
    for name, kind in (("config.json", "json"), ("labels.json", "json"), ("model.safetensors", "safetensors")):
        found.append(Reader(f"model {name}", kind, partial(model_files, name)))
    found += [
        Reader("list", "text", lists),
        Reader("yaml", "yaml", partial(configurations, read=read_config)),
        Reader("configuration", "yaml", partial(configurations, read=parse_config), lines=True, named=False),
        Reader("json", "json", json_files),
        Reader("weights .pth", "zip", weight_files),
        Reader("label rows", "safetensors", row_files),
        Reader("archive", "tar", archives),
        Reader("matlab", "matlab", matlab_files),
        Reader("cache of samples", "binary", cached_samples),
        Reader("cache of checks", "text", surveys),
        Reader("journal", "text", journals),
        Reader("cache of drawings", "zip", drawings),
        Reader("clusters.json", "json", clusters),
        Reader("list of outputs", "text", written_lists),
        Reader("pseudolabels.json", "json", pseudolabels),
        Reader("SOURCE.json", "json", sources, named=False),
        Reader("rounds.json", "json", rounds),
        Reader("table.json", "json", tables),
        Reader("result of a table", "json", results),
        Reader("recipe", "yaml", recipes, lines=True),
        Reader("check --fix", "png", doctored),
    ]
    return found
