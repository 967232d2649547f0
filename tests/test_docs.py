"""What the documents show works: Python blocks run, commands and files that they name exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from semiverse.cli import COMMANDS
from semiverse.configuration import load_yaml

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
def test_yaml_block_is_readable(text):
    assert isinstance(load_yaml(text), dict)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_a_page_exist(page):
    named = set(re.findall(r"(?:^|`)semiverse ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert named <= set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    text = page.read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#:]+)\)", text) if not target.startswith("http")]
    assert all((page.parent / target).exists() for target in targets), targets
