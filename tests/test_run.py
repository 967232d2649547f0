"""The run folder: whose it is, and files that are whole or absent."""

import pytest

from semiverse.files import write_atomically
from semiverse.run import Run
from tests.tiny import in_child, needs_fork


def test_folder_belongs_to_the_configuration_that_trained_in_it(tmp_path):
    run = Run(tmp_path / "run")
    run.claim({"seed": 1, "data": {"crop": [2, 3]}})
    run.append_metrics({"step": 1})
    run.claim({"seed": 1, "data": {"crop": [2, 3]}})
    before = run.config.read_bytes()
    with pytest.raises(ValueError, match=r"data\.crop: \[2, 3\], now None.*choose another --out"):
        run.claim({"seed": 1, "data": {"crop": None}})
    assert run.config.read_bytes() == before


def test_folder_in_which_nothing_was_trained_yet_can_be_claimed_anew(tmp_path):
    run = Run(tmp_path / "run")
    run.claim({"seed": 1})
    run.claim({"seed": 2})
    assert run.config.read_text() == "seed: 2\n"


@pytest.mark.parametrize("part", ["model/model.safetensors", "checkpoints/last.ckpt", "networks/config.yaml"])
def test_folder_with_results_of_unknown_origin_is_refused(part, tmp_path):
    write_atomically(tmp_path / part, "something")
    with pytest.raises(ValueError, match=r"no config\.yaml"):
        Run(tmp_path).claim({"seed": 1})
    assert not Run(tmp_path).config.exists()


def test_rows_keep_their_order_and_new_columns_widen_the_table(tmp_path):
    run = Run(tmp_path)
    run.append_metrics({"step": 2, "loss": 0.5, "miou": 0.1})
    run.append_metrics({"step": 4, "loss": 0.25, "entropy": 1.5, "miou": 0.2})
    assert run.metrics.read_text() == "step,loss,entropy,miou\n2,0.5,,0.1\n4,0.25,1.5,0.2\n"
    assert run.read_metrics() == [
        {"step": "2", "loss": "0.5", "miou": "0.1"},
        {"step": "4", "loss": "0.25", "entropy": "1.5", "miou": "0.2"},
    ]


def test_row_of_a_repeated_step_replaces_it_and_what_came_after(tmp_path):
    run = Run(tmp_path)
    for step, loss in ((2, 3.0), (4, 2.0), (6, 1.0), (4, 2.5)):
        run.append_metrics({"step": step, "loss": loss})
    assert [(row["step"], row["loss"]) for row in run.read_metrics()] == [("2", "3.0"), ("4", "2.5")]


def test_environment_names_versions_command_and_seed(tmp_path):
    Run(tmp_path).note_environment(7)
    text = (tmp_path / "environment.json").read_text()
    assert '"seed": 7' in text and '"torch": ' in text and '"command": ' in text


def test_writing_replaces_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    for content in ("first", b"second", memoryview(b"third")):
        write_atomically(path, content)
    assert path.read_bytes() == b"third"
    assert [item.name for item in path.parent.iterdir()] == ["file.txt"]


def test_file_that_cannot_be_written_is_named_and_the_old_one_stays(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(OSError, match=r"file\.txt/below cannot be written .* expected free space and write access"):
        write_atomically(path / "below", "new")
    assert path.read_text() == "old"


@needs_fork
def test_one_process_at_a_time_is_in_a_run_folder(tmp_path, capfd):
    run = Run(tmp_path / "run")

    def enter() -> None:
        with Run(run.folder).alone():
            print("in", flush=True)

    with run.alone():
        assert in_child(enter) == 1
    assert "another process is training in it" in capfd.readouterr().err
    assert in_child(enter) == 0 and capfd.readouterr().out == "in\n"
    assert list(run.folder.iterdir()) == []


@needs_fork
def test_the_lock_of_a_process_that_died_is_removed_and_that_of_a_living_one_stays(tmp_path):
    run = Run(tmp_path / "run")
    run.unlock()  # no folder, no lock
    run.folder.mkdir()
    (run.folder / ".lock").touch()
    run.unlock()
    assert list(run.folder.iterdir()) == []
    with run.alone():
        assert in_child(lambda: Run(run.folder).unlock()) == 0
        assert (run.folder / ".lock").exists()
