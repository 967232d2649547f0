"""Imports point one way: the contracts in pyproject.toml."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_import_contracts_are_kept():
    check = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    result = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


def test_every_imported_package_is_declared():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = (name for names in declared["optional-dependencies"].values() for name in names)
    stated = {
        re.split(r"[\[<>=!~ ]", name)[0].lower().replace("_", "-") for name in (*declared["dependencies"], *extras)
    }
    packages = packages_distributions()
    for source in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in {name.partition(".")[0] for name in names} - {*sys.stdlib_module_names, "semiverse"}:
                owners = {owner.lower().replace("_", "-") for owner in packages[name]}
                assert owners & stated, f"{source} imports {name}, which pyproject.toml does not declare"
