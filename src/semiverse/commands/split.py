"""Lists of images for training, for validation and for labelling, which can be verified."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from semiverse.data import (
    ALL,
    Budget,
    Content,
    Record,
    SegmentationDataset,
    budget_size,
    check_pattern,
    divide,
    group_names,
    labeling_order,
    share_of,
)
from semiverse.data.division import FACTS, list_facts, pairs_text
from semiverse.files import write_atomically
from semiverse.mixture import DomainMixture
from semiverse.mixture.domain import drawing_rule


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
    name = _only_domain(data, domain)
    chosen = data.domains[name]
    budgets = [labeled] if isinstance(labeled, int | float | str) else list(labeled or ())
    groups, seed = chosen.groups if groups is None else groups, data.seed if seed is None else seed
    titles = [_title(budget) for budget in budgets]
    _check_options(val, titles, groups, seed)
    source = images or (chosen.train if val is None else ALL)
    records = chosen.dataset.subset(source)
    contents = _readable(records, data.contents(name, source))
    classes = _classes(records, contents) if chosen.cover_classes else None
    train, held_out = (records, []) if val is None else divide(records, val, seed, groups, classes)
    lists = {} if val is None else {"train.txt": train, "val.txt": held_out}
    order = _labeling_order(train, contents, seed, groups, chosen.cover_classes)
    for budget, title in zip(budgets, titles, strict=True):
        few = order[: budget_size(budget, len(order), "labeled")]
        known = {record.image for record in few}
        lists[f"labeled_{title}.txt"] = few
        lists[f"unlabeled_{title}.txt"] = [record for record in train if record.image not in known]
    facts: dict[str, Any] = {"dataset": type(chosen.dataset).__name__, "divided": source, "images": len(records)}
    facts |= {"val": val, "seed": seed, "groups": groups, "rule": _rule(val, groups, chosen.cover_classes)}
    labels = chosen.dataset.labels
    facts["lists"] = {file: list_facts(part, _classes(part, contents), labels, groups) for file, part in lists.items()}
    _write(out, {file: _list_text(file, part, chosen.dataset) for file, part in lists.items()}, facts)
    print("\n".join(_summary(name, out, facts)))
    return 0


def _rule(val: Budget | None, groups: str | None, cover_classes: bool) -> str:
    """How lists are drawn, in words."""
    whole = "whole groups until the number is nearest" if groups is not None else "exactly so many"
    covering = "; training first receives images of every class" if cover_classes else ""
    divided = f"validation receives {val} of the images with masks, {whole}{covering}. " if val is not None else ""
    return f"{divided}Labels go to images {drawing_rule(groups, cover_classes)}."


def _only_domain(data: DomainMixture, domain: str | None) -> str:
    if domain is None and len(data.domains) == 1:
        return next(iter(data.domains))
    if domain not in data.domains:
        found = "no domain is named" if domain is None else f"there is no domain {domain!r}"
        raise ValueError(f"{found}; expected one of {', '.join(data.domains)}: name it by --domain")
    return domain


def _title(budget: Budget) -> str:
    """A budget as part of a file name: ``1_8``, ``100``."""
    share = share_of(budget, "labeled") if isinstance(budget, float | str) else Fraction(budget)
    return str(share).replace("/", "_")


def _check_options(val: Budget | None, titles: Sequence[str], groups: str | None, seed: int) -> None:
    """Refuse what is wrong before every image is read."""
    if val is None and not titles:
        raise ValueError(
            "neither val nor labeled is given; expected a share of the images, such as 0.2 or 1/8, for at least one of "
            "them: add --val or --labeled"
        )
    if isinstance(val, float | str):
        share_of(val, "val")
    twice = [title for title in titles if titles.count(title) > 1]
    if twice:
        raise ValueError(f"labeled holds {twice[0].replace('_', '/')} twice; expected every budget once: remove one")
    if groups is not None:
        check_pattern(groups)
    if seed < 0:
        raise ValueError(f"seed is {seed}; expected 0 or more: change it")


def _readable(records: Sequence[Record], contents: Sequence[Content]) -> dict[Path, Content]:
    """What each image shows, by its file.

    Raises:
        ValueError: If some cannot be read, or two have one id.
    """
    problems = [content.problem for content in contents if content.problem]
    if problems:
        raise ValueError(
            f"{len(problems)} of {len(records)} images cannot be used, first: {problems[0]}; expected files that can "
            "be trained on: semiverse check lists them all"
        )
    repeated = [name for name, times in Counter(record.id for record in records).items() if times > 1]
    if repeated:
        raise ValueError(
            f"{len(repeated)} ids mean several images each, first: {repeated[0]!r}; expected one image of an id, as "
            "lists hold ids: rename files, or name one split by --images"
        )
    return {record.image: content for record, content in zip(records, contents, strict=True)}


def _classes(records: Sequence[Record], contents: Mapping[Path, Content]) -> list[frozenset[int]]:
    return [contents[record.image].classes for record in records]


def _labeling_order(
    train: Sequence[Record], contents: Mapping[Path, Content], seed: int, groups: str | None, covering: bool
) -> list[Record]:
    """Images with masks as ``Domain.labeled`` draws them."""
    masked = [record for record in train if record.mask is not None]
    names = None if groups is None else group_names([record.id for record in masked], groups)
    order = labeling_order(len(masked), seed, _classes(masked, contents) if covering else None, names)
    return [masked[index] for index in order]


def _list_text(file: str, records: Sequence[Record], dataset: SegmentationDataset) -> str:
    """Ids, or files in lists that say which images are labelled."""
    if "labeled" not in file:
        return "".join(f"{record.id}\n" for record in records)
    try:
        return pairs_text(records, dataset.folder)
    except FileNotFoundError:  # a rendered world has no folder
        return pairs_text(records, Path())


def _write(out: Path, texts: Mapping[str, str], facts: Mapping[str, Any]) -> None:
    files = [*texts, FACTS]
    there = [file for file in files if (out / file).exists()]
    if there:
        raise FileExistsError(
            f"{out} holds {', '.join(there)}; expected none of {', '.join(files)}, as lists are never overwritten: "
            "choose another --out"
        )
    for file, text in texts.items():
        write_atomically(out / file, text)
    write_atomically(out / FACTS, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")


def _summary(name: str, out: Path, facts: Mapping[str, Any]) -> list[str]:
    """What was written, a line each."""
    lines = [f"{name}: {facts['images']} images of {facts['divided']}, seed {facts['seed']}"]
    for file, described in facts["lists"].items():
        missing = [title for title, images in described["classes"].items() if not images]
        parts = [f"{described['images']} images"]
        parts += [f"{len(described['groups'])} groups"] if "groups" in described else []
        parts += [f"without {', '.join(missing)}"] if missing else []
        lines.append(f"  {out / file}: {', '.join(parts)}")
    return lines
