"""Let the doctor see a domain: gather what was read and what was declared, and run all detectors."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from semiverse.configuration import describe
from semiverse.data import ALL, Record, SegmentationDataset, survey
from semiverse.data.listing import images_below
from semiverse.data.records import SAMPLE, Records, drawn, is_large
from semiverse.datasets import Coco, Folder
from semiverse.distributed import launched
from semiverse.doctor.duplicates import find_duplicates
from semiverse.doctor.encodings import find_encodings
from semiverse.doctor.files import find_pairs, find_sizes, find_unreadable, find_unused, find_unusual_images
from semiverse.doctor.findings import Coding, Facts, Finding, Findings, FolderFiles, Part, counted, list_folder, told
from semiverse.doctor.frequencies import find_frequencies
from semiverse.files import DataProblem, as_problem, cache_folder, find_folder
from semiverse.inference.journal import Journal
from semiverse.mixture import Domain, DomainMixture
from semiverse.mixture.domain import choose_labeled, choose_unlabeled


def diagnose(facts: Facts) -> list[Finding]:
    """What every detector finds.

    A class that seems unseen is no news where the coding of the masks is wrong altogether.
    """
    of_files = (find_pairs, find_unused, find_unreadable, find_encodings, find_sizes, find_unusual_images)
    found = [finding for detector in (*of_files, find_frequencies, find_duplicates) for finding in detector(facts)]
    misread = {path for finding in found if finding.decode is not None for path in finding.files}
    doubtful = ("one-class", "unseen-class", "rare-class", "empty-mask", "mostly-ignored", "all-ignored")
    return [finding for finding in found if not misread or finding.kind not in doubtful]


def read_share(data: DomainMixture, fresh: bool = False) -> bool:
    """Read this process's share of all images of several that ``torchrun`` started, for the first one to know of them.

    What was read lies in the cache, which has to be on a drive that all nodes share; the first process waits.

    Args:
        data: The domains.
        fresh: Read also files that have not changed since an earlier check.

    Returns:
        Whether this is the first process, or the only one: it goes on to examine everything.

    Raises:
        ValueError: If nothing is seen of other processes for half an hour.
    """
    rank, processes = launched()
    if processes == 1:
        return True
    call = {"data": describe(data), "fresh": fresh}
    journal = Journal(cache_folder() / "surveys" / "shares", "check", call, fresh=True)
    journal.start()
    try:
        for name, domain in data.domains.items():
            with suppress(OSError, ValueError):  # what cannot be listed is told by the first process
                splits = dict.fromkeys((domain.train, domain.val or domain.train))
                parts = [domain.dataset.subset(ALL if domain.divides_itself else split) for split in splits]
                if domain.has_further_images:
                    parts.append(_without(choose_unlabeled(name, domain, []), chain(*parts)))
                for records in parts:
                    survey(domain.dataset, records[rank::processes], f"{name}, share {rank}", fresh=fresh)
        journal.note(f"/read {rank}", {})
        if rank == 0:
            journal.wait_for([f"/read {number}" for number in range(processes)])
            journal.remove()
    finally:
        journal.close()
    return rank == 0


def refuse_problems(data: DomainMixture) -> None:
    """Read every file that a training would use, images without masks included; of very many, a sample.

    Raises:
        ValueError: If files are bad; the message lists them.
    """
    found = ((name, examine_domain(data, name, most=SAMPLE).problems) for name in data.domains)
    problems = [f"{name} {problem}" for name, listed in found for problem in listed]
    if problems:
        listed = "\n  ".join(problems[:20])
        more = f"\n  and {len(problems) - 20} more" if len(problems) > 20 else ""
        raise ValueError(f"the data cannot be used, {counted(len(problems), 'problem')}:\n  {listed}{more}")


def examine_domain(data: DomainMixture, name: str, fresh: bool = False, most: int | None = None) -> Findings:
    """Read the splits of a domain, and its further images without masks, and let every detector see them.

    Args:
        data: The domains.
        name: Which of them.
        fresh: Read also files that have not changed since an earlier check.
        most: Read so many, and the labelled ones, of a split of more than 50,000 images, whose folders are not searched
            for unused files then; None: read all.
    """
    domain, findings = data.domains[name], Findings(data.domains[name].dataset)
    errors: dict[str, DataProblem] = {}
    splits = tuple(dict.fromkeys((domain.train, domain.val) if domain.val is not None else (domain.train,)))
    for split in splits:
        try:
            records = domain.subset(split)
            some = records if most is None else _some(data, name, records, most)
            contents = data.contents(name, split, fresh) if some is records else survey(domain.dataset, some, name)
            findings.parts[split] = Part(some, contents, len(records))
        except (OSError, ValueError) as error:
            errors[split] = as_problem(error)
    if domain.train in findings.parts:
        if domain.divides_itself:
            said, remedy = domain.held_out.said, "name lists or folders of your own to divide them otherwise"
            findings.found.append(Finding("held-out", "remark", domain.train, said, remedy))
        _examine_training(data, name, findings, fresh, most)
    partly = any(part.partly for part in findings.parts.values())
    coding, folders = _coding_of(domain.dataset), [] if partly else _folders_of(domain.dataset, splits)
    unused, skipped = [] if partly else unused_files(domain), 0
    with suppress(OSError, ValueError):  # why it cannot be read is told otherwise
        skipped = domain.dataset.skipped() if isinstance(domain.dataset, Coco) and domain.dataset.empty == "skip" else 0
    facts = Facts(
        domain.dataset.labels, findings.parts, domain.train, domain.val, coding, folders, errors, unused, skipped
    )
    findings.found += diagnose(facts)
    return findings


def _some(data: DomainMixture, name: str, records: Sequence[Record], most: int) -> Sequence[Record]:
    """So many of very many records, and those that keep their masks in training."""
    if not is_large(records):
        return records
    some, labeled = drawn(records, most), data.labeled[name]
    known = {record.image for record in labeled}
    return [*labeled, *(record for record in some if record.image not in known)]


def _examine_training(data: DomainMixture, name: str, findings: Findings, fresh: bool, most: int | None) -> None:
    """The label budget, and images that are used without masks."""
    domain, train = data.domains[name], findings.parts[data.domains[name].train]
    try:
        chosen = data.labeled[name] if train.partly else choose_labeled(name, domain, data.seed, lambda: train.contents)
        every = choose_unlabeled(name, domain, [])
        some = every if most is None or not is_large(every) else drawn(every, most)
        further = _without(some, train.records) if domain.has_further_images else []
    except (OSError, ValueError) as error:
        said, reason = told(as_problem(error)), "it is about the configuration"
        findings.found.append(Finding("budget", "problem", domain.train, *said, unfixable=reason))
        return
    if further:
        contents = survey(domain.dataset, further, f"{name} unlabelled", fresh=fresh)
        findings.parts["unlabelled"] = Part(further, contents, len(further) if some is every else len(every))
    if not chosen or len(chosen) == train.whole:
        return
    labeled = {record.image for record in chosen}
    shown = np.fromiter((record.image in labeled for record in train.records), bool, len(train.records))
    seen = train.contents.pixels[shown].sum(axis=0)[:-1]
    missing = [title for title, pixels in zip(domain.dataset.labels.classes, seen, strict=True) if not pixels]
    if missing:
        message = f"the {len(labeled)} labelled images do not show {', '.join(missing)}; expected every class"
        remedy = f"raise data.domains.{name}.labeled, or merge classes"
        findings.found.append(Finding("unlabelled-class", "remark", domain.train, message, remedy))


def _without(records: Sequence[Record], known: Iterable[Record]) -> Sequence[Record]:
    """Those of some records whose images are not among others."""
    apart = {record.image for record in known}
    if isinstance(records, Records):
        return records.each_once(apart)
    return [record for record in records if record.image not in apart]


def unused_files(domain: Domain) -> list[FolderFiles]:
    """What lies in the folders of a domain's dataset, and in that of its further images, and is not used."""
    dataset, found = domain.dataset, list[FolderFiles]()
    places: list[tuple[Path, set[Path]]] = []
    with suppress(OSError, ValueError):  # a dataset that cannot be listed says so otherwise
        if dataset.watched():
            splits = [*dataset.split_names(), *dataset.lists]
            records = [record for split in splits for record in dataset.subset(split)]
            used = {path for record in records for path in (record.image, record.mask) if path is not None}
            places += [(place, used) for place in dataset.watched()]
    if domain.unlabeled_folder is not None:
        with suppress(OSError, ValueError):
            place, problems = find_folder(domain.unlabeled_folder, "unlabeled_folder"), list[DataProblem]()
            images = images_below(place, problems=problems)  # all of them are used
            pictures = images.other_pictures
            others = [path for path in images.others if path not in pictures]
            found.append(FolderFiles(place.name, place, None, {}, {}, others, pictures, problems))
    for place, used in places:
        files = list_folder(place.name, place, None)
        names = {name: [path for path in paths if path not in used] for name, paths in files.image_names.items()}
        left = replace(
            files,
            image_names={name: paths for name, paths in names.items() if paths},
            others=[path for path in files.others if path not in used],
        )
        found.append(left)
    return found


def _coding_of(dataset: SegmentationDataset) -> Coding | None:
    """How masks were declared to be coded; None where the owner of the files could not declare it."""
    if not isinstance(dataset, Folder) or dataset.masks == "none":
        return None
    declared = dataset.coding
    ids = {0: 0, 1: 1, 255: 1} if declared.coding == "binary" else declared.raw_ids
    return Coding(declared.coding, dataset.classes, ids, declared.colors, dataset.relabeling.table)


def _folders_of(dataset: SegmentationDataset, splits: tuple[str, ...]) -> list[FolderFiles]:
    """The folders of some splits, listed; none where the dataset's class alone knows the layout."""
    folders: list[FolderFiles] = []
    if isinstance(dataset, Folder):
        with suppress(OSError, ValueError):  # why a split cannot be listed is told otherwise
            names = dataset.split_names()
            for split in dict.fromkeys(splits) if set(splits) <= set(names) else names:
                ends, unmasked = (dataset.image_suffix, dataset.mask_suffix), dataset.without_mask == "unlabeled"
                folders.append(list_folder(split, *dataset.places(split), *ends, unmasked))
    return folders
