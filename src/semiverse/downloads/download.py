"""Fetch and verify one archive of a dataset, and put its files in place."""

import hashlib
import json
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from semiverse.downloads.archives import BLOCK, stated_commit, unpack
from semiverse.files import FULL_DISK, DataProblem, expand, read_json
from semiverse.progress import Progress

if TYPE_CHECKING:
    from requests import Response

SUFFIXES = (".tar.gz", ".tgz")
SOURCE = "SOURCE.json"


class Archive(NamedTuple):
    """Where a dataset can be had openly, in one file.

    GitHub makes its archives when they are asked for. What a commit's archive holds never changes, but nobody promises
    that its bytes do not, so these have no checksum here; instead the commit that git writes into the archive is
    compared, and what was found is written down, for others to compare with.
    """

    url: str
    folder: str  # where it goes, below the folder of all datasets
    contents: tuple[str, ...]  # files and folders to take
    sha256: str | None = None  # of the archive; None: not known, or not stable
    size: int | None = None  # bytes of the archive
    commit: str | None = None  # of the archive, where git made it


def github_archive(repository: str, commit: str, folder: str, contents: tuple[str, ...]) -> Archive:
    """The archive that GitHub makes of a commit."""
    url = f"https://codeload.github.com/{repository}/tar.gz/{commit}"
    return Archive(url, folder, contents, commit=commit)


