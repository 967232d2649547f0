"""Damaged run folders, errors of loading processes, homes, locks and memory that processes share."""

import errno
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from types import SimpleNamespace

import pytest
import torch
from filelock import FileLock

from semiverse.cli.call import messages, stoppable
from semiverse.cli.main import main
from semiverse.files import DataProblem, MissingData, cache_folder, disk_failure, expand
from semiverse.mixture import loading
from semiverse.mixture.loading import Carried, Loader, Packed, fitting, portable, raise_stop
from semiverse.run import Run
from semiverse.training.loop import interruptible
from tests.robustness.yards import checked, folder, yard
from tests.tiny import config, needs_fork, train_words

SPOILED = [b"", b"\0" * 100, b"<html>not found</html>", b"[1, 2", b"\xff\xfe\0a"]


@pytest.fixture
def half(tmp_path):
    """A run of two steps that is to go on."""
    assert main(train_words(tmp_path)) == 0
    (tmp_path / "run" / "finished.json").unlink()
    return tmp_path / "run"


@pytest.mark.slow
@pytest.mark.parametrize("file", ["checkpoints/last.ckpt", "config.yaml", "labeled.json", "metrics.csv"])
def test_damaged_files_of_a_run_are_named_with_the_way_out(half, tmp_path, capsys, file):
    whole = (half / file).read_bytes()
    for content in [*SPOILED, whole[: len(whole) // 2]]:
        (half / file).write_bytes(content)
        code = main(
            ["train", "--config", str(config(tmp_path, {"trainer.max_steps": 2}, "run.yaml")), "--out", str(half)]
        )
        said = capsys.readouterr().err
        assert "Traceback" not in said
        assert code == 0 or (code == 2 and (file in said or "another configuration" in said)), (content[:9], said)
        if file.endswith("last.ckpt"):
            assert code == 2 and "best.ckpt over it" in said
        main(["report", str(half), "--out", str(tmp_path / "report"), "--images", "0"])
        assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("content", SPOILED)
def test_every_part_of_a_run_is_read_through_one_place(tmp_path, content):
    run = Run(tmp_path)
    labeled = run.folder / "labeled.json"
    for path, read in ((run.config, run.read_config), (labeled, lambda: run.read_json(labeled))):
        path.write_bytes(content)
        with pytest.raises(DataProblem, match=f"{path.name}.*(another --out|save it as UTF-8)"):
            read()


@pytest.mark.parametrize("cut", ["step,a\n1,0.5\n2", "step,a\n,1\n", "step,a\n1,x\n", "step\n1,2,3\n"])
def test_a_table_that_was_cut_is_told(tmp_path, cut):
    run = Run(tmp_path)
    run.metrics.write_text(cut)
    with pytest.raises(DataProblem, match=r"metrics\.csv: it is damaged"):
        run.read_metrics()


class Items(torch.utils.data.Dataset):
    """Items of which number 2 fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        if index == 2 and self.error is not None:
            raise self.error
        return {"x": torch.full((1000,), index)}


ERRORS = [
    DataProblem("a.png: found", "expected", "remedy"), MissingData("a.png: gone", "an image", "fetch it"),
    KeyError("x"), OSError(5, "Input/output error", "a.png"), UnicodeDecodeError("utf-8", b"x", 0, 1, "no"),
    ValueError("two\nlines"),
]  # fmt: skip


@needs_fork
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_of_loading_processes_are_what_they_are_without(error, workers):
    seen = []
    with pytest.raises(type(error)) as caught:
        for item in Loader(Items(error), num_workers=workers):
            seen.append(int(item["x"][0]))
    assert seen == [0, 1] and str(caught.value) == str(error)


def test_errors_that_cannot_travel_keep_their_text():
    class Local(Exception):
        pass

    assert str(portable(Local("why"))) == "Local: why"


@needs_fork
@pytest.mark.filterwarnings("ignore:/dev/shm has")
@pytest.mark.parametrize("free", [0, 64 * 1024, 2**20, 2**40])
def test_batches_arrive_whatever_the_shared_memory(monkeypatch, free):
    monkeypatch.setattr(loading.os, "statvfs", lambda _: SimpleNamespace(f_bavail=free, f_frsize=1))
    found = [item["x"].tolist() for item in Loader(Items(), num_workers=2)]
    assert found == [[number] * 1000 for number in range(4)]


@pytest.mark.parametrize("free, processes", [(0, 0), (64 * 1024, 0), (2**20, 4), (2**40, 4)])
def test_loading_processes_need_shared_memory_for_their_locks(monkeypatch, free, processes):
    monkeypatch.setattr(loading, "free_shared_memory", lambda: free)
    if processes:
        assert loading.affordable(4) == processes
    else:
        with pytest.warns(UserWarning, match="KiB left, too little for loading processes; expected more"):
            assert loading.affordable(4) == processes


def test_large_batches_go_through_a_pipe_where_memory_is_short(monkeypatch):
    monkeypatch.setattr(loading, "get_worker_info", lambda: SimpleNamespace(num_workers=4))
    monkeypatch.setattr(loading.os, "statvfs", lambda _: SimpleNamespace(f_bavail=64 * 2**20, f_frsize=1))
    small, large = {"x": torch.zeros(2**20, dtype=torch.uint8)}, {"x": torch.zeros(2**23, dtype=torch.uint8)}
    assert fitting(small) is small and isinstance(fitting(large), Packed)


@pytest.mark.parametrize(
    "text, kind",
    [
        ("DataLoader worker (pid 7) is killed by signal: Terminated. ", KeyboardInterrupt),
        ("DataLoader worker (pid 7) is killed by signal: Hangup. ", KeyboardInterrupt),
        ("DataLoader worker (pid 7) is killed by signal: Interrupt. ", KeyboardInterrupt),
        ("DataLoader worker (pid 7) is killed by signal: Killed. ", DataProblem),
        ("DataLoader worker (pid 7) is killed by signal: Bus error. ", DataProblem),
        ("DataLoader worker (pid(s) 7) exited unexpectedly", DataProblem),
        ("DataLoader timed out after 1800.0 seconds", DataProblem),
    ],
)
def test_ends_of_loading_processes_are_told(text, kind):
    with pytest.raises(kind):
        raise_stop(RuntimeError(text))
    raise_stop(RuntimeError("shapes do not fit"))


def test_carried_errors_are_no_batches():
    assert isinstance(loading.Carrying(Items(KeyError("x")), None)[2], Carried)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_stops_from_outside_are_those_of_ctrl_c(number):
    before = signal.signal(number, signal.SIG_DFL)  # who runs the tests may ignore it
    try:
        with pytest.raises(KeyboardInterrupt), stoppable():
            os.kill(os.getpid(), number)
            time.sleep(10)
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)


class Loud:
    """Raises where nobody can catch it, as a loader of images does whose processes were stopped as well."""

    def __del__(self):
        raise RuntimeError("DataLoader worker is killed by signal: Terminated")


@pytest.mark.parametrize(
    "number, default", [(signal.SIGTERM, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)]
)
def test_what_ends_together_with_a_stopped_command_is_not_told(number, default, monkeypatch, capsys):
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    before, loud = signal.signal(number, default), Loud()
    try:
        with pytest.raises(KeyboardInterrupt), stoppable(), interruptible():
            os.kill(os.getpid(), number)
            time.sleep(10)
        assert signal.getsignal(number) == default
    finally:
        signal.signal(number, before)
    del loud
    assert capsys.readouterr().err == ""


def test_a_disk_that_fails_where_something_is_removed_is_told_with_what_helps(tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(tmp_path / "x"))

    monkeypatch.setattr("semiverse.commands.check.check", refuse)
    monkeypatch.setattr("semiverse.cli.call.parse", lambda *_: {})
    assert main(["check"]) == 2
    told = capsys.readouterr().err
    assert f"{tmp_path / 'x'}: Read-only file system; expected free space and write access" in told
    assert disk_failure(OSError(errno.ENOENT, "x")) is None and disk_failure(ValueError("x")) is None


@pytest.mark.parametrize("number, traced", [(errno.ENOSPC, False), (errno.ENOENT, True)])
def test_a_disk_that_fails_a_thread_is_told_in_a_line(number, traced, monkeypatch, capsys):
    def written():
        raise OSError(number, os.strerror(number), "events.out")

    def writing():
        thread = threading.Thread(target=written)
        thread.start()
        thread.join()

    monkeypatch.setattr("semiverse.commands.check.check", writing)
    monkeypatch.setattr("semiverse.cli.call.parse", lambda *_: {})
    hook = threading.excepthook
    assert main(["check"]) == 0 and threading.excepthook is hook
    told = capsys.readouterr().err
    assert ("Traceback" in told) is traced and "events.out" in told
    assert traced or told.startswith("warning: events.out: No space left on device; expected free space")


def test_what_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_libraries_talk_only_where_errors_are_looked_for(capsys):
    with messages(debug=False):
        logging.getLogger("matplotlib.font_manager").info("generated new fontManager")
        logging.getLogger("matplotlib").warning("created a temporary cache directory")
        logging.getLogger("huggingface_hub").warning("retrying")
        logging.getLogger("semiverse.run").info("ours")
    assert "retrying" not in capsys.readouterr().err


def test_a_user_without_a_home_has_a_cache_for_the_time_being(monkeypatch):
    from semiverse.files import places

    def no_home(_: str) -> None:
        raise RuntimeError("could not determine the home directory for '~/.cache'")

    monkeypatch.delenv("SEMIVERSE_CACHE")
    monkeypatch.setattr(places, "user_cache_path", no_home)
    places._temporary_cache.cache_clear()
    with pytest.warns(UserWarning, match="no home folder; expected .* SEMIVERSE_CACHE"):
        place = cache_folder()
    assert cache_folder() == place and place.is_absolute()
    places._temporary_cache.cache_clear()


@pytest.mark.parametrize("home", ["/dev/null", "/proc/self/home", "nowhere/at/all", "file", "file/below"])
def test_homes_that_take_no_cache_stop_nothing(tmp_path, monkeypatch, home):
    for name in ("SEMIVERSE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", home)
    (tmp_path / "file").write_text("in the way")
    assert checked(folder(yard(tmp_path / "yard"))).problems == []


PLACES = ["images/b.png", "masks/b.png", "images/sub/d.png", "images/sub", "masks/sub", "images", "masks"]


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="permissions are others here")
@pytest.mark.parametrize("closed", PLACES)
def test_what_may_not_be_read_is_named_and_the_rest_is_read(closed):
    place = Path(mkdtemp())  # that of pytest is closed to others
    user = os.geteuid()
    try:
        place.chmod(0o755)
        root = yard(place / "yard", ("a", "b", "c", "sub/d"))
        (root / closed).chmod(0)
        if user == 0:  # who may read anything
            os.seteuid(65534)
        found = checked(folder(root)).problems
    finally:
        os.seteuid(user)
        (root / closed).chmod(0o755)
        rmtree(place)
    named = [problem for problem in found if f"{root / closed}: it may not be read (Permission denied)" in problem]
    assert named and all("chmod" in problem for problem in named)
    assert closed in ("images", "masks") or all(f"{root}/images/a" not in problem for problem in found)


def test_a_path_below_no_home_is_told(monkeypatch):
    from pathlib import Path

    with pytest.raises(DataProblem, match="write the whole path"):
        expand(Path("~nobody_of_this_name/x"))


@pytest.mark.parametrize("name", ["ENOSYS", "ENOLCK", "EOPNOTSUPP", "EIO", "EINVAL"])
def test_drives_without_locks_keep_others_out_by_a_file(tmp_path, monkeypatch, name):
    def refuse(*_: object) -> None:
        raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))

    monkeypatch.setattr(FileLock, "_acquire", refuse)
    run = Run(tmp_path / "run")
    with pytest.warns(UserWarning, match="knows no file locks"), run.alone():
        with pytest.raises(ValueError, match="another process is training"), pytest.warns(UserWarning), run.alone():
            pass
    with pytest.warns(UserWarning), run.alone():
        pass
    assert os.listdir(run.folder) == []


@pytest.mark.parametrize(
    "word, value",
    [
        ("--seed", "-1"), ("--seed", "99999999999999999999"), ("--validate_every", "-5"), ("--validate_every", "0"),
        ("--model.width", ".nan"), ("--model.width", ".inf"), ("--model.width", "-1"),
        ("--data.domains.streets.resolution.scale", ".nan"), ("--data.domains.streets.resolution.scale", ".inf"),
        ("--data.augmentation.scale", "[.nan, 1]"), ("--data.augmentation.scale", "[1, .inf]"),
    ],
)  # fmt: skip
def test_numbers_out_of_range_are_refused_before_anything_is_written(tmp_path, capsys, word, value):
    assert main([*train_words(tmp_path), word, value]) == 2
    said = capsys.readouterr().err
    assert "expected" in said and "Traceback" not in said and not (tmp_path / "run").exists()
