"""The guides to data are true: their files and commands work in their order, and their tables are those of the code."""

import ast
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from semiverse.cli.main import main
from semiverse.configuration import load_yaml
from semiverse.labels import IGNORE
from tests.doctor.test_faults import NOTHING_LEFT, PROBLEMS
from tests.fakes import write_camvid
from tests.own_images import FOLDERS, OTHER_FOLDERS

ROOT = Path(__file__).parent.parent
NAMES = ("your_own_images", "a_new_dataset", "check_your_data", "few_labels", "from_a_folder")
GUIDES = {name: (ROOT / "docs" / "guides" / f"{name}.md").read_text(encoding="utf-8") for name in NAMES}
DOCTOR = ROOT / "src" / "semiverse" / "doctor"
SMALL = ["--model.encoder", "drn_d_22", "--model.width", "0.0625"]
SMALL += ["--trainer.max_steps", "2", "--trainer.accelerator", "cpu", "--data.workers", "0"]


def fenced(guide: str, language: str) -> list[str]:
    """Blocks of a guide in a language."""
    return re.findall(rf"```{language}\n(.*?)```", GUIDES[guide], re.DOTALL)


def commands(guide: str) -> Iterator[tuple[list[str], int]]:
    """Words of each command of a guide, and the exit code that its comment promises."""
    for line in "".join(fenced(guide, "sh")).splitlines():
        if line.startswith("semiverse "):
            code = re.search(r"# ends with (\d)$", line)
            yield shlex.split(line, comments=True)[1:], int(code[1]) if code else 0


def write_all(folder: Path) -> None:
    """Every file and folder that the guides name."""
    for guide in GUIDES:
        for text in fenced(guide, "yaml"):
            (folder / re.match(r"# (\w+\.yaml)\n", text)[1]).write_text(text, encoding="utf-8")
    for name, write in (FOLDERS | OTHER_FOLDERS).items():
        write(folder / name)


