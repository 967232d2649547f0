"""Recipes: the rows, columns, seeds and published numbers of a table, and the configuration of every run in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from semiverse.configuration import merged, modernized, read_config
from semiverse.configuration.records import checked
from semiverse.files import bearable
from semiverse.models.saving import find_model
from semiverse.models.saving import read_config as network_of

SHIPPED = Path(__file__).parent
"""The recipes that come with the library."""
GIVEN = "{weights}"
"""What stands for the given weights in ``model.weights`` of a row."""
PSEUDOLABELS = "pseudolabels"
"""Where the configuration of a cell says which run labels unlabelled images before its training, and how."""

Kind = Literal["training", "scoring", "clustering"]


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
        kind: Of a row that is made otherwise than the others: ``scoring`` scores a network as it starts.
        pseudolabels: Of a row: label the unlabelled images by the run of the row ``after`` and learn from that too; the
            values say how, as for ``semiverse selftrain``. None: no such labels.
    """

    title: str = ""
    files: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    after: str | None = None
    sizes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    kind: Kind | None = None
    pseudolabels: Mapping[str, Any] | None = None


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
        also: Further options of it by name, such as another domain or split: every cell is scored once more with
            them, and its scores are called ``DOMAIN@NAME/miou`` and so on.
        scores: Names of what is compared: ``DOMAIN/miou``, ``sum_miou``, ``DOMAIN/iou/CLASS``, or a column of
            metrics.csv; empty: every domain's mIoU and their sum.
        compare: Pairs of rows to judge: one, and what it is compared with.
        published: Numbers as printed, by column, row and score, in percent where they are shares.
        reasons: Why other numbers may come out.
        weights: What ``{weights}`` in ``model.weights`` of rows stands for: a published file, or the folder of a run or
            model, which then also says what their network is.
        relative_to: The column against which others are measured as well: each score as a share of the row's own there.
        efficiency: What the columns are, where they are label budgets, from few to many: the scores are then drawn over
            them.

    Raises:
        ValueError: If a name refers to nothing.
    """

    name: str
    folder: Path
    title: str
    rows: Mapping[str, Part]
    source: str = ""
    about: str = ""
    kind: Kind = "training"
    seeds: tuple[int, ...] = (0,)
    files: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    columns: Mapping[str, Part] = field(default_factory=lambda: {"": Part()})
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    also: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    scores: tuple[str, ...] = ()
    compare: tuple[tuple[str, str], ...] = ()
    published: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    weights: str | None = None
    relative_to: str | None = None
    efficiency: str = ""

    def __post_init__(self) -> None:
        named = [(part.after, self.rows, "after") for part in self.rows.values() if part.after is not None]
        named += [(row, self.rows, "compare") for pair in self.compare for row in pair]
        named += [(column, self.columns, "published") for column in self.published]
        named += [(self.relative_to, self.columns, "relative_to")] if self.relative_to is not None else []
        named += [(row, self.rows, "published") for rows in self.published.values() for row in rows]
        for name, known, where in named:
            if name not in known:
                raise ValueError(f"{where} names {name!r}; expected one of {_listed(known)}: correct it")
        for name, part in self.rows.items():
            if part.pseudolabels is not None and part.after is None:
                raise ValueError(f"row {name!r} has pseudolabels; expected after, the row that makes them: add it")
        for kind in [self.kind, *(part.kind for part in self.rows.values())]:
            if kind not in (None, *get_args(Kind)):
                raise ValueError(f"kind is {kind!r}; expected one of {_listed(get_args(Kind))}: correct it")

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

    def starting_from(self, weights: Path | None) -> "Recipe":
        """The recipe with these weights given; None: with its own.

        Raises:
            ValueError: If no row starts from given weights.
        """
        if weights is not None and self.weights is None:
            raise ValueError(
                f"recipe {self.name} has no row that starts from given weights; expected none, found {weights}: leave "
                "out --weights"
            )
        return self if weights is None else replace(self, weights=str(weights))

    def kind_of(self, row: str) -> Kind:
        """How the runs of a row are made."""
        return self.rows[row].kind or self.kind

    def configuration(self, column: str, row: str, size: str) -> dict[str, Any]:
        """What a cell runs: that of the recipe, of the column and of the row, later ones winning.

        Raises:
            FileNotFoundError: If the row starts from a given folder that holds no model.
        """
        shared = Part(files=self.files, config=self.config, sizes=self.sizes)
        values: dict[str, Any] = {}
        for part in (shared, self.columns[column], self.rows[row]):
            for file in part.files:
                values = merged(values, read_config(self.folder / file))
            for written in (part.config, part.sizes.get(size, {})):
                values = merged(values, modernized(dict(written)))
        if self.weights is not None and values.get("model", {}).get("weights") == GIVEN:
            values["model"] = values["model"] | _network(self.weights)
        chosen = self.rows[row]
        if chosen.pseudolabels is not None:
            values[PSEUDOLABELS] = {"teacher": f"{{{chosen.after}}}", **chosen.pseudolabels}
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
        raise ValueError(f"recipe {file}: {bearable(str(error))}") from error


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
        parts = checked(read[key], dict[str, dict[str, Any] | None], key)
        read[key] = {title: Part(**_read(part or {}, Part, set())) for title, part in parts.items()}
    hints = get_type_hints(kind)
    for key, value in read.items():
        checked(value, hints[key], key)
    for key in {"seeds", "files", "scores", "reasons"} & set(read):
        read[key] = tuple(read[key])
    if "compare" in read:
        read["compare"] = tuple((ours, theirs) for ours, theirs in read["compare"])
    return read


def _network(weights: str) -> dict[str, Any]:
    """Options of a network that starts from these weights; a saved model knows what its own were."""
    if not Path(weights).is_dir():
        return {"weights": weights}
    saved = network_of(find_model(Path(weights)))
    begun = ("pretrained", "batch_norm", "separate")  # how it began, and what is up to the training
    return {key: value for key, value in saved.items() if key not in begun} | {"weights": weights}


def _listed(names: Any) -> str:  # noqa: ANN401
    return ", ".join(map(repr, names))


def listing() -> str:
    """The shipped recipes, a line each."""
    every = [load(name) for name in names()]
    width = max(len(recipe.name) for recipe in every)
    lines = [f"  {r.name:<{width}}  {r.title}{f' ({r.source})' * bool(r.source)}" for r in every]
    return "\n".join(["recipes, for semiverse reproduce RECIPE:", *lines])
