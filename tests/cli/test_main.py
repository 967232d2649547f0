"""The command line before any command runs."""

import os
import subprocess
import sys
from importlib import import_module

import pytest

from semiverse import __version__
from semiverse.cli.main import COMMANDS, main
from semiverse.configuration.options import default_text, options, read_function, type_name

HEAVY = ("torch", "numpy", "jsonargparse", "yaml", "PIL")


@pytest.mark.parametrize("word", ["--help", "-h", "--version"])
def test_overview_and_version_import_nothing_heavy(word):
    code = f"""
import sys
from semiverse.cli.main import main
code = main([{word!r}])
found = [name for name in {HEAVY} if name in sys.modules]
sys.exit(f"imported {{found}}" if found or code else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_help_on_a_command_imports_nothing_heavy():
    code = """
import sys
from semiverse.cli.main import COMMANDS, main
codes = [main([name, "--help"]) for name in COMMANDS]
found = [name for name in ("torch", "numpy", "jsonargparse", "PIL") if name in sys.modules]
sys.exit(f"imported {found}" if found or any(codes) else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_signature_read_from_the_source_is_the_function_s(name):
    module = f"semiverse.commands.{name}"
    real = options(getattr(import_module(module), name))
    read = options(read_function(module, name))
    assert list(read) == list(real)
    for title, option in real.items():
        assert type_name(read[title].hint) == type_name(option.hint)
        assert default_text(read[title]) == default_text(option)
        assert read[title].text == option.text
        if option.built:
            assert read[title].built.choices.keys() == option.built.choices.keys()


def test_overview_lists_every_command(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: semiverse COMMAND [options]")
    for name, command in COMMANDS.items():
        assert f"  {name} " in text and command.summary in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_listed_exists_and_explains_itself(name, capsys):
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: semiverse {name} ")


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"semiverse {__version__}\n"


def test_misspelt_command_is_answered_with_the_right_one(capsys):
    assert main(["trian"]) == 2
    said = capsys.readouterr().err
    assert "no command 'trian'" in said and "did you mean 'train'?" in said


def test_module_runs_like_the_script():
    done = subprocess.run([sys.executable, "-m", "semiverse", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"semiverse {__version__}\n")


@pytest.mark.parametrize(("given", "spins"), [(None, "1000"), ("ACTIVE", None)])
def test_waiting_threads_sleep_soon_unless_the_user_says_how_they_wait(given, spins, monkeypatch):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "")  # so that both are as before afterwards
        monkeypatch.delenv(name)
    if given:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    assert main(["datasets"]) == 0
    assert os.environ["OMP_WAIT_POLICY"] == (given or "PASSIVE")
    assert os.environ.get("GOMP_SPINCOUNT") == spins
