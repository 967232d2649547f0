"""Archives: fetched, gone on with, verified, unpacked; nothing half done and nothing dangerous."""

import gzip
import hashlib
import io
import json
import os
import re
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from semiverse.downloads.archives import unpack
from semiverse.downloads.download import Archive, fetch, install, installed, location

FILES = {"top/images/a.jpg": b"a" * 3000, "top/images/b/c.jpg": b"c", "top/train.txt": b"a\n", "top/README.md": b"hi"}
OTHER = {"top/code/run.m": b"1"}
WANTED = {"images/a.jpg": b"a" * 3000, "images/b/c.jpg": b"c", "train.txt": b"a\n", "README.md": b"hi"}
CONTENTS = ("images", "train.txt")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def tar(path, files=None, mode="w:gz", extra=(), **options):
    with tarfile.open(path, mode, **options) as archive:
        for name, content in (FILES | OTHER if files is None else files).items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in extra:
            archive.addfile(info)
    return path


def entry(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def unpacked(archive, folder, **limits):
    folder.mkdir()
    return unpack(archive, folder, CONTENTS, **limits)


def described(url="http://nowhere.invalid/x.tar.gz", **facts):
    return Archive(url, "set", CONTENTS, **facts)


def random_bytes(count):
    return hashlib.shake_256(b"seed").digest(count)


# Unpacking


def test_asked_for_parts_and_notices_are_unpacked_without_the_outer_folder(tmp_path):
    digests = unpacked(tar(tmp_path / "x"), tmp_path / "out")
    assert content(tmp_path / "out") == WANTED
    assert digests == {name: hashlib.sha256(data).hexdigest() for name, data in WANTED.items()}


def test_an_archive_without_outer_folder_is_unpacked_alike(tmp_path):
    files = {name.removeprefix("top/"): data for name, data in FILES.items()}
    unpacked(tar(tmp_path / "x", files | {"images/README": b"of a folder"}), tmp_path / "out")
    assert content(tmp_path / "out") == WANTED | {"images/README": b"of a folder"}


@pytest.mark.parametrize("name", ["/etc/x", "../x", "top/images/../../../x", "top/code/../../x"])
def test_an_entry_that_leads_out_of_the_folder_is_refused_by_name(tmp_path, name):
    archive = tar(tmp_path / "x", FILES | {name: b"bad"})
    with pytest.raises(ValueError, match=rf"entry '{re.escape(name)}' leads out.*do not use this archive"):
        unpacked(archive, tmp_path / "deep")
    assert not (tmp_path.parent / "x").exists() and content(tmp_path).keys() >= {"x"}


@pytest.mark.parametrize("name", ["top/images/..\\..\\x", "top/images/C:x"])
def test_names_that_lead_elsewhere_on_other_systems_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="leads elsewhere on other systems"):
        unpacked(tar(tmp_path / "x", FILES | {name: b"bad"}), tmp_path / "out")


@pytest.mark.parametrize(
    "kind, word",
    [(tarfile.SYMTYPE, "link"), (tarfile.LNKTYPE, "link"), (tarfile.CHRTYPE, "device"), (tarfile.FIFOTYPE, "device")],
)
def test_links_and_devices_are_refused_by_name(tmp_path, kind, word):
    archive = tar(tmp_path / "x", extra=[entry("top/images/z", kind, "/etc/passwd")])
    with pytest.raises(ValueError, match=rf"entry 'top/images/z' is a {word}; expected plain files"):
        unpacked(archive, tmp_path / "out")


def test_links_among_parts_that_nobody_asked_for_do_no_harm(tmp_path):
    unpacked(tar(tmp_path / "x", extra=[entry("top/code/z", tarfile.SYMTYPE, "/etc")]), tmp_path / "out")
    assert content(tmp_path / "out") == WANTED


def test_an_entry_that_stands_twice_is_refused(tmp_path):
    with tarfile.open(tmp_path / "x", "w:gz") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("top/images/a.jpg"))
    with pytest.raises(ValueError, match=r"'top/images/a\.jpg' stands twice"):
        unpacked(tmp_path / "x", tmp_path / "out")


def test_a_bomb_is_refused_by_its_ratio(tmp_path):
    archive = tar(tmp_path / "x", FILES | {"top/images/zeros": bytes(40 * 10**6)})
    assert archive.stat().st_size < 80_000
    with pytest.raises(ValueError, match=r"more than 16,000,000 bytes unpacked.*nothing of it is kept"):
        unpacked(archive, tmp_path / "out")


