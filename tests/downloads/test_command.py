"""The command that fetches datasets."""

import hashlib
import json
import signal
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import semiverse
from semiverse.cli.main import main
from semiverse.datasets import BSDS500, CamVid, ClothingCoParsing, LabelMeFacade
from semiverse.datasets.catalogue import known_datasets, open_archive
from tests.fakes.basic import write_camvid, write_labelmefacade
from tests.fakes.clothing import write_bsds500, write_clothing

WRITERS = {
    CamVid: write_camvid,
    LabelMeFacade: write_labelmefacade,
    ClothingCoParsing: write_clothing,
    BSDS500: write_bsds500,
}


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A folder of archives as their owners pack them, of as many images as their owners have."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    for kind, write in WRITERS.items():
        fake = write(tmp_path / "owner" / kind.__name__)
        if kind is ClothingCoParsing:
            (tmp_path / "owner" / kind.__name__ / "label_list.mat").write_bytes(b"names")
        (tmp_path / "owner" / kind.__name__ / "README.md").write_text("cite us")
        with tarfile.open(folder / f"{kind.archive.folder}.tar.gz", "w:gz") as archive:
            archive.add(tmp_path / "owner" / kind.__name__, "repository-0123")
        counts = {split: len(masks) for split, masks in fake.masks.items()}
        monkeypatch.setattr(kind, "image_counts", dict(kind.image_counts) | counts)
    return folder