def run_all(guide: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What the commands of a guide print, one after the other; training is shortened."""
    monkeypatch.chdir(folder)
    write_all(folder)
    said = ""
    for words, expected in commands(guide):
        code = main([*words, *(SMALL if words[0] == "train" else [])])
        captured = capsys.readouterr()
        assert code == expected, (words, captured)
        said += captured.out
    for line in "".join(fenced(guide, "text")).splitlines():
        assert line in said.splitlines()
    return said


def test_class_of_ones_own_is_one_short_file_that_reads_what_it_says(tmp_path):
    (code,) = fenced("a_new_dataset", "python")
    assert len(code.splitlines()) <= 40
    (tmp_path / "my_dataset.py").write_text(code, encoding="utf-8")
    OTHER_FOLDERS["orchard"](tmp_path / "orchard")
    kind = runpy.run_path(str(tmp_path / "my_dataset.py"))["MyDataset"]
    for paths, classes in ((True, {0, 1, 2, IGNORE}), (False, {0, 2, IGNORE})):
        dataset = kind(tmp_path / "orchard", paths=paths)
        assert [record.id for record in dataset.subset("winter")] == ["a", "b", "c"]
        assert all(set(dataset.read(record)[1].unique().tolist()) == classes for record in dataset.subset("all"))


@pytest.mark.slow
def test_class_of_ones_own_is_checked_and_trained_from_the_shell(tmp_path):
    (code,), (script,) = fenced("a_new_dataset", "python"), fenced("a_new_dataset", "sh")
    write_all(tmp_path)
    (tmp_path / "my_dataset.py").write_text(code, encoding="utf-8")
    script = script.replace(
        "--out runs/orchard", f"--out runs/orchard {shlex.join([*SMALL, '--data.crop', '[12, 16]'])}"
    )
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PATH": path}
    done = subprocess.run(["sh", "-e", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "6 images in 1 domain: no problems" in done.stdout
    config = load_yaml((tmp_path / "runs" / "orchard" / "config.yaml").read_text(encoding="utf-8"))
    assert config["data"]["domains"]["orchard"]["dataset"]["class_path"] == "my_dataset.MyDataset"
    assert config["trainer"]["max_steps"] == 2 and (tmp_path / "runs" / "orchard" / "finished.json").is_file()


def test_commands_about_checking_do_what_the_guide_says(tmp_path, monkeypatch, capsys):
    said = run_all("check_your_data", tmp_path, monkeypatch, capsys)
    (quoted,) = re.findall(r'problem that is listed begins "(.*?)"', GUIDES["check_your_data"])
    assert f"PROBLEM  train, val: {quoted}" in said
    assert {"index.html", "check.json"} <= {path.name for path in (tmp_path / "checked").iterdir()}
    (tmp_path / "copy.yaml").write_text(said.partition("use them with:\n")[2], encoding="utf-8")
    assert main(["check", "--config", "copy.yaml"]) == 0


@pytest.mark.slow
def test_commands_from_a_folder_to_a_model_and_round_the_loop_work(tmp_path, monkeypatch, capsys):
    said = run_all("from_a_folder", tmp_path, monkeypatch, capsys)
    assert "train with: semiverse train --config mine.yaml" in said
    assert (tmp_path / "labelled" / "labelme" / "0.json").is_file() and (tmp_path / "runs" / "again").is_dir()


@pytest.mark.slow
def test_commands_about_few_labels_do_what_the_guide_says(tmp_path, monkeypatch, capsys):
    said = run_all("few_labels", tmp_path, monkeypatch, capsys)
    assert "cache: adding 6 images of street, labeled" in said
    drawn = load_yaml((tmp_path / "lists" / "split.json").read_text(encoding="utf-8"))["lists"]
    kept = load_yaml((tmp_path / "runs" / "few" / "labeled.json").read_text(encoding="utf-8"))["street"]
    assert kept["sha256"] == drawn["labeled_1_8.txt"]["sha256"] and len(kept["ids"]) == 3
    digest = subprocess.run(["sha256sum", "lists/train.txt"], capture_output=True, text=True, check=True).stdout
    assert digest.split()[0] == drawn["train.txt"]["sha256"]
    assert (Path(os.environ["SEMIVERSE_CACHE"]) / "samples").is_dir()


def test_example_of_the_readme_fits_the_folders_that_it_speaks_of(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = re.search(r"```yaml\n(# mine\.yaml\n.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    Path("mine.yaml").write_text(text, encoding="utf-8")
    FOLDERS["shed"](Path("yard"))  # undivided, with lists
    write_camvid(Path("camvid"))
    few = [word for domain in ("yard", "camvid") for word in (f"--data.domains.{domain}.labeled", "2")]
    assert main(["check", "--config", "mine.yaml", *few]) == 0, capsys.readouterr()


def rows(heading: str) -> list[list[str]]:
    """Cells of the table below a heading of the guide to the doctor."""
    text = GUIDES["check_your_data"].partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:3] == "| `"]


def test_table_of_findings_has_every_kind_with_its_severities():
    sources = sorted(DOCTOR.glob("*.py"))
    known: dict[str, set[str]] = {}
    for source in sources:
        for kinds, severities in found_in(ast.parse(source.read_text(encoding="utf-8"))):
            assert kinds and severities <= {"problem", "remark"}, f"{source.name}: what kind of finding?"
            for kind in kinds:
                known.setdefault(kind, set()).update(severities)
    assert {kind.strip("`"): set(severity.split(", ")) for kind, severity, *_ in rows("Findings")} == known


def test_table_of_findings_says_what_is_corrected():
    fixes = {kind.strip("`"): fix for kind, _, _, fix in rows("Findings")}
    for kind, severity, _, fix in rows("Findings"):
        assert fix in (("-",) if severity == "remark" else ("yes", "partly", "no")), kind
    for name, fault in PROBLEMS.items():
        if fault.fixed or name in NOTHING_LEFT:
            assert fixes[fault.kind] in ("partly", "yes" if fault.fixed else "no"), name


def found_in(tree: ast.Module) -> Iterator[tuple[set[str], set[str]]]:
    """Kinds and severities of each finding that a module can make; a guess about codings becomes a problem."""
    for scope in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        for call in (node for node in ast.walk(scope) if isinstance(node, ast.Call)):
            name = getattr(call.func, "id", "")
            if name == "Guess":
                yield texts(call.args[0], scope, tree), {"problem"}
            elif name == "Finding" and ast.unparse(call.args[0]) != "guess.kind":
                yield texts(call.args[0], scope, tree), texts(call.args[1], scope, tree)


def texts(node: ast.expr, scope: ast.FunctionDef, tree: ast.Module) -> set[str]:
    """Every text that an expression can be."""
    match node:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.IfExp(body=one, orelse=other):
            return texts(one, scope, tree) | texts(other, scope, tree)
        case ast.Dict(values=values):
            return set().union(*(texts(value, scope, tree) for value in values))
        case ast.Call(func=ast.Attribute(value=table, attr="get"), args=[_, default]):
            return texts(table, scope, tree) | texts(default, scope, tree)
        case ast.Name(id=name):
            return set().union(*(texts(value, scope, tree) for value in values_of(name, scope, tree)))
    return set()


def values_of(name: str, scope: ast.FunctionDef, tree: ast.Module) -> Iterator[ast.expr]:
    """What a name stands for: what a function assigns to it, or is called with."""
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign):
            (target,) = node.targets
            if isinstance(target, ast.Tuple) and name in (names := [ast.unparse(item) for item in target.elts]):
                either = [node.value.body, node.value.orelse] if isinstance(node.value, ast.IfExp) else [node.value]
                yield from (value.elts[names.index(name)] for value in either)
            elif ast.unparse(target) == name:
                yield node.value
    parameters = [parameter.arg for parameter in scope.args.args]
    if name in parameters:
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if getattr(call.func, "id", "") == scope.name:
                yield call.args[parameters.index(name)]


def test_table_of_limits_has_the_constants_of_the_doctor_with_their_values():
    stated = {constant.strip("`"): float(value) for constant, value, _ in rows("Limits")}
    assert stated == {name: getattr(import_module(f"semiverse.{name.rpartition('.')[0]}"), name.rpartition(".")[2])
                      for name in stated}  # fmt: skip
    for source in sorted(DOCTOR.glob("*.py")):
        for node in ast.parse(source.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and not node.value.kind:
                if isinstance(node.value.value, int | float):
                    assert f"doctor.{source.stem}.{ast.unparse(node.targets[0])}" in stated
