"""Loggers beside the run's own files: by class path, by short name, as objects, and what is refused."""

import csv
import errno
import os

import pytest

from semiverse.cli.main import main
from semiverse.run import Run
from semiverse.training.loggers import build_loggers
from tests.tiny import train_words


class Kept:
    """A logger of somebody's own; what it was given, by step."""

    rows: dict[int, dict[str, float]] = {}  # noqa: RUF012

    def __init__(self, save_dir: str, prefix: str = "") -> None:
        self.save_dir, self.prefix = save_dir, prefix

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        Kept.rows[step] = {f"{self.prefix}{name}": value for name, value in metrics.items()}


OWN = "tests.training.test_loggers.Kept"


def test_loggers_get_every_row_of_the_metrics(tmp_path):
    own = {"class_path": OWN, "init_args": {"prefix": "my/"}}
    changes = {"loggers": [own, {"class_path": "CSVLogger", "init_args": {"name": "lightning"}}], "validate_every": 1}
    assert main(train_words(tmp_path, changes)) == 0
    rows = Run(tmp_path / "run").read_metrics()
    assert sorted(Kept.rows) == [1, 2]
    for row in rows:
        assert Kept.rows[int(row["step"])]["my/sum_miou"] == pytest.approx(float(row["sum_miou"]))
    (file,) = (tmp_path / "run" / "lightning").rglob("metrics.csv")
    with file.open() as lines:
        assert [float(line["sum_miou"]) for line in csv.DictReader(lines)] == pytest.approx(
            [float(row["sum_miou"]) for row in rows]
        )
    assert "loggers" not in (tmp_path / "run" / "config.yaml").read_text()


def test_the_run_folder_is_filled_in_and_objects_stay_as_they_are(tmp_path):
    run, own = Run(tmp_path), Kept("here")
    found = build_loggers([own, OWN, {"class_path": OWN, "init_args": {"save_dir": "there"}}], run)
    assert found[0] is own and [one.save_dir for one in found] == ["here", str(tmp_path), "there"]


@pytest.mark.parametrize(
    "given, message",
    [
        ({"class_path": "nowhere.Logger"}, r"nowhere\.Logger cannot be imported .*; expected the import path"),
        ("Logger", r"Logger cannot be imported .*CSVLogger"),
        ("tests.training.test_loggers.OWN", r"OWN is no class"),
        ({"init_args": {}}, r"found .*; expected class_path and init_args"),
        ({"class_path": OWN, "init_args": {"colour": 1}}, r"Kept: .*colour.*; expected save_dir, prefix"),
        (3, r"int has no method log_metrics; expected"),
        ("semiverse.run.HARMLESS", "no class"),
    ],
)
def test_what_is_no_logger_is_refused(given, message, tmp_path):
    with pytest.raises((ValueError, ImportError), match=message):
        build_loggers([given], Run(tmp_path))


class Full(Kept):
    """Fails as Lightning's TensorBoard logger does where the disk is full."""

    def log_metrics(self, *_, **__):
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "events.out")
        except OSError as error:
            raise ValueError("\n you tried to log 0.5 which is currently not supported") from error


def test_a_full_disk_under_a_logger_is_told_as_one(tmp_path, capsys):
    changes = {"loggers": ["tests.training.test_loggers.Full"], "validate_every": 1}
    assert main(train_words(tmp_path, changes)) == 2
    told = capsys.readouterr().err
    assert "semiverse train: events.out: No space left on device; expected free space" in told
