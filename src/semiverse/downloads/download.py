"""Fetch and verify one archive of a dataset, and put its files in place."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from semiverse.downloads.archives import stated_commit, unpack
from semiverse.files import expand
from semiverse.progress import Progress

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")
SOURCE = "SOURCE.json"
TERMS = "TERMS.txt"


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

    Beside the data come ``TERMS.txt`` and ``SOURCE.json``, which says what the archive was.

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
    local = _local_file(url)
    file = local or fetch(url, root, archive.folder)
    fresh = root / f".{archive.folder}.unpacking"
    shutil.rmtree(fresh, ignore_errors=True)  # what a killed call left
    try:
        source = {"url": url} | _verified(file, archive, sha256)
        fresh.mkdir(parents=True)
        source |= _content(unpack(file, fresh, archive.contents))
        source["fetched"] = datetime.now(UTC).isoformat(timespec="seconds")
        (fresh / TERMS).write_text(f"{terms}\n\nFrom {url}\n", encoding="utf-8")
        (fresh / SOURCE).write_text(json.dumps(source, indent=2) + "\n", encoding="utf-8")
        if target.is_dir():
            target.rmdir()  # it is empty
        fresh.rename(target)
    except ValueError:
        if local is None:  # fetching it again may help, keeping it does not
            file.unlink(missing_ok=True)
        raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    if local is None:
        file.unlink()
    return source


def data_root(root: Path | None) -> Path:
    """The folder of all datasets: as given, or else ``$SEMIVERSE_DATA``, or else ``data``."""
    return expand(root if root is not None else Path(os.environ.get("SEMIVERSE_DATA") or "data"))


def free_place(target: Path) -> Path:
    """A folder that may be written, as nothing is in it.

    Raises:
        FileExistsError: If something is.
    """
    if target.is_dir() and not target.is_symlink() and not any(target.iterdir()):
        return target
    if target.exists() or target.is_symlink():
        raise FileExistsError(
            f"{target}: exists already and was left as it is; expected no such folder: use it (root: {target.name}), "
            "move it away, or name another place by --root"
        )
    return target


def installed(target: Path) -> dict[str, Any] | None:
    """What ``SOURCE.json`` says of a folder that ``install`` has put there; None for any other."""
    try:
        source = json.loads((target / SOURCE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return source if isinstance(source, dict) and "sha256" in source else None


def location(archive: Archive, mirror: str | None) -> str:
    """The address of an archive, at its owner or at a mirror.

    Raises:
        ValueError: If the mirror is no address of a file or a folder.
    """
    if mirror is None:
        return archive.url
    url = mirror if "://" in mirror else expand(Path(mirror)).absolute().as_uri()
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https", "file") or (
        parts.scheme == "file" and parts.netloc not in ("", "localhost")
    ):
        raise ValueError(
            f"mirror {mirror}: this address cannot be read; expected http://, https://, file:/// or a path: correct it"
        )
    return url if is_file(mirror) else f"{url.rstrip('/')}/{archive.folder}.tar.gz"


def is_file(mirror: str) -> bool:
    """Whether a mirror is one archive, by the end of its name, and not a folder of archives."""
    return urlsplit(mirror).path.lower().endswith(SUFFIXES)


def _local_file(url: str) -> Path | None:
    """The file of a ``file://`` address, None for others.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    if not url.startswith("file:"):
        return None
    path = Path(url2pathname(urlsplit(url).path))
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected an archive ({', '.join(SUFFIXES)}): correct --mirror")
    return path


def _verified(file: Path, archive: Archive, sha256: str | None) -> dict[str, Any]:
    """Size, SHA-256 and commit of an archive.

    Raises:
        ValueError: If one of them is not what was expected.
    """
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    expected = (sha256 or archive.sha256 or "").lower() or None
    found = {"size": file.stat().st_size, "sha256": digest, "commit": stated_commit(file)}
    wanted = {"size": archive.size, "sha256": expected, "commit": archive.commit}
    for name, value in wanted.items():
        if None not in (value, found[name]) and value != found[name]:
            raise ValueError(
                f"{file}: the archive's {name} is {found[name]}; expected {value}: it is not the file that was meant, "
                "or was changed on its way; take it from its owner, or correct --sha256 or --mirror"
            )
    return found | {"sha256_compared": expected is not None}


