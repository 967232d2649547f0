"""The files of a report: tables, figures, and the page that knows them."""

import re
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from semiverse.commands.reporting.page import MARK, Page
from semiverse.commands.reporting.tables import as_csv, as_latex, as_markdown
from semiverse.run import write_atomically


def table_files(page: Page) -> dict[str, str | bytes]:
    """Files of all tables."""
    writers = {"csv": as_csv, "md": as_markdown, "tex": as_latex}
    named = zip(file_names([table.name for table in page.tables]), page.tables, strict=True)
    return {f"tables/{name}.{ending}": as_text(table) for name, table in named for ending, as_text in writers.items()}


def figure_files(page: Page) -> dict[str, str | bytes]:
    """Files of all figures, which are drawn now."""
    files: dict[str, str | bytes] = {}
    pictures = page.pictures
    named = zip(file_names([picture.name for picture in pictures]), pictures, strict=True)
    for name, picture in tqdm(named, total=len(pictures), desc="drawing", delay=2, leave=False):
        files |= {f"figures/{name}.{ending}": data for ending, data in picture.draw().items()}
    return files


def file_names(texts: Sequence[str]) -> list[str]:
    """Texts as names of files, numbered where they differ only in what no file name has."""
    names: list[str] = []
    for text in texts:
        name = plain = re.sub(r"[^\w.-]+", "_", text)
        number = 1
        while name in names:
            number += 1
            name = f"{plain}_{number}"
        names.append(name)
    return names


def write(out: Path, files: dict[str, str | bytes]) -> None:
    """Write everything, the page first: it says which files are the report's own.

    Raises:
        ValueError: If a file to write is there and not from an earlier report.
    """
    page = out / "index.html"
    text = page.read_text(encoding="utf-8", errors="replace") if page.is_file() else ""
    own = re.search(rf'<meta name="{MARK}" content="([^"]*)">', text)
    known = set(own[1].split()) if own else set()
    foreign = [name for name in files if name not in known and (out / name).exists()]
    if foreign:
        raise ValueError(
            f"{out} already has {foreign[0]}, which no report wrote; expected a new folder or an earlier report: "
            "choose another --out"
        )
    for name, content in files.items():
        write_atomically(out / name, content)
