"""Labelling by models: the values that say how, a folder of images, and all unlabelled images of a mixture."""

import json
import sys
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from semiverse.allocation import memory_kept
from semiverse.configuration import describe, differences, dump_yaml
from semiverse.distributed import is_first_process, wait_for_all
from semiverse.files import read_json, write_atomically
from semiverse.inference.committee import Committee
from semiverse.inference.images import readable, within_memory
from semiverse.inference.journal import Entry, Journal
from semiverse.inference.predictor import Predictor, Segmentation
from semiverse.inference.pseudolabels import (
    ConfidenceHistogram,
    PseudoLabelFolder,
    Source,
    given_thresholds,
    images_without_labels,
)
from semiverse.labels import LabelSpace
from semiverse.mixture import DomainMixture
from semiverse.models import SegmentationModel
from semiverse.models.saving import find_model, state_of

FACTS = "pseudolabels.json"
"""What is known of a folder of pseudo-labels; it is written last."""


@dataclass(frozen=True)
class Labeling:
    """How images are labelled, and which of their pixels keep a label.

    Args:
        threshold: Least confidence of a labelled pixel, in [0, 1]; None: 0.6, unless a share is given.
        keep: Share of the pixels of each predicted class to keep, the most confident ones, in (0, 1], instead of a
            threshold.
        least: Leave out images of which a smaller share than this is kept; those of which nothing is, always.
        scales: Sizes at which images are seen, as factors on the working size; the probabilities are averaged.
        flip: See images mirrored as well, at every scale.
        link: Link to image files instead of copying them.
        adjust: Times the log of the weights of data.balance is taken off the scores first, as a model that was trained
            with them predicts rare classes too often (logit adjustment, Menon et al., ICLR 2021); 0: as they are.
        draws: Soft labels: so many masks of every image, in which each pixel has a class drawn from its probabilities;
            whoever learns from all of them learns the probabilities. 0: one mask, of the most probable classes.

    Raises:
        ValueError: If a number is out of range, or both a threshold and a share are given.
    """

    threshold: float | None = None
    keep: float | None = None
    least: float = 0.0
    scales: tuple[float, ...] = (0.75, 1.0, 1.5)
    flip: bool = True
    link: bool = True
    adjust: float = 0.0
    draws: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", tuple(self.scales))
        if self.threshold is not None and self.keep is not None:
            raise ValueError(
                "threshold and keep are both given; expected one of them: choose a threshold of 0.9, say, or keep 0.5"
            )
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold is {self.threshold}; expected a probability in [0, 1]: change it")
        if self.keep is not None and not 0 < self.keep <= 1:
            raise ValueError(f"keep is {self.keep}; expected a share, more than 0 and at most 1: change it, to 0.5 say")
        if not 0 <= self.least <= 1:
            raise ValueError(f"least is {self.least}; expected a share in [0, 1]: change it, to 0.1 say")
        if self.draws < 0:
            raise ValueError(f"draws is {self.draws}; expected 0 (hard labels) or more: change it, to 4 say")

    @property
    def views(self) -> dict[str, Any]:
        """Options of the predictor."""
        return {"scales": self.scales, "flip": self.flip}

    def lowering(self, data: DomainMixture | None, domain: str) -> Tensor | None:
        """What is taken off the scores of the classes of a domain, (C,); None: nothing.

        Raises:
            ValueError: If something is to be, and the data is not known or has no weights.
        """
        if not self.adjust:
            return None
        if data is None or domain not in data.class_weights:
            found = "no data is given" if data is None else f"its data has no weights for domain {domain}"
            raise ValueError(
                f"adjust is {self.adjust}, but {found}; expected a run that was trained with data.balance, whose "
                "weights are taken off: leave adjust out"
            )
        return self.adjust * data.class_weights[domain].log()

    def given_thresholds(self, labels: LabelSpace, named: Mapping[str, float] | None = None) -> list[float] | None:
        """The threshold of each class, which may be named instead; None where a share decides."""
        if named is None and self.keep is not None:
            return None
        least = 0.6 if self.threshold is None else self.threshold
        return given_thresholds(labels, least if named is None else named)