def test_a_bomb_of_bombs_in_a_header_is_refused(tmp_path):
    options = {"format": tarfile.PAX_FORMAT, "pax_headers": {"comment": "x" * 40_000_000}}
    with pytest.raises(ValueError, match="more than 16,000,000 bytes"):
        unpacked(tar(tmp_path / "x", **options), tmp_path / "out")


def test_no_archive_may_hold_more_than_the_limit(tmp_path):
    with pytest.raises(ValueError, match="more than 3,000 bytes unpacked"):
        unpacked(tar(tmp_path / "x"), tmp_path / "out", largest=3000)


@pytest.mark.parametrize("kept", [0.0001, 0.2, 0.6, -1])
def test_an_archive_that_is_cut_short_is_refused(tmp_path, kept):
    archive = tar(tmp_path / "x", FILES | {"top/images/noise": random_bytes(50_000)})
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * kept) if kept > 0 else -1])
    with pytest.raises(ValueError, match=r"damaged or cut short.*download it again"):
        unpacked(archive, tmp_path / "out")


def test_a_changed_byte_is_noticed(tmp_path):
    data = bytearray(tar(tmp_path / "x", FILES | {"top/images/noise": random_bytes(50_000)}).read_bytes())
    data[30_000] ^= 1
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(ValueError, match="damaged or cut short"):
        unpacked(tmp_path / "x", tmp_path / "out")


@pytest.mark.parametrize("head", [b"<!DOCTYPE html><title>Moved</title>", b"PK\3\4 of zip", b""])
def test_what_is_no_archive_is_told_by_its_beginning(tmp_path, head):
    (tmp_path / "x").write_bytes(head * 30)
    begins = re.escape(repr((head * 30)[:20]))
    with pytest.raises(ValueError, match=rf"no tar\.gz archive, it begins with {begins}; .*web page.*--mirror"):
        unpacked(tmp_path / "x", tmp_path / "out")


def test_bytes_that_are_compressed_but_no_archive_are_told(tmp_path):
    (tmp_path / "x").write_bytes(gzip.compress(b"a page" * 1000))
    with pytest.raises(ValueError, match=r"the archive is damaged .*expected a complete tar\.gz file"):
        unpacked(tmp_path / "x", tmp_path / "out")


def test_an_archive_without_the_asked_for_parts_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no train\.txt; expected images, train\.txt"):
        unpacked(tar(tmp_path / "x", {"top/images/a.jpg": b"a"}), tmp_path / "out")


# Putting it in place


def test_a_local_archive_is_verified_unpacked_and_described(tmp_path):
    archive = tar(tmp_path / "x.tar.gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": COMMIT})
    data = archive.read_bytes()
    source = install(described(commit=COMMIT, size=len(data)), tmp_path / "all", "be kind", archive.as_uri())
    folder = tmp_path / "all" / "set"
    assert source == json.loads((folder / "SOURCE.json").read_text()) == installed(folder)
    assert source["sha256"] == hashlib.sha256(data).hexdigest() and not source["sha256_compared"]
    assert (source["size"], source["commit"], source["files"]) == (len(data), COMMIT, 4)
    assert "be kind" in (folder / "TERMS.txt").read_text() and archive.as_uri() in (folder / "TERMS.txt").read_text()
    assert content(folder).keys() == {*WANTED, "SOURCE.json", "TERMS.txt"}
    assert archive.read_bytes() == data
    assert os.listdir(tmp_path / "all") == ["set"]


def test_the_checksum_of_the_content_does_not_depend_on_packing(tmp_path):
    first = install(described(), tmp_path / "1", "", str(tar(tmp_path / "x.tar.gz")))
    second = install(described(), tmp_path / "2", "", str(tar(tmp_path / "y.tgz", dict(reversed(FILES.items())))))
    lines = "".join(f"{hashlib.sha256(WANTED[name]).hexdigest()}  {name}\n" for name in sorted(WANTED))
    assert first["sha256"] != second["sha256"]
    assert first["content_sha256"] == second["content_sha256"] == hashlib.sha256(lines.encode()).hexdigest()


def test_a_right_checksum_is_accepted_in_any_case(tmp_path):
    archive = tar(tmp_path / "x.tar.gz")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert install(described(sha256="0" * 64), tmp_path / "all", "", str(archive), digest.upper())["sha256_compared"]


@pytest.mark.parametrize("facts", [{"sha256": "0" * 64}, {"size": 7}, {"commit": "f" * 40}])
def test_another_archive_than_the_expected_one_is_refused_and_nothing_is_left(tmp_path, facts):
    archive = tar(tmp_path / "x.tar.gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": COMMIT})
    name, value = next(iter(facts.items()))
    with pytest.raises(ValueError, match=rf"the archive's {name} is .*; expected {value}: .*correct --sha256"):
        install(described(**facts), tmp_path / "all", "", str(archive))
    assert archive.is_file()
    assert not (tmp_path / "all").exists() or not os.listdir(tmp_path / "all")


