"""Let the doctor see a domain: gather what was read and what was declared, and run all detectors."""

from contextlib import suppress

from semiverse.data import SegmentationDataset, survey
from semiverse.datasets import Folder
from semiverse.doctor.duplicates import find_duplicates
from semiverse.doctor.encodings import find_encodings
from semiverse.doctor.files import find_pairs, find_sizes, find_unreadable, find_unusual_images
from semiverse.doctor.findings import Coding, Facts, Finding, Findings, FolderFiles, Part, counted, list_folder, told
from semiverse.doctor.frequencies import find_frequencies
from semiverse.files import DataProblem, as_problem
from semiverse.mixture import DomainMixture
from semiverse.mixture.domain import choose_labeled, choose_unlabeled


def diagnose(facts: Facts) -> list[Finding]:
    """What every detector finds.

    A class that seems unseen is no news where the coding of the masks is wrong altogether.
    """
    of_files = (find_pairs, find_unreadable, find_encodings, find_sizes, find_unusual_images)
    found = [finding for detector in (*of_files, find_frequencies, find_duplicates) for finding in detector(facts)]
    misread = {path for finding in found if finding.decode is not None for path in finding.files}
    doubtful = ("one-class", "unseen-class", "rare-class", "empty-mask", "mostly-ignored", "all-ignored")
    return [finding for finding in found if not misread or finding.kind not in doubtful]


def refuse_problems(data: DomainMixture) -> None:
    """Read every file that a training would use, images without masks included.

    Raises:
        ValueError: If files are bad; the message lists them.
    """
    problems = [f"{name} {problem}" for name in data.domains for problem in examine_domain(data, name).problems]
    if problems:
        listed = "\n  ".join(problems[:20])
        more = f"\n  and {len(problems) - 20} more" if len(problems) > 20 else ""
        raise ValueError(f"the data cannot be used, {counted(len(problems), 'problem')}:\n  {listed}{more}")


def examine_domain(data: DomainMixture, name: str, fresh: bool = False) -> Findings:
    """Read the splits of a domain, and its further images without masks, and let every detector see them.

    Args:
        data: The domains.
        name: Which of them.
        fresh: Read also files that have not changed since an earlier check.
    """
    domain, findings = data.domains[name], Findings(data.domains[name].dataset)
    errors: dict[str, DataProblem] = {}
    splits = tuple(dict.fromkeys((domain.train, domain.val) if domain.val is not None else (domain.train,)))
    for split in splits:
        try:
            findings.parts[split] = Part(domain.subset(split), data.contents(name, split, fresh))
        except (OSError, ValueError) as error:
            errors[split] = as_problem(error)
    if domain.train in findings.parts:
        if domain.divides_itself:
            said, remedy = domain.held_out.said, "name lists or folders of your own to divide them otherwise"
            findings.found.append(Finding("held-out", "remark", domain.train, said, remedy))
        _examine_training(data, name, findings, fresh)
    coding, folders = _coding_of(domain.dataset), _folders_of(domain.dataset, splits)
    facts = Facts(domain.dataset.labels, findings.parts, domain.train, domain.val, coding, folders, errors)
    findings.found += diagnose(facts)
    return findings


def _examine_training(data: DomainMixture, name: str, findings: Findings, fresh: bool) -> None:
    """The label budget, and images that are used without masks."""
    domain, train = data.domains[name], findings.parts[data.domains[name].train]
    try:
        labeled = {record.image for record in choose_labeled(name, domain, data.seed, lambda: train.contents)}
        known = {record.image for record in train.records}
        further = [record for record in choose_unlabeled(name, domain, []) if record.image not in known]
    except (OSError, ValueError) as error:
        said, reason = told(as_problem(error)), "it is about the configuration"
        findings.found.append(Finding("budget", "problem", domain.train, *said, unfixable=reason))
        return
    if further:
        contents = survey(domain.dataset, further, f"{name} unlabelled", fresh=fresh)
        findings.parts["unlabelled"] = Part(further, contents)
    chosen = [content for record, content in zip(train.records, train.contents, strict=True) if record.image in labeled]
    seen = frozenset[int]().union(*(content.classes for content in chosen))
    missing = [title for i, title in enumerate(domain.dataset.labels.classes) if i not in seen]
    if labeled and missing and len(labeled) < len(known):
        message = f"the {len(labeled)} labelled images do not show {', '.join(missing)}; expected every class"
        remedy = f"raise data.domains.{name}.labeled, or merge classes"
        findings.found.append(Finding("unlabelled-class", "remark", domain.train, message, remedy))


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