def call(capsys, *words):
    code = main(["download", *map(str, words)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_archives_are_those_of_the_openly_available_datasets():
    assert {kind for kind in known_datasets() if open_archive(kind)} == set(WRITERS)
    for kind in WRITERS:
        assert kind.archive.commit in kind.archive.url
        assert kind.source.removeprefix("https://github.com/") in kind.archive.url


@pytest.mark.parametrize("kind", WRITERS, ids=lambda kind: kind.__name__)
def test_a_fetched_dataset_reads_like_the_owners(kind, mirror, tmp_path, capsys):
    code, out, err = call(capsys, kind.__name__, "--root", tmp_path / "all", "--mirror", mirror.as_uri())
    assert (code, err) == (0, "")
    folder = tmp_path / "all" / kind.archive.folder
    fake = next(iter(WRITERS[kind](tmp_path / "again").masks.items()))
    assert [record.id for record in kind(folder).subset(fake[0])] == list(fake[1])
    assert out.index(f"terms: {kind.terms}") < out.index("SHA-256")
    assert kind.terms in (folder / "TERMS.txt").read_text() and kind.source in (folder / "TERMS.txt").read_text()
    source = json.loads((folder / "SOURCE.json").read_text())
    assert source["sha256"] in out and "nothing known to compare it with" in out
    assert (folder / "README.md").read_text() == "cite us"


def test_several_datasets_go_to_the_data_folder_in_any_spelling(mirror, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SEMIVERSE_DATA", str(tmp_path / "all"))
    names = ("CAMVID", "label-me-facade", "clothing-co-parsing", "ClothingCoParsing", "bsds_500")
    assert call(capsys, *names, "--mirror", mirror)[0] == 0
    assert {path.name for path in (tmp_path / "all").iterdir()} == {kind.archive.folder for kind in WRITERS}
    assert main(["datasets"]) == 0
    assert capsys.readouterr().out.count("; found at") == 4


def test_a_second_call_fetches_nothing_and_says_so(mirror, tmp_path, capsys):
    words = ("camvid", "--root", tmp_path / "all", "--mirror", mirror)
    assert call(capsys, *words)[0] == 0
    written = (tmp_path / "all/camvid/SOURCE.json").stat().st_mtime_ns
    code, out, _ = call(capsys, *words)
    assert code == 0 and "already at" in out and "move the folder away" in out
    assert (tmp_path / "all/camvid/SOURCE.json").stat().st_mtime_ns == written
    code, _, err = call(capsys, *words, "--sha256", "0" * 64)
    assert code == 2 and "camvid: made from an archive with SHA-256" in err


def test_a_folder_of_someone_else_is_left_alone_and_nothing_is_fetched(mirror, tmp_path, capsys):
    (tmp_path / "all/camvid").mkdir(parents=True)
    (tmp_path / "all/camvid/mine.txt").write_text("keep")
    code, _, err = call(capsys, "labelmefacade", "camvid", "--root", tmp_path / "all", "--mirror", mirror)
    assert code == 2 and "camvid: exists already and was left as it is" in err
    assert [path.name for path in (tmp_path / "all").iterdir()] == ["camvid"]


def test_missing_images_are_listed_with_exit_code_1(mirror, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(CamVid, "image_counts", {"train": 3, "val": 101, "test": 3})
    code, out, _ = call(capsys, "camvid", "--root", tmp_path / "all", "--mirror", mirror)
    assert code == 1
    assert "split val has 3 images; expected 101" in out and "split train" not in out


def test_checksums_are_compared(mirror, tmp_path, capsys):
    file = mirror / "camvid.tar.gz"
    words = ("camvid", "--root", tmp_path / "all", "--mirror", file, "--sha256")
    code, _, err = call(capsys, *words, "0" * 64)
    assert code == 2 and "camvid.tar.gz: the archive's sha256 is" in err and f"expected {'0' * 64}" in err
    assert call(capsys, *words, "123")[2].startswith("semiverse download: --sha256 123: no SHA-256; expected 64")
    code, out, _ = call(capsys, *words, hashlib.sha256(file.read_bytes()).hexdigest())
    assert code == 0 and "(as expected)" in out


@pytest.mark.parametrize("option", [("--sha256", "0" * 64), ("--mirror", "file:///x.tgz")])
def test_options_about_one_archive_are_refused_for_two_datasets(capsys, option):
    code, _, err = call(capsys, "camvid", "bsds500", *option)
    assert code == 2 and f"{option[0]}" in err and "expected one: call it for each" in err


def test_a_cut_archive_is_told_with_exit_code_2(mirror, tmp_path, capsys):
    file = mirror / "camvid.tar.gz"
    file.write_bytes(file.read_bytes()[:-100])
    code, _, err = call(capsys, "camvid", "--root", tmp_path / "all", "--mirror", file)
    assert code == 2 and "camvid.tar.gz: the archive is damaged or cut short" in err and "download it again" in err


@pytest.mark.parametrize("name", ["cityscapes", "IDD", "gta5", "sunrgbd", "NYUv2", "pascal-voc"])
def test_for_datasets_of_registered_users_the_steps_are_told(capsys, tmp_path, name):
    code, out, err = call(capsys, name, "--root", tmp_path)
    kind = next(kind for kind in known_datasets() if kind.__name__.lower() == name.lower().replace("-", ""))
    words = " ".join(err.split())
    assert (code, out) == (2, "")
    assert "is not fetched by this command" in err and "Expects" in words
    assert " ".join(kind.terms.split()) in words and kind.source.split()[0] in words
    assert str(tmp_path / kind.__name__.lower()) in words


@pytest.mark.parametrize("name", ["Folder", "SyntheticStreets", "remapped"])
def test_what_has_no_files_of_an_owner_is_refused(capsys, name):
    code, _, err = call(capsys, name)
    assert code == 2 and "there is nothing to download" in err


def test_a_misspelt_name_is_answered_with_the_nearest(capsys):
    code, _, err = call(capsys, "cloting-coparsing")
    assert code == 2 and "no dataset 'cloting-coparsing'" in err and "did you mean ClothingCoParsing?" in err


def test_a_name_far_from_all_is_answered_with_the_list(capsys):
    assert "see semiverse datasets" in call(capsys, "zzz")[2]


def test_it_is_a_python_function_too(mirror, tmp_path):
    assert semiverse.download("camvid", root=tmp_path / "all", mirror=str(mirror)) == 0
    assert (tmp_path / "all/camvid/TERMS.txt").is_file()


def test_the_listing_says_what_can_be_fetched(capsys):
    assert main(["datasets"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    for kind in WRITERS:
        assert f"`semiverse download {kind.archive.folder}` fetches it" in words
    assert "`semiverse download cityscapes` lists the steps" in words


def test_a_stopped_download_says_how_to_go_on_and_does(mirror, tmp_path, capsys):
    size, asked, folder = 1 << 20, [], tmp_path / "all"
    with tarfile.open(tmp_path / "camvid.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "owner" / "CamVid", "repository-0123")
        (tmp_path / "NOTICE").write_bytes(hashlib.shake_256(b"seed").digest(2 * size))
        archive.add(tmp_path / "NOTICE", "repository-0123/NOTICE")
    data = (tmp_path / "camvid.tar.gz").read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.headers.get("Range"))
            start = int(asked[-1].removeprefix("bytes=").rstrip("-")) if asked[-1] else 0
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(data) - start))
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.send_header("ETag", '"1"')
            self.end_headers()
            if start:
                self.wfile.write(data[start:])
                return
            self.wfile.write(data[: size + 1000])
            while not any(part.stat().st_size >= size for part in folder.glob(".camvid.download/*.part")):
                time.sleep(0.01)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # Ctrl-C
            stopped.wait()

        def log_message(self, *_):
            pass

    stopped = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        words = ("camvid", "--root", folder, "--mirror", f"http://127.0.0.1:{server.server_address[1]}/camvid.tar.gz")
        code, _, err = call(capsys, *words)
        stopped.set()
        assert code == 130
        assert "semiverse download: stopped; the same call goes on where it stopped" in err and "Traceback" not in err
        assert call(capsys, *words)[0] == 0
        server.shutdown()
    assert asked == [None, f"bytes={size}-"]
    assert (folder / "camvid" / "SOURCE.json").is_file() and [path.name for path in folder.iterdir()] == ["camvid"]
