"""Recipes: the rows, columns, seeds and published numbers of a table, and the configuration of every run in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from semiverse.configuration import merged, modernized, read_config

SHIPPED = Path(__file__).parent
"""The recipes that come with the library."""


@dataclass(frozen=True)
class Part:
    """A row or a column group of a table.

    Args:
        title: As people read it; "": its name.
        files: Configurations, relative to the recipe; later ones win.
        config: Configuration on top of them.
        after: Of a row: another row whose run with the same column and seed is made first; ``{row}`` inside the
            configuration stands for its run folder.
        sizes: Configuration on top, by size.
    """

    title: str = ""
    files: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    after: str | None = None
    sizes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A table: what is run, and what was published.

    Args:
        name: What it is called.
        folder: What its files are relative to.
        title: What the table shows.
        rows: Its rows by name.
        source: Where it was published.
        about: What else a reader has to know.
        kind: ``training``: every cell is trained and scored; ``clustering``: every cell clusters images.
        seeds: Of the repetitions.
        files: Configurations that every cell starts from.
        config: Configuration on top of them.
        sizes: Configuration on top of that by size, such as cpu and gpu; the first is used unless another is asked for.
        columns: Column groups by name.
        evaluation: Options of ``semiverse evaluate`` for every cell, such as full_resolution.
        scores: Names of what is compared: ``DOMAIN/miou``, ``sum_miou``, ``DOMAIN/iou/CLASS``, or a column of
            metrics.csv; empty: every domain's mIoU and their sum.
        compare: Pairs of rows to judge: one, and what it is compared with.
        published: Numbers as printed, by column, row and score, in percent where they are shares.
        reasons: Why other numbers may come out.

    Raises:
        ValueError: If a name refers to nothing.
    """

    name: str
    folder: Path
    title: str
    rows: Mapping[str, Part]
    source: str = ""
    about: str = ""
    kind: Literal["training", "clustering"] = "training"
    seeds: tuple[int, ...] = (0,)
    files: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    columns: Mapping[str, Part] = field(default_factory=lambda: {"": Part()})
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    scores: tuple[str, ...] = ()
    compare: tuple[tuple[str, str], ...] = ()
    published: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        named = [(part.after, self.rows, "after") for part in self.rows.values() if part.after is not None]
        named += [(row, self.rows, "compare") for pair in self.compare for row in pair]
        named += [(column, self.columns, "published") for column in self.published]
        named += [(row, self.rows, "published") for rows in self.published.values() for row in rows]
        for name, known, where in named:
            if name not in known:
                raise ValueError(f"{where} names {name!r}; expected one of {_listed(known)}: correct it")

    def size(self, size: str | None) -> str:
        """The size that is meant; "" for a recipe of one size.

        Raises:
            ValueError: If there is no such size.
        """
        if size is not None and size not in self.sizes:
            raise ValueError(
                f"recipe {self.name} has no size {size!r}; expected {_listed(self.sizes) or 'none'}: correct --size"
            )
        return size or next(iter(self.sizes), "")

    def configuration(self, column: str, row: str, size: str) -> dict[str, Any]:
        """What a cell runs: that of the recipe, of the column and of the row, later ones winning."""
        shared = Part(files=self.files, config=self.config, sizes=self.sizes)
        values: dict[str, Any] = {}
        for part in (shared, self.columns[column], self.rows[row]):
            for file in part.files:
                values = merged(values, read_config(self.folder / file))
            for written in (part.config, part.sizes.get(size, {})):
                values = merged(values, modernized(dict(written)))
        return values


def names() -> list[str]:
    """The shipped recipes, as ``semiverse reproduce`` takes them."""
    files = sorted(SHIPPED.rglob("*.yaml"))
    tables = [file for file in files if "rows" in read_config(file)]  # others are parts of their configurations
    return [str(file.relative_to(SHIPPED).with_suffix("")) for file in tables]


def load(name: str) -> Recipe:
    """A shipped recipe by its name, or one of the user's own by its file.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is not written as a recipe.
    """
    own = Path(name)
    file = own if own.suffix in (".yaml", ".yml") else SHIPPED / f"{name}.yaml"
    if not file.is_file():
        near = get_close_matches(name, names(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else "semiverse reproduce without a name lists them"
        raise FileNotFoundError(f"there is no recipe {name!r}; expected one that is shipped, or a YAML file: {hint}")
    values = read_config(file)
    title = name if file != own else own.stem
    try:
        return Recipe(title, file.parent, **_read(values, Recipe, {"name", "folder"}))
    except (TypeError, ValueError) as error:
        raise ValueError(f"recipe {file}: {error}") from error


def _read(values: Mapping[str, Any], kind: type, given: set[str]) -> dict[str, Any]:
    """Fields of a recipe or of a part, from what its file says."""
    known = [known.name for known in fields(kind) if known.name not in given]
    unknown = [key for key in values if key not in known]
    if unknown:
        near = get_close_matches(unknown[0], known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "remove it"
        raise ValueError(f"found the key {unknown[0]!r}; expected some of {_listed(known)}: {hint}")
    read = dict(values)
    for key in {"rows", "columns"} & set(read):
        read[key] = {title: Part(**_read(part or {}, Part, set())) for title, part in read[key].items()}
    for key in {"seeds", "files", "scores", "reasons"} & set(read):
        read[key] = tuple(read[key])
    if "compare" in read:
        read["compare"] = tuple((ours, theirs) for ours, theirs in read["compare"])
    return read


def _listed(names: Any) -> str:  # noqa: ANN401
    return ", ".join(map(repr, names))
