"""Commands that are killed, and whose disk fails: each with what it needs, and its words."""

import functools
import http.server
import inspect
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import semiverse.methods
from semiverse.commands import train as training
from semiverse.configuration import dump_yaml
from semiverse.data import listing
from semiverse.files import states
from semiverse.methods import Method
from semiverse.training.recorder import Recorder
from tests.fakes import WRITERS
from tests.faults.processes import OTHER
from tests.faults.readers import RUN
from tests.robustness.yards import halves, photo, save, yard
from tests.tiny import TINY, config


class Target(NamedTuple):
    """A command.

    Args:
        name: For the report.
        prepare: Writes what it reads into an empty folder.
        text: Its words; ``{f}`` stands for the folder, ``{run}`` for a run.
        before: What is prepared in its process.
        code: How it ends.
        once: Whether a call refuses to replace the results of a finished one.
        reads: The folder whose files may change while it runs.
        each: Whether it goes on without a file that cannot be read.
    """

    name: str
    prepare: Callable[[Path], object]
    text: str
    before: Callable[[], object] | None = None
    code: int = 0
    once: bool = False
    reads: str = ""
    each: bool = False

    def words(self, folder: Path) -> list[str]:
        """Its words, for that folder."""
        served = address(folder / "served") if "{served}" in self.text else ""
        return self.text.format(f=folder, run=RUN["run"], served=served).split()


def photographs(folder: Path) -> None:
    for number in range(3):
        save(folder / "photos" / f"{number}.png", photo(number, (24, 32)))


def nothing(folder: Path) -> None:
    """Needs no files."""


def yard_at(folder: Path) -> dict[str, Any]:
    """The description of a yard where it lies when the command runs."""
    root = str(folder.parent / "work" / "yard")
    return {"class_path": "Folder", "init_args": {"root": root, "classes": ["ground", "fence"]}}


def images_and_masks(folder: Path) -> None:
    """A yard, one of whose masks has another size."""
    yard(folder / "yard", "abc")
    save(folder / "yard" / "masks" / "b.png", halves(size=(24, 32)))
    dataset = {
        "class_path": "Folder",
        "init_args": {"root": str(folder.parent / "work" / "yard"), "classes": ["ground", "fence"]},
    }
    values = {"data": {"domains": {"yard": {"dataset": dataset, "train": "all", "val": "all"}}}}
    (folder / "c.yaml").write_text(dump_yaml(values))


def save_often() -> None:
    """Checkpoints every two steps, in this process."""
    training.Recorder = functools.partial(Recorder, save_every=2)


STEPS = {"trainer": {"max_steps": 4, "accelerator": "cpu"}, "validate_every": 2}


def trained(changes: dict[str, Any], folder: Path) -> None:
    config(folder, changes | STEPS, "c.yaml")


def methods() -> dict[str, dict[str, Any]]:
    """Changes to the tiny experiment by method: every method of the library, whatever its name."""
    from tests.training.test_resume import METHODS

    known = {}
    for changes in METHODS.values():
        name = changes.get("method", {}).get("class_path", "Supervised").rpartition(".")[2]
        known[name] = {key: value for key, value in changes.items() if key not in STEPS}
    found = [one for one in vars(semiverse.methods).values() if inspect.isclass(one) and issubclass(one, Method)]
    names = [one.__name__ for one in found if one is not Method]
    return known | {name: {"method": {"class_path": name}} for name in names if name not in known}


def in_two_rows(folder: Path) -> None:
    from tests.recipes.test_reproduce import RECIPE

    recipe = RECIPE | {"seeds": [0], "also": {}}
    (folder / "tiny.yaml").write_text(dump_yaml(recipe))


def archive(folder: Path) -> None:
    """CamVid as an archive of a folder that is served."""
    import tarfile

    from tests.fakes import write_camvid

    write_camvid(folder / "made")
    (folder / "served").mkdir()
    with tarfile.open(folder / "served" / "camvid.tar.gz", "w:gz") as tar:
        tar.add(folder / "made" / "CamVid", "top/CamVid")
    address(folder.parent / "work" / "served")


