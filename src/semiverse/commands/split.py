"""Lists of images for training, for validation and for labelling, which can be verified."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from semiverse.data import ALL, Budget
from semiverse.data.division import Division, shown_classes
from semiverse.data.lists import list_facts, write_lists
from semiverse.mixture import DomainMixture


def split(
    data: DomainMixture,
    out: Path,
    val: Budget | None = None,
    labeled: Budget | Sequence[Budget] | None = None,
    domain: str | None = None,
    images: str | None = None,
    groups: str | None = None,
    seed: int | None = None,
) -> int:
    """Divide images into training and validation, and draw which of those for training are labelled.

    Writes train.txt and val.txt (one id a line); for each label budget, such as 1/8, labeled_1_8.txt and
    unlabeled_1_8.txt (an image and its mask a line, relative to the dataset's folder); and split.json with the rule,
    the seed, and of each list the number of images, the images that show each class, the groups, and the SHA-256 of its
    ids. A list that was changed since is refused wherever it is read. Training that names train.txt and the same budget
    draws exactly the labelled list. No file is overwritten.

    Args:
        data: The domains.
        out: Folder for the lists.
        val: Share of validation (0.2, 1/5), or its number of images; null: divide nothing.
        labeled: Label budget, a share or a number of images, or several of them: [1/16, 1/8, 100].
        domain: The domain whose images are meant; null: the only one.
        images: A split, or a list file; null: everything where val is given, otherwise what the domain trains on.
        groups: Regular expression that finds the group of an image (its drive, its scene) in its id, such as ^[^_]+: no
            group is in training and validation, labels go to one group after another; null: as the domain says.
        seed: Of the draw; null: that of data.

    Returns:
        0

    Raises:
        ValueError: If options do not go together, or a file cannot be read.
        FileExistsError: If a list is there already; nothing is written then.
    """
    name = next(iter(data.domains)) if domain is None and len(data.domains) == 1 else domain
    if name not in data.domains:
        found = "no domain is named" if name is None else f"there is no domain {name!r}"
        raise ValueError(f"{found}; expected one of {', '.join(data.domains)}: name it by --domain")
    chosen, dataset = data.domains[name], data.domains[name].dataset
    budgets = [labeled] if isinstance(labeled, int | float | str) else list(labeled or ())
    groups, seed = chosen.groups if groups is None else groups, data.seed if seed is None else seed
    division = Division(val, budgets, seed, groups, chosen.cover_classes)
    source = images or (chosen.train if val is None else ALL)
    records = dataset.subset(source)
    shown = shown_classes(records, data.contents(name, source))
    lists = division.draw(records, shown)
    facts: dict[str, Any] = {"dataset": type(dataset).__name__, "divided": source, "images": len(records)}
    facts |= {"val": val, "seed": seed, "groups": groups, "rule": division.rule}
    facts["lists"] = {
        file: list_facts(part, [shown[record.image] for record in part], dataset.labels, groups)
        for file, part in lists.items()
    }
    root = Path()
    with suppress(FileNotFoundError):  # a rendered world has no folder
        root = dataset.folder
    write_lists(out, lists, facts, root)
    print(f"{name}: {len(records)} images of {source}, seed {seed}")
    for file, described in facts["lists"].items():
        missing = [title for title, count in described["classes"].items() if not count]
        parts = [f"{described['images']} images"]
        parts += [f"{len(described['groups'])} groups"] if "groups" in described else []
        parts += [f"without {', '.join(missing)}"] if missing else []
        print(f"  {out / file}: {', '.join(parts)}")
    return 0