class Labeler:
    """Models that label images together.

    Args:
        committee: The models, with the domain that images are like and the one whose classes are asked for.
        how: Which pixels are kept; the views are the predictors' own.
        named: Least confidence of each class by its name, instead of that of ``how``.
        workers: Threads that read images.

    Raises:
        ValueError: If a class is not named or not known, or a threshold is no probability.
    """

    def __init__(
        self, committee: Committee, how: Labeling, named: Mapping[str, float] | None = None, workers: int = 2
    ) -> None:
        self.committee, self.how, self.workers = committee, how, workers
        self.thresholds = how.given_thresholds(committee.space, named)
        self.device = committee.predictors[0].device

    def label(
        self,
        sources: Sequence[Source],
        runs: Sequence[Path],
        journal: Journal,
        left_out: Mapping[str, str] | None = None,
    ) -> tuple[PseudoLabelFolder, str, dict[str, str]]:
        """Write images and masks, or this process's share of them, and, as the last one, what is about all.

        That is ``dataset.yaml`` and at last ``pseudolabels.json``. What a call that was killed had done stays.

        Args:
            sources: The images.
            runs: Where the models are, to be noted.
            journal: Of the folder for the results.
            left_out: What was left out before, by file, and why; None: nothing.

        Returns:
            What was kept; the configuration that trains from it, empty if other processes are not done; and what was
            left out, could not be read or was too large for the memory, by file.

        Raises:
            ValueError: If nothing is kept.
            OSError: If a file cannot be written.
        """
        started, problems = time.monotonic(), dict(left_out or {})  # what stands in problems is not read again
        rank, processes = journal.share
        share = sources[rank::processes]
        journal.start()
        with closing(journal):
            thresholds = self.thresholds or self._measured(share, journal, problems)
            folder = PseudoLabelFolder(journal.folder, self.committee.space, thresholds, self.how.least, self.how.link)
            with memory_kept(self.device) as settle:
                for source, image in self._read(share, problems, "labelling", journal.entries):
                    asked = partial(self._asked, source.name, image)
                    found = within_memory(asked, source.path, image, problems)
                    if found is not None:
                        journal.note(source.name, folder.add(source, image, *found))
                    settle()
            for source in share:
                if str(source.path) in problems:
                    journal.note(source.name, {"file": str(source.path), "problem": problems[str(source.path)]})
        written = list[str]()

        def merge(entries: dict[str, Entry]) -> None:
            for name, entry in entries.items():
                if "problem" in entry:
                    problems[entry["file"]] = entry["problem"]
                else:
                    folder.take(name, entry)
            facts = {"problems": problems, "seconds": round(time.monotonic() - started, 1)}
            written.append(self._write(folder, runs, facts))

        names = [source.name for source in sources if str(source.path) not in (left_out or {})]
        journal.finish(names, merge)
        return folder, "".join(written), problems

    def _asked(self, name: str, image: Tensor) -> tuple[Segmentation, Tensor]:
        """What is found in an image, and the masks drawn for it, (draws, H, W), by its name."""
        if self.how.draws:
            return self.committee.drawn(image, self.how.draws, zlib.crc32(name.encode()))
        return self.committee(image), torch.empty(0, *image.shape[1:], dtype=torch.uint8)

    def _read(
        self, sources: Sequence[Source], problems: dict[str, str], title: str, done: Mapping[str, Entry]
    ) -> Iterator[tuple[Source, Tensor]]:
        """Sources that are not done, with their images."""
        left = [source for source in sources if source.name not in done]
        return readable(left, lambda one: one.read(one.path), attrgetter("path"), problems, title, self.workers)

    def _measured(self, sources: Sequence[Source], journal: Journal, problems: dict[str, str]) -> list[float | None]:
        """Thresholds by the confidence of all images: each process measures its share, and waits for the others."""
        histogram, (rank, processes) = ConfidenceHistogram(len(self.committee.space)), journal.share
        keys = [f"/confidence {number} of {processes}" for number in range(processes)]
        if keys[rank] not in journal.entries:
            with memory_kept(self.device) as settle:
                for source, image in self._read(sources, problems, "measuring confidence", {}):
                    found = within_memory(partial(self.committee, image), source.path, image, problems)
                    if found is not None:
                        histogram.add(found.mask, found.confidence)
                    settle()
            counts = histogram.counts.flatten()
            places = counts.nonzero().flatten()
            journal.note(keys[rank], {"places": places.tolist(), "counts": counts[places].tolist()})
        histogram = ConfidenceHistogram(len(self.committee.space))
        for entry in journal.wait_for(keys):
            histogram.counts.view(-1)[torch.tensor(entry["places"], dtype=torch.int64)] += torch.tensor(entry["counts"])
        return histogram.thresholds(cast(float, self.how.keep))

    def _write(self, folder: PseudoLabelFolder, runs: Sequence[Path], facts: Mapping[str, Any]) -> str:
        """Write what is about all images; returns the configuration that trains from them."""
        problems = facts["problems"]
        if not folder.images:
            first = f", first: {next(iter(problems.values()))}" if problems else ""
            raise ValueError(
                f"no image is left: {len(folder.left_out)} keep too little, {len(problems)} cannot be read{first}; "
                "expected some: lower --threshold or --least, or raise --keep"
            )
        resolution = self.committee.predictors[0].model.resolutions[self.committee.domain]
        configuration = dump_yaml(folder.configuration(self.committee.domain, resolution))
        write_atomically(folder.folder / "dataset.yaml", configuration)
        every = self._facts(folder, runs) | dict(facts)
        write_atomically(folder.folder / FACTS, json.dumps(every, indent=1, ensure_ascii=False) + "\n")
        return configuration

    def _facts(self, folder: PseudoLabelFolder, runs: Sequence[Path]) -> dict[str, Any]:
        """What a folder says of itself."""
        model, *further = (str(run if (run / "config.json").is_file() else run / "model") for run in runs)
        facts: dict[str, Any] = {"model": model, "also": further, "scales": list(self.how.scales)}
        facts |= {"flip": self.how.flip, "command": " ".join(sys.argv), "domain": self.committee.domain}
        facts |= {
            "labels": self.committee.labels,
            "via": self.committee.predictors[0].via,
            "keep": self.how.keep,
            "adjust": self.how.adjust,
            "least": self.how.least,
            "draws": self.how.draws,
        }
        return facts | {"classes": folder.class_facts(), "images": folder.images, "left_out": folder.left_out}