@functools.cache
def address(folder: Path) -> str:
    """Where a folder is served, from now on, by this process."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Says nothing."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


def own_commit() -> None:
    """CamVid's archive without the commit that only the owner's has."""
    from semiverse.datasets import CamVid

    CamVid.archive = CamVid.archive._replace(commit=None)  # type: ignore[attr-defined]


def cached_images(folder: Path) -> None:
    yard(folder / "yard", "abcd")
    dataset = {
        "class_path": "Folder",
        "init_args": {"root": str(folder.parent / "work" / "yard"), "classes": ["ground", "fence"]},
    }
    domain = {"dataset": dataset, "train": "all", "val": "all", "cache": True}
    values = {key: value for key, value in TINY.items() if key != "data"}
    data = {"domains": {"yard": domain}, "batch_size": 2, "workers": 0}
    (folder / "c.yaml").write_text(dump_yaml(values | STEPS | {"data": data}))


def photographs_with_masks(folder: Path) -> None:
    yard(folder / "yard", "abcd")


def copied_run(folder: Path) -> None:
    import shutil

    shutil.copytree(RUN["run"], folder / "run")
    (folder / "run" / "evaluation.json").unlink()


TRAIN = "train --config {f}/c.yaml --out {f}/out"
DISTURBED = (
    Target(
        "predict", photographs, "predict {run} {f}/photos --domain streets --out {f}/out --device cpu --overwrite true"
    ),
    Target(
        "pseudolabel",
        photographs,
        "pseudolabel {run} {f}/photos --domain streets --keep 0.5 --out {f}/out",
        once=True,
    ),
    Target("cluster", photographs, "cluster {f}/photos --out {f}/out --device cpu --settings.iterations 2"),
    Target("check --fix", images_and_masks, "check --config {f}/c.yaml --fix {f}/out", code=1),
    Target("download", archive, "download camvid --mirror {served} --root {f}/out", own_commit, 1, once=True),
    Target("cache", cached_images, TRAIN, save_often),
    Target("init", photographs_with_masks, "init {f}/yard --out {f}/mine.yaml --device cpu"),
    Target("split", cached_images, "split --config {f}/c.yaml --out {f}/lists --val 1"),
    Target("evaluate", copied_run, "evaluate {f}/run --device cpu"),
    Target("export", nothing, "export {run} --domain streets --out {f}/m.pt2 --overwrite true"),
    Target("reproduce", in_two_rows, "reproduce {f}/tiny.yaml --out {f}/out --device cpu", save_often),
)
"""Commands that write files, other than training."""


def another() -> np.ndarray:
    return photo(9, (40, 30))


def photographs_and_another(folder: Path) -> None:
    photographs(folder)
    save(folder / OTHER, another())


def described(values: dict[str, Any], folder: Path, **domain: object) -> None:
    """A yard, without a cache of its pixels, and a file that takes the place of one of its files."""
    yard(folder / "yard", "abcd")
    save(folder / OTHER, another())
    dataset = yard_at(folder)
    data = {"domains": {"yard": {"dataset": dataset, "train": "all", "val": "all", **domain}}, "batch_size": 2}
    (folder / "c.yaml").write_text(dump_yaml(values | {"data": data | {"workers": 0}}))


TRAINED = {key: value for key, value in TINY.items() if key != "data"} | STEPS
CHANGED = (
    Target(
        "predict",
        photographs_and_another,
        "predict {run} {f}/photos --domain streets --out {f}/out --device cpu",
        reads="photos",
        each=True,
    ),
    Target("train", partial(described, TRAINED), TRAIN, reads="yard"),
    Target("train cached", partial(described, TRAINED, cache=True), TRAIN, reads="yard"),
    Target("check", partial(described, {}), "check --config {f}/c.yaml --out {f}/out", reads="yard"),
)
"""Commands that files change under."""


def polygons(folder: Path) -> None:
    """A dataset whose masks are drawn once."""
    from semiverse.datasets import IDD

    WRITERS[IDD]["part-one"](folder / "idd")
    dataset = {"class_path": "IDD", "init_args": {"root": str(folder.parent / "work" / "idd")}}
    values = {"data": {"domains": {"idd": {"dataset": dataset, "train": "all", "val": "all"}}}}
    (folder / "c.yaml").write_text(dump_yaml(values))


def many_are_few() -> None:
    """Three images are many, and folders that were just written are remembered."""
    listing.LARGE = 2
    states.SETTLED = -1.0


SHARED = (
    Target("images", partial(described, TRAINED, cache=True), TRAIN),
    Target(
        "index",
        photographs,
        "predict {run} {f}/photos --domain streets --out {f}/out --device cpu",
        many_are_few,
    ),
    Target("drawings", polygons, "check --config {f}/c.yaml --out {f}/out", many_are_few),
)
"""Commands that fill a cache: images at their working size, the index of a folder, drawn masks and what checks know."""


def all_targets() -> list[Target]:
    """Every command that writes files; training by every method."""
    trainings = [Target(f"train {name}", partial(trained, one), TRAIN, save_often) for name, one in methods().items()]
    return [*DISTURBED, *trainings]