@pytest.mark.parametrize("full", [True, False])
def test_a_folder_is_only_written_when_nothing_is_in_it(tmp_path, full):
    target = tmp_path / "all" / "set"
    target.mkdir(parents=True)
    archive = str(tar(tmp_path / "x.tar.gz"))
    if not full:
        install(described(), tmp_path / "all", "", archive)
        assert (target / "train.txt").is_file()
        return
    (target / "mine.txt").write_text("keep")
    with pytest.raises(FileExistsError, match=r"set: exists already and was left as it is.*root: set.*move it away"):
        install(described(), tmp_path / "all", "", archive)
    assert content(tmp_path / "all") == {"set/mine.txt": b"keep"}


def test_what_a_killed_call_left_is_no_hindrance(tmp_path):
    left = tmp_path / "all" / ".set.download" / "unpacked" / "images"
    left.mkdir(parents=True)
    (left / "half.jpg").write_bytes(b"ha")
    (tmp_path / "all" / ".set.download" / "tmp0123").touch()
    install(described(), tmp_path / "all", "", str(tar(tmp_path / "x.tar.gz")))
    assert os.listdir(tmp_path / "all") == ["set"]
    assert not (tmp_path / "all/set/images/half.jpg").exists()


def test_a_refused_archive_leaves_nothing_half_done(tmp_path):
    archive = tar(tmp_path / "x.tar.gz", extra=[entry("top/images/z", tarfile.SYMTYPE, "/etc")])
    with pytest.raises(ValueError, match="is a link"):
        install(described(), tmp_path / "all", "", str(archive))
    assert os.listdir(tmp_path / "all") == []


@pytest.mark.parametrize(
    "mirror, url",
    [
        (None, "http://nowhere.invalid/x.tar.gz"),
        ("https://a.b/c.tar.gz?key=1", "https://a.b/c.tar.gz?key=1"),
        ("https://a.b/c/", "https://a.b/c/set.tar.gz"),
        ("file:///d/e.tgz", "file:///d/e.tgz"),
        ("/d/e", "file:///d/e/set.tar.gz"),
    ],
)
def test_a_mirror_is_a_file_or_a_folder_of_archives(mirror, url):
    assert location(described(), mirror) == url


@pytest.mark.parametrize("mirror", ["ftp://a/b.tgz", "file://host/b.tgz"])
def test_an_address_that_cannot_be_read_is_refused(mirror):
    with pytest.raises(ValueError, match=rf"mirror {mirror}: .*expected http://, https://, file:///"):
        location(described(), mirror)


def test_a_missing_local_mirror_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"set\.tar\.gz: no such file; .*correct --mirror"):
        install(described(), tmp_path / "all", "", str(tmp_path))


# Over the network


class Server:
    """Serves one file, in whatever way a test needs, and keeps what it was asked."""

    def __init__(self):
        self.data, self.etag, self.ranges, self.breaks_after, self.status = b"", '"1"', True, None, 200
        self.asked: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/x.tar.gz"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def answer(self, handler):
        self.asked.append(dict(handler.headers))
        span = re.match(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(span[1]) if span and self.ranges and handler.headers.get("If-Range") == self.etag else 0
        if start >= len(self.data) > 0:
            handler.send_error(416)
            return
        handler.send_response(206 if start and self.status == 200 else self.status)
        handler.send_header("Content-Length", str(len(self.data) - start))
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.data) - 1}/{len(self.data)}")
        if self.etag:
            handler.send_header("ETag", self.etag)
        handler.end_headers()
        handler.wfile.write(self.data[start : self.breaks_after])
        handler.wfile.flush()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def broken(server, folder, after=20_000):
    """A download that stops early."""
    server.breaks_after = after
    message = rf"stopped after {after:,} bytes .*expected the whole archive: the same call"
    with pytest.raises(ConnectionError, match=message):
        fetch(server.url, folder, "set")
    server.breaks_after = None


def test_an_archive_is_fetched_and_removed_after_unpacking(server, tmp_path):
    server.data = tar(tmp_path / "x").read_bytes()
    source = install(described(server.url), tmp_path / "all", "")
    assert source["url"] == server.url
    assert os.listdir(tmp_path / "all") == ["set"]
    assert "Range" not in server.asked[0] and server.asked[0]["Accept-Encoding"] == "identity"


def test_a_refused_download_leaves_nothing_behind(server, tmp_path):
    server.data = tar(tmp_path / "x").read_bytes()
    with pytest.raises(ValueError, match="sha256 is"):
        install(described(server.url, sha256="0" * 64), tmp_path / "all", "")
    server.status = 404
    with pytest.raises(ConnectionError, match="404"):
        install(described(server.url), tmp_path / "all", "")
    assert os.listdir(tmp_path / "all") == []