def label_mixture(
    teacher: Path, data: DomainMixture, out: Path, how: Labeling, device: str = "auto", workers: int = 2
) -> DomainMixture:
    """Label the unlabelled images of every domain that has some by a finished run, for the next one to learn from.

    What is there already is taken as it is, so that the same call goes on where it was stopped.

    Args:
        teacher: Run or model folder.
        data: Domains that the teacher knows; what they learn from themselves stays as it is.
        out: Where the pseudo-labels go, a folder a domain.
        how: Views, and which pixels are kept.
        device: Where to compute.
        workers: Threads that read images.

    Returns:
        The mixture with these pseudo-labels.

    Raises:
        ValueError: If no domain has unlabelled images, the teacher knows other classes, or a folder holds labels that
            were made otherwise.
        FileNotFoundError: If there is no such model.
    """
    every = images_without_labels(data)
    predictor = Predictor(SegmentationModel.load(teacher), device=device, **how.views)
    spaces = predictor.model.label_spaces
    for name in every:
        classes = data.label_spaces[name].classes
        if name not in spaces or spaces[name].classes != classes:
            known = f"of domain {name} as {', '.join(spaces[name].classes)}" if name in spaces else f"no domain {name}"
            raise ValueError(
                f"{teacher} knows {known}; expected the classes {', '.join(classes)}: name a run of the same domains"
            )
    if is_first_process():
        for name, sources in every.items():
            if not _labeled_before(out / name, teacher, how):
                labeler = Labeler(Committee([predictor], name, less=how.lowering(data, name)), how, workers=workers)
                call = {"model": str(find_model(teacher).resolve()), "weights": state_of(teacher), **describe(how)}
                labeler.label(sources, [teacher], Journal(out / name, "pseudolabel", call, share=(0, 1)))
    wait_for_all()
    return data.with_pseudolabels({name: out / name for name in every})


def _labeled_before(folder: Path, teacher: Path, how: Labeling) -> bool:
    """Whether a folder holds the labels that are asked for.

    Raises:
        ValueError: If they were made by another model, or otherwise.
    """
    wanted = describe(how) | {"model": str(find_model(teacher).resolve())}
    note, finished = folder / "labeling.json", (folder / FACTS).is_file()
    if note.is_file():
        # What came later was at its default.
        noted = describe(Labeling()) | read_json(note, "how images were labelled")
        changed = differences(noted, wanted)
        if changed:
            raise ValueError(
                f"{folder} holds pseudo-labels that were made otherwise ({'; '.join(changed)}); expected the same, as "
                "nothing is overwritten: choose another --out, or repeat the earlier values"
            )
    elif folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty and holds no pseudo-labels of ours; expected a new folder: move it")
    write_atomically(note, json.dumps(wanted, indent=1) + "\n")
    return finished
