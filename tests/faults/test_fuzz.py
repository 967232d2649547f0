"""A few damaged files for every reader, and every one that was taken wrongly once; ``make faults`` tries thousands."""

import base64
import json
import re
import zlib
from pathlib import Path

import pytest

import semiverse
from tests.faults import fuzz
from tests.faults.readers import RUN, all_readers
from tests.tiny import needs_fork

pytestmark = [needs_fork, pytest.mark.slow]
PARTS = 8
INPUTS = 30
FAILED = json.loads((Path(__file__).parent / "failed.json").read_text())
"""Damaged files that were taken wrongly once: reader, number of its world, content packed as text."""


@pytest.fixture(autouse=True)
def run(trained, tmp_path_factory, monkeypatch) -> None:
    monkeypatch.setenv("SEMIVERSE_PIXELS", "10000000")
    if "run" not in RUN:
        from tests.faults.__main__ import evaluated

        RUN["run"] = evaluated(trained, tmp_path_factory.mktemp("faults") / "run")


@pytest.mark.parametrize("part", range(PARTS))
def test_damaged_files_are_read_or_refused_in_a_line_that_names_them(part, tmp_path):
    wrong = []
    for reader in all_readers()[part::PARTS]:
        count = INPUTS if reader.share == 1 else 5
        found = fuzz.run(reader, tmp_path / "work", range(count), seed=1)
        wrong += [f"{reader.name}, number {number}: {told}" for number, told in found if told]
    assert wrong == []


@pytest.mark.parametrize("part", range(2))
def test_files_that_were_taken_wrongly_once_are_not_any_more(part, tmp_path):
    readers = {reader.name: reader for reader in all_readers()}
    wrong = []
    for name, inputs in sorted(FAILED.items())[part::2]:
        contents = [(world, zlib.decompress(base64.b64decode(packed))) for world, packed in inputs]
        found = fuzz.run(readers[name], tmp_path / "work", range(len(contents)), contents=contents)
        wrong += [f"{name}, number {number}: {told}" for number, told in found if told]
    assert wrong == []


READS = re.compile(
    r"\bread_json\(|\bread_text\(|json\.loads\(|\bload_yaml\(|yaml\.safe_load|loadmat|load_file\(|torch\.load\(|np\.load\("
    r"|Image\.open\(|fromstring\(|iterparse\(|csv\.DictReader|\.read_bytes\(\)|tarfile\.open|\.part\("
)
KNOWN = {
    "training/failure.py": "copies", "inference/pseudolabels.py": "copies", "reporting/page.py": "the page it wrote",
    "deployment/quantization.py": "what it wrote itself",
    "cli/call.py": "options of a command line", "commands/cluster.py": "yaml",
    "commands/demo.py": "our own run of now", "commands/evaluate.py": "json", "commands/init.py": "text of its own",
    "commands/predict.py": "json", "configuration/build.py": "options", "configuration/options.py": "our own sources",
    "configuration/__init__.py": "yaml", "data/cache.py": "our own sources", "doctor/fix.py": "check --fix",
    "files/outputs.py": "list of outputs", "inference/annotations.py": "only writes",
    "models/packaged.py": "an installed package", "recipes/clusters.py": "what it wrote itself",
    "reporting/published.py": "table.json", "serving/service.py": "image", "training/recorder.py": "run last.ckpt",
    "training/start.py": "run labeled.json on resuming", "run.py": "run", "discovery/codings.py": "init",
    "discovery/names.py": "init", "discovery/annotated.py": "init", "files/text.py": "json",
    "files/problems.py": "json", "data/images.py": "image", "data/headers.py": "image", "data/masks.py": "mask",
    "data/lists.py": "what it wrote itself", "data/pairing.py": "list",
    "data/survey.py": "cache of checks", "formats/coco.py": "dataset Coco",
    "formats/cvat.py": "dataset CvatXml", "formats/label_studio.py": "dataset LabelStudio",
    "formats/labelme.py": "dataset Labelme", "formats/matlab.py": "matlab", "formats/regions.py": "cache of drawings",
    "formats/yolo.py": "dataset YoloSegmentation", "formats/cityscapes.py": "dataset Cityscapes",
    "datasets/sunrgbd.py": "dataset SUNRGBD", "datasets/voc.py": "dataset PascalVOC",
    "datasets/idd.py": "dataset IDD", "datasets/cityscapes.py": "dataset Cityscapes",
    "datasets/voc_folder.py": "dataset VocFolder", "clustering/folder.py": "clusters.json",
    "inference/labeling.py": "json", "mixture/pseudolabels.py": "pseudolabels.json", "models/saving.py": "model",
    "models/published.py": "weights .pth", "downloads/archives.py": "archive", "downloads/download.py": "SOURCE.json",
    "recipes/results.py": "result of a table", "reporting/runs.py": "run", "reporting/rounds.py": "rounds.json",
    "reporting/features.py": "run features.npz", "inference/journal.py": "journal", "inference/folder.py": "json",
    "datasets/shards.py": "dataset Images tar", "data/index.py": "carries a checksum; tests/data/test_index.py",
}  # fmt: skip
"""Which reader damages what a module reads, or why none does."""


def test_every_module_that_reads_files_is_known_here():
    root = Path(semiverse.__file__).parent
    reading = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if READS.search(path.read_text(encoding="utf-8"))
    }
    assert reading - KNOWN.keys() == set()