def _content(digests: dict[str, str]) -> dict[str, Any]:
    """Number of files, and the SHA-256 of their list as ``sha256sum`` prints it, which does not depend on packing."""
    lines = "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items()))
    return {"files": len(digests), "content_sha256": hashlib.sha256(lines.encode()).hexdigest()}


BLOCK = 1 << 20
TIMEOUT = (10, 60)
"""Seconds to wait for a connection, and for more bytes."""


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
    import requests
    import urllib3

    folder.mkdir(parents=True, exist_ok=True)
    code = hashlib.sha256(url.encode()).hexdigest()[:8]
    done, part, version = (folder / f"{title}-{code}.{suffix}" for suffix in ("archive", "part", "version"))
    if done.is_file():  # a call was stopped after the last byte
        return done
    start = part.stat().st_size if part.is_file() and version.is_file() else 0
    headers = {"Accept-Encoding": "identity"}  # what is compressed is the file, not the way
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": version.read_text(encoding="utf-8")}
    try:
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == 416 and start:  # the file has fewer bytes than are here
                part.unlink()
                return fetch(url, folder, title)
            start = _start(url, response.status_code, response.reason, response.headers, start)
            _keep_version(version, response.headers)
            with part.open("ab" if start else "wb") as file:
                _receive(response, file, title, start)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise ConnectionError(_advice(url, part, version, _cause(error))) from error
    part.replace(done)
    version.unlink(missing_ok=True)
    return done


def _start(url: str, status: int, reason: str, headers: Mapping[str, str], wanted: int) -> int:
    """The place in the file of the first byte that a server sends."""
    if status == 200:
        return 0
    if status == 206 and wanted and headers.get("Content-Range", "").startswith(f"bytes {wanted}-"):
        return wanted
    if status == 206:
        found = f"part of a file ({headers.get('Content-Range', 'it does not say which')}) that nobody asked for"
    else:
        found = f"{status} {reason}"
    raise ConnectionError(
        f"{url}: the server answered {found}; expected the archive: try again later, or download it elsewhere and name "
        "it by --mirror"
    )


def _keep_version(path: Path, headers: Mapping[str, str]) -> None:
    """Write down by what the server tells versions of the file apart; weak tags do not."""
    tag = headers.get("ETag", "")
    version = tag if tag.startswith('"') else headers.get("Last-Modified", "")
    if version:
        path.write_text(version, encoding="utf-8")
    else:
        path.unlink(missing_ok=True)


def _receive(response: Any, file: IO[bytes], title: str, start: int) -> None:  # noqa: ANN401  (requests has no types)
    """Write what arrives.

    Raises:
        HTTPError: Of urllib3, if fewer bytes come than were announced.
    """
    announced = response.headers.get("Content-Length")
    total = start + int(announced) if announced else None
    with Progress(title, total, "B", start) as bar:
        for block in response.raw.stream(BLOCK, decode_content=False):
            file.write(block)
            bar.advance(len(block))


def _advice(url: str, part: Path, version: Path, cause: str) -> str:
    size = part.stat().st_size if part.is_file() else 0
    again = "the same call goes on from there" if version.is_file() and size else "the same call tries again"
    return (
        f"{url}: the download stopped after {size:,} bytes ({cause}); expected the whole archive: {again}, or name "
        "another place by --mirror"
    )


def _cause(error: BaseException) -> str:
    """The innermost reason; libraries wrap it several times."""
    while error.args and isinstance(error.args[-1], BaseException):
        error = error.args[-1]
    return str(getattr(error, "reason", None) or error) or type(error).__name__
