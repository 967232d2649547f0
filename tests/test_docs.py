"""What the documents show works: Python blocks run, commands and files that they name exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from semiverse.cli.main import COMMANDS, main
from semiverse.configuration import load_yaml, rewritten
from semiverse.recipes.recipe import SHIPPED
from tests.own_images import FOLDERS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(language: str) -> list[tuple[str, str]]:
    pattern = re.compile(rf"```{language}\n(.*?)```", re.DOTALL)
    return [
        (f"{page.relative_to(ROOT)}-{number}", match)
        for page in PAGES
        for number, match in enumerate(pattern.findall(page.read_text(encoding="utf-8")))
    ]


@pytest.mark.slow
@pytest.mark.parametrize("code", [pytest.param(code, id=name) for name, code in blocks("python")])
def test_python_block_runs(code, tmp_path):
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in blocks("yaml")])
def test_yaml_block_is_readable_and_in_the_form_of_today(text):
    values = load_yaml(text)
    assert isinstance(values, dict)
    assert rewritten(values)[1] == {}


OWN_IMAGES = [(name, text) for name, text in blocks("yaml") if name.startswith("docs/guides/your_own_images.md")]


@pytest.mark.parametrize("text", [pytest.param(text, id=name.rpartition("/")[2]) for name, text in OWN_IMAGES])
def test_configuration_of_own_images_fits_the_folders_that_it_names(text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEMIVERSE_CACHE", str(tmp_path / "cache"))
    named = re.findall(r"(?:root|unlabeled_folder): (\w+)", text)
    for folder in named:
        FOLDERS[folder](Path(folder))
    file = re.match(r"# (\w+\.yaml)\n", text)[1]
    Path(file).write_text(text, encoding="utf-8")
    assert main(["check", "--config", file]) == 0, capsys.readouterr()
    assert named


def test_folders_of_own_images_are_all_in_the_guide():
    assert set(FOLDERS) == {
        name for _, text in OWN_IMAGES for name in re.findall(r"(?:root|unlabeled_folder): (\w+)", text)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_a_page_exist(page):
    named = set(re.findall(r"(?:^|`)semiverse ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert named <= set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_configurations_named_in_a_page_exist(page):
    text = page.read_text(encoding="utf-8")
    shipped = [
        name for name in re.findall(r"--config ([^\s`:]+)", text) if "/" in name and not name.startswith("runs/")
    ]
    for name in (
        name for name in shipped if name.partition("/")[0] in ("configs", "universal", "latent", "adaptation")
    ):
        assert (ROOT / name).is_file() or (SHIPPED / f"{name}.yaml").is_file(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    text = page.read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#:]+)\)", text) if not target.startswith("http")]
    assert all((page.parent / target).exists() for target in targets), targets


def test_every_package_with_public_names_has_a_page_in_the_reference():
    rooms = [package for package in (ROOT / "src").rglob("__init__.py") if "\n__all__ = " in package.read_text()]
    names = {".".join(package.parent.relative_to(ROOT / "src").parts) for package in rooms}
    pages = [page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "reference").glob("*.md")]
    assert {name for page in pages for name in re.findall(r"automodule:: (\S+)", page)} == names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_of_the_code_named_in_a_page_exist_and_hold_what_it_says(page):
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+(?:/[a-z_0-9]+)+\.py)`", text))
    homes = (ROOT / "src" / "semiverse", ROOT)
    places = {file: [home / file for home in homes if (home / file).is_file()] for file in named}
    assert [file for file, found in places.items() if not found] == []
    for name, file in re.findall(r"`([\w.]+)` in `([a-z_]+(?:/[a-z_0-9]+)+\.py)`", text):
        code = places[file][0].read_text(encoding="utf-8")
        assert re.search(rf"(?:def|class) {name.rpartition('.')[2]}\b", code), f"{name} is not in {file}"


def test_the_first_page_leads_to_every_other_but_those_of_single_methods():
    docs = ROOT / "docs"
    stand_ins = {docs / name for name in ("start.md", "contributing.md", "changelog.md")}  # for files of the root
    linked = set(re.findall(r"\]\(([^)#]+)", (docs / "index.md").read_text(encoding="utf-8")))
    pages = set(docs.rglob("*.md")) - stand_ins - {docs / "index.md"} - set((docs / "methods").iterdir())
    assert {page.relative_to(docs).as_posix() for page in pages} <= linked
