"""Is the data on disk what its class says it is?"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from semiverse.commands.reporting.findings import Findings, Part, as_values, described
from semiverse.commands.reporting.frequencies import frequencies
from semiverse.data import SegmentationDataset, survey
from semiverse.domain import choose_labeled, choose_unlabeled
from semiverse.mixture import DomainMixture
from semiverse.run import write_atomically

SHEET = 12
"""Images of a contact sheet."""


def check(data: DomainMixture, out: Path | None = None) -> int:
    """Read every image and mask that a training would use: print what is there, and everything that is wrong.

    Args:
        data: The domains.
        out: Folder for check.json, the same in numbers, and for a picture of examples of each domain; None: only print.

    Returns:
        0, or 1 if there are problems.

    Raises:
        OSError: If the folder cannot be written.
    """
    found = {name: examine_domain(data, name) for name in data.domains}
    for name, findings in found.items():
        print("\n".join(described(name, findings)))
    problems = sum(len(findings.problems) for findings in found.values())
    images = sum(len(part.records) for findings in found.values() for part in findings.parts.values())
    print(f"{images} images in {_counted(len(found), 'domain')}: {_counted(problems, 'problem')}")
    if out is not None:
        facts = {"problems": problems, "domains": {name: as_values(findings) for name, findings in found.items()}}
        write_atomically(out / "check.json", json.dumps(facts, indent=1) + "\n")
        for name, findings in found.items():
            if any(content.size for part in findings.parts.values() for content in part.contents):
                write_atomically(out / f"contact_sheet_{name.replace('/', '_')}.png", contact_sheet(findings))
        print(f"written: {out / 'check.json'} and a contact sheet of each domain")
    return 1 if problems else 0


def _counted(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def refuse_problems(data: DomainMixture) -> None:
    """Read every file that a training would use, images without masks included.

    Raises:
        ValueError: If files are bad; the message lists them.
    """
    problems = [f"{name} {problem}" for name in data.domains for problem in examine_domain(data, name).problems]
    if problems:
        listed = "\n  ".join(problems[:20])
        more = f"\n  and {len(problems) - 20} more" if len(problems) > 20 else ""
        raise ValueError(f"{len(problems)} files cannot be used:\n  {listed}{more}")


def examine_domain(data: DomainMixture, name: str) -> Findings:
    """Read the splits of a domain, and its further images without masks."""
    domain, findings = data.domains[name], Findings(data.domains[name].dataset)
    for split in dict.fromkeys((domain.train, domain.val)):
        try:
            part = Part(domain.dataset.subset(split), data.contents(name, split))
        except (OSError, ValueError) as error:
            findings.problems.append(f"{split}: {error}")
        else:
            findings.parts[split] = part
            findings.problems += [f"{split}: {content.problem}" for content in part.contents if content.problem]
    if domain.train in findings.parts:
        _examine_training(data, name, findings)
    _compare_splits(findings, domain.train, domain.val)
    for split, part in findings.parts.items():
        findings.remarks += _remarks_on(split, part, findings.dataset)
    return findings


def _examine_training(data: DomainMixture, name: str, findings: Findings) -> None:
    """The label budget, and images that are used without masks."""
    domain, train = data.domains[name], findings.parts[data.domains[name].train]
    try:
        labeled = {record.image for record in choose_labeled(name, domain, data.seed, lambda: train.contents)}
        known = {record.image for record in train.records}
        further = [record for record in choose_unlabeled(name, domain, []) if record.image not in known]
    except (OSError, ValueError) as error:
        findings.problems.append(f"{domain.train}: {error}")
        return
    if further:
        part = Part(further, survey(domain.dataset, further, f"{name} unlabelled"))
        findings.parts["unlabelled"] = part
        findings.problems += [f"unlabelled: {content.problem}" for content in part.contents if content.problem]
    chosen = [content for record, content in zip(train.records, train.contents, strict=True) if record.image in labeled]
    seen = frozenset[int]().union(*(content.classes for content in chosen))
    missing = [title for i, title in enumerate(domain.dataset.labels.classes) if i not in seen]
    if labeled and missing and len(labeled) < len(known):
        findings.remarks.append(f"the {len(labeled)} labelled images do not show {', '.join(missing)}")


def _compare_splits(findings: Findings, train: str, val: str) -> None:
    """Images that stand in training and validation: equal files under whatever name."""
    if train == val or not {train, val} <= set(findings.parts):
        return
    sizes: dict[int, list[Path]] = {}
    for path in {record.image for record in findings.parts[train].records}:
        if path.is_file():  # rendered worlds have none
            sizes.setdefault(path.stat().st_size, []).append(path)
    shared = [
        (record.image, twin)
        for record in findings.parts[val].records
        if record.image.is_file()
        for twin in sizes.get(record.image.stat().st_size, [])
        if _digest(record.image) == _digest(twin)
    ]
    if shared:
        findings.remarks.append(
            f"{len(shared)} images of {val} are in {train} too, so scores flatter; first: {shared[0][0]} "
            f"is {shared[0][1]}"
        )


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def _remarks_on(split: str, part: Part, dataset: SegmentationDataset) -> Iterator[str]:
    """Classes that never occur, and masks without a labelled pixel."""
    counted = frequencies(part.contents, dataset.labels)
    unseen = [title for title, (_, images) in counted.items() if images == 0]
    if unseen:
        yield f"{split}: no mask shows {', '.join(unseen)}"
    empty = [content.id for content in part.contents if content.pixels is not None and not content.classes]
    if empty:
        yield f"{split}: {len(empty)} masks have no labelled pixel, first: {empty[0]}"


def contact_sheet(findings: Findings) -> bytes:
    """Examples of every split, each beside its mask laid over it, as a PNG."""
    # Only now: training checks its data too, and has no use for a library that draws.
    from semiverse.commands.reporting.contact_sheet import draw_sheet

    dataset = findings.dataset
    readable = {
        split: [record for record, content in zip(part.records, part.contents, strict=True) if not content.problem]
        for split, part in findings.parts.items()
    }
    return draw_sheet(dataset, readable, SHEET)
