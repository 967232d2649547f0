"""Fetch openly available datasets; for the others, say how to obtain them."""

import re
from collections.abc import Sequence
from pathlib import Path

from semiverse.datasets.catalogue import find_dataset, known_datasets, missing_images, open_archive, steps_to_obtain
from semiverse.downloads.download import free_place, install, installed, is_file
from semiverse.files import data_root


def download(
    names: Sequence[str], root: Path | None = None, mirror: str | None = None, sha256: str | None = None
) -> int:
    """Fetch datasets that are openly available, verify their archives, and unpack them.

    The owner's terms are shown before and kept as TERMS.txt with the data; SOURCE.json says what was fetched. A
    download that was stopped goes on where it was, if the server can do that. Nothing that exists is overwritten.
    GitHub promises no stable bytes for its archives, so these have no known checksum: what is compared is the commit
    that the archive names and the number of images; size and SHA-256 are shown and written down.

    For a dataset whose owner asks for registration or offers no single file, the steps are shown instead.

    Args:
        names: Datasets, in any spelling: camvid, clothing-co-parsing.
        root: The folder that gets a folder for each dataset; None: $SEMIVERSE_DATA, or else ./data.
        mirror: Take the archive from this address (http, https, file:// or a path), or from a folder there that holds
            it as <folder of the dataset>.tar.gz.
        sha256: The archive has to have this SHA-256 (64 hexadecimal digits).

    Returns:
        0 if everything is there, 1 if images are missing from what was fetched.

    Raises:
        ValueError: If a dataset is unknown or not openly available, or an archive is not what it should be.
        FileExistsError: If the folder of a dataset exists and is not of this command.
        FileNotFoundError: If a local mirror does not exist.
        ConnectionError: If a download fails.
    """
    known = known_datasets()
    kinds = list(dict.fromkeys(find_dataset(name, known) for name in ([names] if isinstance(names, str) else names)))
    archives = {kind: archive for kind in kinds if (archive := open_archive(kind))}
    place = data_root(root)
    if len(archives) < len(kinds):
        raise ValueError("\n\n".join(steps_to_obtain(kind, place) for kind in kinds if kind not in archives))
    if len(kinds) > 1 and (sha256 or (mirror and is_file(mirror))):
        option = "--sha256" if sha256 else f"--mirror {mirror}"
        raise ValueError(
            f"{option} is about one archive, but there are {len(kinds)} datasets; expected one: call it for each"
        )
    if sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ValueError(f"--sha256 {sha256}: no SHA-256; expected 64 hexadecimal digits: copy all of it")
    for archive in archives.values():
        if installed(place / archive.folder) is None:
            free_place(place / archive.folder)
    problems = []
    for kind, archive in archives.items():
        target, title = place / archive.folder, kind.__name__
        if installed(target, sha256) is None:
            print(f"{title}: terms: {kind.terms}\n{title}: source: {kind.source}", flush=True)
            source = install(archive, place, f"{title}\n\n{kind.terms}\n\nSource: {kind.source}", mirror, sha256)
            compared = "as expected" if source["sha256_compared"] else "nothing known to compare it with"
            commit = f", commit {source['commit']}" if source["commit"] else ""
            print(f"{title}: archive of {source['size']:,} bytes{commit}, SHA-256 {source['sha256']} ({compared})")
            print(f"{title}: {source['files']:,} files at {target.absolute()}; use it by root: {archive.folder}")
        else:
            print(
                f"{title}: already at {target.absolute()}, nothing was fetched; to fetch it again, move the folder away"
            )
        problems += missing_images(kind, target)
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0