def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path):
    server.data = random_bytes(50_000)
    broken(server, tmp_path)
    assert fetch(server.url, tmp_path, "set").read_bytes() == server.data
    assert (server.asked[1]["Range"], server.asked[1]["If-Range"]) == ("bytes=20000-", '"1"')
    assert [path.suffix for path in tmp_path.iterdir()] == [".archive"]


def test_a_server_that_sends_everything_again_is_not_appended(server, tmp_path):
    server.data, server.ranges = random_bytes(50_000), False
    broken(server, tmp_path)
    assert fetch(server.url, tmp_path, "set").read_bytes() == server.data


def test_a_file_that_changed_on_the_server_is_fetched_anew(server, tmp_path):
    server.data = random_bytes(50_000)
    broken(server, tmp_path)
    server.data, server.etag = b"new" * 20_000, '"2"'
    assert fetch(server.url, tmp_path, "set").read_bytes() == server.data


@pytest.mark.parametrize("etag", ["", 'W/"1"'])
def test_without_a_sure_version_a_download_starts_again(server, tmp_path, etag):
    server.data, server.etag = random_bytes(50_000), etag
    broken(server, tmp_path)
    assert fetch(server.url, tmp_path, "set").read_bytes() == server.data
    assert "Range" not in server.asked[1]


def test_a_partial_file_longer_than_the_servers_is_thrown_away(server, tmp_path):
    server.data = random_bytes(50_000)
    broken(server, tmp_path)
    server.data = random_bytes(10_000)
    assert fetch(server.url, tmp_path, "set").read_bytes() == server.data


def test_partial_files_of_two_addresses_do_not_mix(server, tmp_path):
    server.data = random_bytes(50_000)
    broken(server, tmp_path)
    assert fetch(server.url + "?other", tmp_path, "set").read_bytes() == server.data
    assert "Range" not in server.asked[1]


def test_a_part_that_nobody_asked_for_is_refused(server, tmp_path):
    server.data, server.status = random_bytes(100), 206
    with pytest.raises(ConnectionError, match=r"part of a file .* that nobody asked for; expected the archive"):
        fetch(server.url, tmp_path, "set")


@pytest.mark.parametrize("status", [404, 503])
def test_an_answer_that_is_no_file_is_told(server, tmp_path, status):
    server.status = status
    with pytest.raises(ConnectionError, match=rf"the server answered {status} .*expected the archive: .*--mirror"):
        fetch(server.url, tmp_path, "set")


def test_a_server_that_is_not_there_is_told(server, tmp_path):
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(ConnectionError, match=r"stopped after 0 bytes .*refused.*the same call tries again"):
        fetch(server.url, tmp_path, "set")


def test_a_damaged_download_is_removed_so_that_the_next_call_fetches_it_again(server, tmp_path):
    good = tar(tmp_path / "x", FILES | {"top/images/noise": random_bytes(9_000)}).read_bytes()
    server.data = good[:-2000]
    with pytest.raises(ValueError, match="damaged or cut short"):
        install(described(server.url), tmp_path / "all", "")
    assert os.listdir(tmp_path / "all") == []
    server.data = good
    install(described(server.url), tmp_path / "all", "")
    assert os.listdir(tmp_path / "all") == ["set"]


@pytest.mark.parametrize("complete", [True, False])
def test_a_download_of_unknown_length_is_complete_only_with_its_last_chunk(server, tmp_path, complete):
    server.data = random_bytes(50_000)

    def chunked(handler):
        handler.wfile.write(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: "1"\r\n\r\n')
        for start in range(0, 50_000 if complete else 20_000, 10_000):
            handler.wfile.write(b"2710\r\n" + server.data[start : start + 10_000] + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n" if complete else b"")

    server.answer, answer = chunked, server.answer
    if not complete:
        with pytest.raises(ConnectionError, match=r"stopped after 20,000 bytes"):
            fetch(server.url, tmp_path, "set")
        server.answer = answer
    assert fetch(server.url, tmp_path, "set").read_bytes() == server.data


def test_bytes_come_as_they_are_even_if_the_server_calls_them_compressed(server, tmp_path):
    server.data = gzip.compress(b"tar")
    answer = server.answer

    def labelled(handler):
        send = handler.end_headers
        handler.end_headers = lambda: (handler.send_header("Content-Encoding", "gzip"), send())
        answer(handler)

    server.answer = labelled
    assert fetch(server.url, tmp_path, "set").read_bytes() == server.data
