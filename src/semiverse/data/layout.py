"""Folders that are named after splits: ``{split}`` in a path stands for the name of one."""

from pathlib import Path

from semiverse.files import DataProblem

SPLIT = "{split}"


def split_folders(root: Path, *templates: str) -> tuple[str, ...]:
    """Names of the splits for which there are the folders of all templates, sorted.

    Args:
        root: What the templates are below.
        templates: Paths with ``{split}`` in one part of each, such as ``images/{split}`` or ``{split}annot``.
    """
    parts = Path(templates[0]).parts
    place = next(i for i, part in enumerate(parts) if SPLIT in part)
    before, after = parts[place].split(SPLIT, 1)
    parent = root.joinpath(*parts[:place])
    inside = [path.name for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
    fitting = [name for name in inside if name.startswith(before) and name.endswith(after) and name[0] != "."]
    names = [name[len(before) : len(name) - len(after)] for name in fitting if len(name) > len(before) + len(after)]
    return tuple(sorted(n for n in names if all((root / t.replace(SPLIT, n)).is_dir() for t in templates)))


def check_templates(owner: str, *templates: str) -> None:
    """Refuse paths of which only some depend on the split.

    Raises:
        ValueError: If some have ``{split}`` and others do not.
    """
    with_split = [template for template in templates if SPLIT in template]
    if with_split and len(with_split) < len(templates):
        other = next(template for template in templates if SPLIT not in template)
        found = f"{owner}: {with_split[0]!r} has {SPLIT} and {other!r} has not"
        raise DataProblem(found, "it in both or in none", "name the folders of one split, or add it")
