"""Fetch one file from the web, and go on where a broken download stopped."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

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
    with tqdm(total=total, initial=start, desc=title, unit="B", unit_scale=True, disable=None) as bar:
        for block in response.raw.stream(BLOCK, decode_content=False):
            file.write(block)
            bar.update(len(block))


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
