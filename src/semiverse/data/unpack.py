"""Unpack an archive of unknown good will: only plain files, only below the folder, only so much."""

import hashlib
import re
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path, PurePosixPath

from semiverse.data.archives import BLOCK, DAMAGE, Member, damaged, members

LARGEST = 20 * 10**9
"""Bytes that an archive may hold unpacked."""
RATIO = 200
"""How many times its own size an archive may hold; photographs reach 2, a bomb 1000."""
SMALL = 16 * 10**6
"""Bytes that are never too many."""
NOTICES = ("README", "LICENSE", "LICENCE", "COPYING")
"""Beginnings of file names by which owners say what others may do."""


def unpack(
    archive: Path, folder: Path, contents: Sequence[str], largest: int = LARGEST, ratio: int = RATIO
) -> dict[str, str]:
    """Unpack parts of a tar or zip archive, and the owner's notices.

    Files are written anew with their bytes alone, never with links, owners or permissions from the archive. A single
    folder around everything, as GitHub adds it, is left out.

    Args:
        archive: The archive: tar (plain, gzip, bzip2, xz) or zip.
        folder: An empty folder to unpack to.
        contents: Files and folders of the archive to take; all of them have to be in it.
        largest: Bytes that it may hold unpacked.
        ratio: How many times its own size it may hold unpacked.

    Returns:
        SHA-256 of every file written, by its path in the folder.

    Raises:
        ValueError: If it is no archive, damaged, or cut short; if a part is missing from it; if an entry leads out of
            the folder, is a link or a device, or stands twice; or if it holds more than the limits.
    """
    limit = min(largest, max(SMALL, ratio * archive.stat().st_size))
    written: dict[str, str] = {}
    try:
        with closing(members(archive, limit)) as entries:
            for member in entries:
                place = _place(_safe_parts(archive, member.name), contents)
                if place is None or member.kind == "folder" or (_is_notice(place) and place in written):
                    continue
                written[place] = _write(archive, member, folder / place)
    except DAMAGE as error:
        raise damaged(archive, error) from error
    except OSError as error:
        if error.errno is None:  # a decoder's; those of the disk have numbers
            raise damaged(archive, error) from error
        raise
    missing = [part for part in contents if not (folder / part).exists()]
    if missing:
        raise ValueError(
            f"{archive}: the archive holds no {', '.join(missing)}; expected {', '.join(contents)}: is it the right "
            "one? Correct --mirror"
        )
    return written


def _safe_parts(archive: Path, name: str) -> tuple[str, ...]:
    """Folders and file name of an entry."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(
            f"{archive}: entry {name!r} leads out of the folder; expected paths inside it: do not use this archive, "
            "take it from its owner"
        )
    return path.parts


def _place(parts: tuple[str, ...], contents: Sequence[str]) -> str | None:
    """Where an entry goes, with or without the folder around everything; None: it is not asked for."""
    for inside in (parts, parts[1:]):
        path = "/".join(inside)
        if any(f"{path}/".startswith(f"{part}/") for part in contents):
            return path
        if len(inside) == 1 and _is_notice(path):
            return path
    return None


def _is_notice(path: str) -> bool:
    return path.upper().startswith(NOTICES)


def _write(archive: Path, member: Member, path: Path) -> str:
    """Write a new file; its SHA-256."""
    strange = re.search(r"[\\:\0]", member.name)  # separators of other systems
    if member.kind != "file" or strange:
        what = "has a name that leads elsewhere on other systems" if strange else f"is a {member.kind}"
        raise ValueError(
            f"{archive}: entry {member.name!r} {what}; expected plain files: do not use this archive, take it from its "
            "owner"
        )
    if path.exists():
        raise ValueError(f"{archive}: entry {member.name!r} stands twice; expected every file once: take another copy")
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with member.open() as source, path.open("xb") as goal:
        while block := source.read(BLOCK):
            digest.update(block)
            goal.write(block)
    return digest.hexdigest()
