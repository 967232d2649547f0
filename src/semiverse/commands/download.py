"""Fetch openly available datasets; for the others, say how to obtain them."""

import inspect
import re
import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path

from semiverse.data import SegmentationDataset
from semiverse.datasets.catalogue import find_dataset, has_root, known_datasets, open_archive, source_of, usual_folder
from semiverse.downloads.download import Archive, data_root, free_place, install, installed, is_file

Kind = type[SegmentationDataset]


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
    place = data_root(root)
    closed = [_steps(kind, place) for kind in kinds if open_archive(kind) is None]
    if closed:
        raise ValueError("\n\n".join(closed))
    _check_single(kinds, mirror, sha256)
    archives = [(kind, archive) for kind in kinds if (archive := open_archive(kind))]
    for _, archive in archives:
        if installed(place / archive.folder) is None:
            free_place(place / archive.folder)
    problems = [line for kind, archive in archives for line in _provide(kind, archive, place, mirror, sha256)]
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


def _check_single(kinds: Sequence[Kind], mirror: str | None, sha256: str | None) -> None:
    """Options that are about one archive.

    Raises:
        ValueError: If there are several, or the checksum is none.
    """
    if len(kinds) > 1 and (sha256 or (mirror and is_file(mirror))):
        option = "--sha256" if sha256 else f"--mirror {mirror}"
        raise ValueError(
            f"{option} is about one archive, but there are {len(kinds)} datasets; expected one: call it for each"
        )
    if sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ValueError(f"--sha256 {sha256}: no SHA-256; expected 64 hexadecimal digits: copy all of it")


def _provide(kind: Kind, archive: Archive, place: Path, mirror: str | None, sha256: str | None) -> list[str]:
    """Fetch one dataset, unless this command has done so before; what is wrong with it."""
    target, title = place / archive.folder, kind.__name__
    source = installed(target)
    if source is not None:
        if sha256 and sha256.lower() != source["sha256"]:
            raise ValueError(
                f"{target}: made from an archive with SHA-256 {source['sha256']}; expected {sha256}: move the folder "
                "away to fetch it again"
            )
        print(f"{title}: already at {target.absolute()}, nothing was fetched; to fetch it again, move the folder away")
        return _missing_images(kind, target)
    print(f"{title}: terms: {kind.terms}\n{title}: source: {kind.source}", flush=True)
    source = install(archive, place, f"{title}\n\n{kind.terms}\n\nSource: {kind.source}", mirror, sha256)
    compared = "as expected" if source["sha256_compared"] else "nothing known to compare it with"
    commit = f", commit {source['commit']}" if source["commit"] else ""
    print(f"{title}: archive of {source['size']:,} bytes{commit}, SHA-256 {source['sha256']} ({compared})")
    print(f"{title}: {source['files']:,} files at {target.absolute()}; use it by root: {archive.folder}")
    return _missing_images(kind, target)


def _missing_images(kind: Kind, target: Path) -> list[str]:
    """Splits that have more or fewer images than the owner's."""
    dataset, problems = kind(target), []
    for split in kind.splits:
        expected = kind.image_counts[split]
        try:
            found = len(dataset.records(split))
        except (FileNotFoundError, ValueError) as error:
            problems.append(f"{kind.__name__}: split {split}: {error}")
            continue
        if found != expected:
            problems.append(
                f"{kind.__name__}: split {split} has {found} images; expected {expected}: the archive is another "
                "version, or incomplete"
            )
    return problems


def _steps(kind: Kind, place: Path) -> str:
    """How to come by a dataset that cannot be fetched."""
    title, folder = kind.__name__, usual_folder(kind)
    if not has_root(kind) or not source_of(kind):
        return (
            f"{title}: there is nothing to download, it has no files or reads your own; expected the name of an "
            "owner's dataset: see semiverse datasets"
        )
    layout = (inspect.getdoc(kind) or "").partition("\nArgs:")[0].replace("``", "").strip()
    steps = [
        f"1. Read the terms: {getattr(kind, 'terms', 'at the source')}",
        f"2. Obtain it, registering where that is asked: {source_of(kind)}",
        f"3. Unpack it to {(place / folder).absolute()}, so that it looks as described below.",
        f"4. Use it by root: {folder}. `semiverse datasets` says whether it is found, `semiverse check` whether it is "
        "complete.",
    ]
    width = max(60, min(110, shutil.get_terminal_size((100, 24)).columns))
    lines = [
        textwrap.fill(step, width, initial_indent="  ", subsequent_indent="     ", break_on_hyphens=False)
        for step in steps
    ]
    start = f"{title} is not fetched by this command; expected that you obtain it from its owner:"
    return "\n".join([start, *lines, "", textwrap.indent(layout, "  ")])