def install(
    archive: Archive, root: Path, terms: str, mirror: str | None = None, sha256: str | None = None
) -> dict[str, Any]:
    """Fetch an archive, verify it, and unpack it to its folder below ``root``, completely or not at all.

    Beside the data come ``TERMS.txt`` and ``SOURCE.json``, which says what the archive was. What arrives is kept in a
    hidden folder beside them until then, so that a call that was stopped can be repeated.

    Args:
        archive: What to fetch.
        root: The folder of all datasets.
        terms: What the owner allows.
        mirror: Address of the archive elsewhere, or of a folder with ``<archive.folder>.tar.gz``.
        sha256: What the archive's SHA-256 has to be; None: that of ``archive``, if it has one.

    Returns:
        What ``SOURCE.json`` says.

    Raises:
        FileExistsError: If the folder exists and is not empty.
        FileNotFoundError: If a local mirror does not exist.
        ConnectionError: If the download fails.
        ValueError: If the archive is not the expected one, damaged, or dangerous.
    """
    target = free_place(root / archive.folder)
    url = location(archive, mirror)
    local = Path(url2pathname(urlsplit(url).path)) if url.startswith("file:") else None
    if local and not local.is_file():
        found = f"{local}: no such file; expected an archive ({', '.join(SUFFIXES)})"
        raise FileNotFoundError(f"{found}: correct --mirror")
    work = root / f".{archive.folder}.download"
    fresh = work / "unpacked"
    shutil.rmtree(fresh, ignore_errors=True)  # what a killed call left
    try:
        file = local or fetch(url, work, archive.folder)
        try:
            source = {"url": url} | _verified(file, archive, sha256)
            fresh.mkdir(parents=True)
            digests = unpack(file, fresh, archive.contents)
        except ValueError:
            if local is None:  # fetching it again may help, keeping it does not
                file.unlink()
            raise
        lines = "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items()))  # as sha256sum prints them
        source |= {"files": len(digests), "content_sha256": hashlib.sha256(lines.encode()).hexdigest()}
        source["fetched"] = datetime.now(UTC).isoformat(timespec="seconds")
        (fresh / "TERMS.txt").write_text(f"{terms}\n\nFrom {url}\n", encoding="utf-8")
        (fresh / SOURCE).write_text(json.dumps(source, indent=2) + "\n", encoding="utf-8")
        if target.is_dir():
            target.rmdir()  # it is empty
        fresh.rename(target)
        shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        if isinstance(error, ConnectionError) or error.errno is None:  # which says what is wrong itself
            raise
        raise OSError(f"{target} cannot be written ({error.strerror}); {FULL_DISK}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        with suppress(OSError):  # what the next call can go on with stays
            work.rmdir()
    return source


def free_place(target: Path) -> Path:
    """A folder that may be written, as nothing is in it.

    Raises:
        FileExistsError: If something is.
    """
    free = target.is_dir() and not target.is_symlink() and not any(target.iterdir())
    if not free and (target.exists() or target.is_symlink()):
        remedy = f"use it (root: {target.name}), move it away, or name another place by --root"
        raise FileExistsError(f"{target}: exists already and was left as it is; expected no such folder: {remedy}")
    return target


def installed(target: Path, sha256: str | None = None) -> dict[str, Any] | None:
    """What ``SOURCE.json`` says of a folder that ``install`` has put there; None for any other.

    Raises:
        ValueError: If it was made from an archive with another SHA-256.
    """
    try:
        source = read_json(target / SOURCE, "what was fetched")
        found = source["sha256"]
    except (OSError, ValueError, KeyError):
        return None
    if sha256 and sha256.lower() != found:
        made = f"{target}: made from an archive with SHA-256 {found}"
        raise DataProblem(made, sha256, "move the folder away to fetch it again")
    return source


def location(archive: Archive, mirror: str | None) -> str:
    """The address of an archive, at its owner or at a mirror.

    Raises:
        ValueError: If the mirror is no address of a file or a folder.
    """
    if mirror is None:
        return archive.url
    url = mirror if "://" in mirror else expand(Path(mirror)).absolute().as_uri()
    scheme, host, *_ = urlsplit(url)
    if scheme not in ("http", "https", "file") or (scheme == "file" and host not in ("", "localhost")):
        found = f"mirror {mirror}: this address cannot be read"
        raise ValueError(f"{found}; expected http://, https://, file:/// or a path: correct it")
    return url if is_file(mirror) else f"{url.rstrip('/')}/{archive.folder}.tar.gz"


def is_file(mirror: str) -> bool:
    """Whether a mirror is one archive, by the end of its name, and not a folder of archives."""
    return urlsplit(mirror).path.lower().endswith(SUFFIXES)


def _verified(file: Path, archive: Archive, sha256: str | None) -> dict[str, Any]:
    """Size, SHA-256 and commit of an archive, which have to be what is expected."""
    from pooch import file_hash

    expected = (sha256 or archive.sha256 or "").lower() or None
    found = {"size": file.stat().st_size, "sha256": file_hash(file), "commit": stated_commit(file)}
    for name, value in {"size": archive.size, "sha256": expected, "commit": archive.commit}.items():
        if None not in (value, found[name]) and value != found[name]:
            raise ValueError(
                f"{file}: the archive's {name} is {found[name]}; expected {value}: it is not the file that was meant, "
                "or was changed on its way; take it from its owner, or correct --sha256 or --mirror"
            )
    return found | {"sha256_compared": expected is not None}


def fetch(url: str, folder: Path, title: str) -> Path:
    """Download a file, which stays in the folder until the caller removes it.

    Bytes arrive in ``<title>-<code of the url>.part``. If they stop, the next call goes on from there, provided that
    the server can send parts and says by ETag or date that the file is still the same; otherwise it starts again.

    Args:
        url: http or https.
        folder: Where to put the file.
        title: What it is called there and in the progress bar.

    Returns:
        The complete file.

    Raises:
        ConnectionError: If the server cannot be reached, refuses, or stops too early.
    """
    import pooch

    done = folder / f"{title}-{hashlib.sha256(url.encode()).hexdigest()[:8]}.archive"
    pooch.get_logger().setLevel("WARNING")  # what there is to say, the command says
    downloader = partial(_resume, part=done.with_suffix(".part"), title=title)
    pooch.retrieve(url, known_hash=None, fname=done.name, path=folder, downloader=downloader)
    return done


def _resume(url: str, goal: str, _pooch: object, *, part: Path, title: str) -> None:
    """A downloader of pooch that goes on with the part that is there."""
    import requests
    from urllib3.exceptions import HTTPError

    version = part.with_suffix(".version")
    start, known = _kept(part, version)
    headers = {"Accept-Encoding": "identity"}  # what is compressed is the file, not the way
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": known}
    try:
        # Seconds to wait for a connection, and for more bytes.
        with requests.get(url, headers=headers, stream=True, timeout=(10, 60)) as response:
            if response.status_code == 416 and start:  # the file has fewer bytes than are here
                part.unlink()
                return _resume(url, goal, None, part=part, title=title)
            start = _first_byte(url, response, start)
            announced = response.headers.get("Content-Length")
            total = start + int(announced) if announced else None
            with (
                part.open("ab" if start else "wb") as file,
                Progress(title, total, "B", start) as bar,
            ):
                tag = response.headers.get("ETag", "")  # a weak one does not tell versions apart
                version.write_text(tag if tag.startswith('"') else response.headers.get("Last-Modified", ""), "utf-8")
                for block in response.raw.stream(BLOCK, decode_content=False):
                    bar.advance(file.write(block))
    except (requests.RequestException, HTTPError) as error:
        size = part.stat().st_size if part.is_file() else 0
        again = "goes on from there" if _kept(part, version)[0] else "tries again"
        cause: BaseException = error
        while cause.args and isinstance(cause.args[-1], BaseException):  # libraries wrap the reason several times
            cause = cause.args[-1]
        reason = str(getattr(cause, "reason", None) or cause) or type(cause).__name__
        raise ConnectionError(
            f"{url}: the download stopped after {size:,} bytes ({reason}); expected the whole archive: the same call "
            f"{again}, or name another place by --mirror"
        ) from error
    part.replace(goal)
    version.unlink(missing_ok=True)


def _kept(part: Path, version: Path) -> tuple[int, str]:
    """Bytes that can be gone on with, and the version of the file that they are of."""
    known = version.read_text(encoding="utf-8") if part.is_file() and version.is_file() else ""
    return (part.stat().st_size if known else 0), known


def _first_byte(url: str, response: "Response", wanted: int) -> int:
    """The place in the file of the first byte that a server sends."""
    span = response.headers.get("Content-Range", "")
    if response.status_code == 200:
        return 0
    if response.status_code == 206 and wanted and span.startswith(f"bytes {wanted}-"):
        return wanted
    found = f"{response.status_code} {response.reason}"
    if response.status_code == 206:
        found = f"part of a file ({span or 'it does not say which'}) that nobody asked for"
    remedy = "try again later, or download it elsewhere and name it by --mirror"
    raise ConnectionError(f"{url}: the server answered {found}; expected the archive: {remedy}")
