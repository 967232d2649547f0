"""Images and videos by the folder: segmented in batches, written while the next ones are computed."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from semiverse.allocation import memory_kept
from semiverse.data.headers import pictures_in
from semiverse.data.images import read_image
from semiverse.files import DataProblem, Outputs, out_of_memory, read_json
from semiverse.inference.annotations import FORMATS, AnnotationFiles, AnnotationFormat
from semiverse.inference.asking import Asked, Asking
from semiverse.inference.images import Writing, in_batches, readable, result_files, result_names, within_memory
from semiverse.inference.journal import Entry, Journal
from semiverse.inference.pictures import overlay as draw_overlay
from semiverse.inference.predictor import Predictor, Question, Segmentation, quick_batch
from semiverse.inference.video import VideoWriter, frame_rate, frames, is_video
from semiverse.progress import progress

INDEX = "predictions.json"
"""What lies beside the masks and says which images they are of."""


class Wanted(NamedTuple):
    """What is written of each image.

    Args:
        outputs: What is written is noted here, and nothing else replaced.
        classes: Only these are shown; None: all.
        overlay: Also the image with its mask laid over it.
        confidence: Also how sure the model is.
        annotations: Also files of this annotation tool, below a folder of its name; not of videos.
    """

    outputs: Outputs
    classes: Sequence[str] | None
    overlay: bool
    confidence: bool
    annotations: AnnotationFormat | None = None


class FolderPrediction:
    """Segments files, or this process's share of them, and notes what became of each.

    Args:
        predictor: How.
        asking: What is asked of each image.
        wanted: What is written.
        batch: Images of one size that are segmented together, at most; None: as many as are quick.
        workers: Threads that read, and as many that write.

    Attributes:
        done: What became of files that were segmented, by stem.
        problems: What is wrong with others, by file.
    """

    def __init__(self, predictor: Predictor, asking: Asking, wanted: Wanted, batch: int | None, workers: int) -> None:
        self.predictor, self.asking, self.wanted = predictor, asking, wanted
        self.batch, self.workers = batch, workers
        self.done: dict[str, Entry] = {}
        self.problems: dict[str, str] = {}
        self._journal: Journal | None = None
        self._tools: dict[str, AnnotationFiles] = {}

    def segment(
        self, found: Mapping[str, Path], left_out: Mapping[str, str], facts: Mapping[str, Any], call: Mapping[str, Any]
    ) -> Iterator[str]:
        """Segment files, go on where the same call was stopped, and write ``predictions.json`` with the last of them.

        Args:
            found: The files by their stems.
            left_out: What was left out before, by file, and why.
            facts: What the list says beside the images.
            call: All that results depend on, and ``overwrite``: whether to start over and replace what is there.

        Yields:
            What was done, in lines.

        Raises:
            ValueError: If results are there already, or files would be replaced that are none, or several processes
                would write one file.
        """
        tool, outputs = self.wanted.annotations, self.wanted.outputs
        alone = tool is not None and not FORMATS[tool].per_image
        taken = self._refuse_foreign(list(found.items()))
        journal = self._journal = Journal(outputs.folder, "predict", call, bool(call["overwrite"]))
        (rank, processes), overwrite = journal.share, call["overwrite"]
        if processes > 1 and alone:
            raise ValueError(
                f"{processes} processes would write one file of annotations; expected one process: choose "
                "--annotations labelme, or call it without torchrun"
            )
        if taken and not overwrite and not journal.begun:
            raise ValueError(
                f"{outputs.folder} already holds {len(taken)} results, first: {taken[0]}; expected none: choose "
                "another --out, or --overwrite true"
            )
        every = list(found) if processes == 1 else sorted(found)
        files = [(stem, found[stem]) for stem in every[rank::processes]]
        known = {} if alone else journal.entries
        left = [one for one in files if one[0] not in known]
        before = [known[stem] for stem, _ in files if stem in known]
        self.problems |= {entry["file"]: entry["problem"] for entry in before if "problem" in entry}
        journal.start()
        with closing(journal):
            self._segment_files(left)
        merged = journal.finish(every, lambda entries: self._write_list(entries, left_out, facts))
        earlier = f", {len(before)} before" if before else ""
        yield f"{len(self.done)} of {len(left)} masks written to {outputs.folder}{earlier}"
        for stem, entry in self.done.items():
            if "domain" in entry:
                yield f"{stem}: like {entry['domain']['domain']} ({entry['domain']['confidence']:.2f})"
        self.problems |= left_out if rank == 0 else {}
        yield from (f"left out: {message}" for message in self.problems.values())
        if not merged:
            yield f"{INDEX} is written by the last of {processes} processes"

    def _refuse_foreign(self, files: Sequence[tuple[str, Path]]) -> list[str]:
        """Make sure that nothing but earlier results would be replaced, and name those."""
        outputs, names = self.wanted.outputs, self.names(files)
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise ValueError(
                f"two results would be called {min(twice)}; expected different names, as one would replace the other: "
                "rename an image"
            )
        outputs.refuse_foreign([*names, INDEX])
        return outputs.there(name for name in names if not name.endswith(("_overlay.jpg", "_confidence.png")))

    def _segment_files(self, files: Sequence[tuple[str, Path]]) -> None:
        """Segment images, then videos, and note each."""
        stems = {str(path): stem for stem, path in files}
        self.segment_images([one for one in files if not is_video(one[1])])
        for stem, path in files:
            if is_video(path):
                self.segment_video(stem, path)
        for file, problem in self.problems.items():
            if file in stems and stems[file] not in self.done:
                self._note(stems[file], {"file": file, "problem": problem})

    def _note(self, stem: str, entry: Entry) -> None:
        if self._journal is not None:
            self._journal.note(stem, entry)

    def _write_list(self, entries: Mapping[str, Entry], left_out: Mapping[str, str], facts: Mapping[str, Any]) -> None:
        """Write what was done as JSON."""
        likely = {stem: entry["domain"] for stem, entry in entries.items() if "domain" in entry}
        problems = {entry["file"]: entry["problem"] for entry in entries.values() if "problem" in entry}
        done = {stem: entry["file"] for stem, entry in entries.items() if entry.get("done")}
        results = {**facts, **({"domains": likely} if self.asking.auto else {}), "images": done}
        self.wanted.outputs.write(INDEX, json.dumps(results | {"problems": {**left_out, **problems}}, indent=1) + "\n")

    def names(self, files: Sequence[tuple[str, Path]]) -> list[str]:
        """What will be written for these files with their stems; of the frames of a video, those that are there."""
        wanted, found = self.wanted, list[str]()
        for folder in self._folders(self.asking.possible):
            for stem, path in files:
                name = (folder / stem).as_posix()
                if is_video(path):
                    masks = sorted((wanted.outputs.folder / name).glob("[0-9]*.png"))
                    found += [f"{name}/{mask.name}" for mask in masks] + [f"{name}_overlay.mp4"] * wanted.overlay
                else:
                    found += result_names(name, wanted.overlay, wanted.confidence)
            if wanted.annotations is not None:
                stems = [stem for stem, path in files if not is_video(path)]
                told = FORMATS[wanted.annotations].names(stems) if stems else []
                found += [(folder / wanted.annotations / one).as_posix() for one in told]
        return found

    def _together(self, image: Tensor) -> int:
        """How many images of this size are segmented together, at most."""
        return quick_batch(image.shape[1] * image.shape[2], self.predictor.device) if self.batch is None else self.batch

    def _folders(self, questions: Sequence[Question]) -> list[Path]:
        """Where answers go, by their paths in the folder for results, each once."""
        return list(dict.fromkeys(self.asking.folder(Path(), question) for question in questions))

    def segment_images(self, files: Sequence[tuple[str, Path]]) -> None:
        """Segment image files with their stems; those that cannot be read are noted and the others done."""
        items = readable(
            files, lambda one: read_image(one[1]), itemgetter(1), self.problems, "segmenting", self.workers
        )
        with Writing(self.workers) as writing, memory_kept(self.predictor.device) as settle:
            for named, images, asked in in_batches(items, self._together, self.asking.of):
                paths = [path for _, path in named]
                answered = self._answers_within_memory(paths, images, asked)
                for (stem, path), image, answers in zip(named, images, answered, strict=True):
                    if answers is None:
                        continue
                    for folder, found in answers:
                        self._annotate(folder, stem, path, found)
                    writing.do(self._write_answers, stem, path, image, answers, asked)
                settle()
        for tool in self._tools.values():
            tool.finish()

    def _annotate(self, folder: Path, stem: str, path: Path, found: Segmentation) -> None:
        """Add what was found to the files of the annotation tool, if they are wanted."""
        kind = self.wanted.annotations
        if kind is not None:
            below = (folder / kind).as_posix()
            if below not in self._tools:
                self._tools[below] = FORMATS[kind](self.wanted.outputs, found.labels, below)
            self._tools[below].add(stem, path, found)

    def _write_answers(
        self, stem: str, path: Path, image: Tensor, answers: Sequence[tuple[Path, Segmentation]], asked: Asked
    ) -> None:
        """Write what was found in an image, (3, H, W) uint8, and note that it is done."""
        for folder, found in answers:
            self._write(folder / stem, image, found, self.wanted.overlay, self.wanted.confidence)
        if (pages := pictures_in(path)) > 1:
            self.problems[str(path)] = f"{path}: the first of {pages} pictures was used alone"
        self._note_done(stem, path, asked)

    def _write(self, name: Path, image: Tensor, found: Segmentation, overlay: bool, confidence: bool) -> None:
        """Write the mask of an image, (3, H, W) uint8, and what else was asked for, beside each other."""
        for file, content in result_files(name.as_posix(), image, found, overlay, confidence).items():
            self.wanted.outputs.write(file, content)

    def segment_video(self, stem: str, path: Path) -> None:
        """Segment the frames of a video: masks as STEM/000000.png and so on, an overlay as STEM_overlay.mp4.

        The first frame decides which domain it is like. What cannot be decoded to its end is noted.
        """
        asked: Asked | None = None
        writers: dict[Path, VideoWriter] = {}
        masks, coming = 0, ((None, image) for image in progress(frames(path), f"segmenting {path.name}", unit="frames"))
        try:
            with ExitStack() as stack, Writing(self.workers) as writing, memory_kept(self.predictor.device):
                for _, images, _ in in_batches(coming, self._together, lambda _: None):
                    asked = asked or self.asking.of(images[0])
                    answered = self._answers_within_memory([path] * len(images), images, asked)
                    for image, answers in zip(images, answered, strict=True):
                        if answers is None:
                            raise DataProblem(self.problems[str(path)])
                        for folder, found in answers:
                            writing.do(self._write, folder / stem / f"{masks:06d}", image, found, False, False)
                            if self.wanted.overlay and folder not in writers:
                                name = (folder / f"{stem}_overlay.mp4").as_posix()
                                place = partial(self.wanted.outputs.take, name)
                                writer = VideoWriter(self.wanted.outputs.folder / name, frame_rate(path), place)
                                writers[folder] = stack.enter_context(writer)
                            if self.wanted.overlay:
                                writers[folder].add(draw_overlay(image, found.mask, found.labels))
                        masks += 1
        except ValueError as error:
            self.problems[str(path)] = str(error)
        else:
            if asked is not None:
                self._note_done(stem, path, asked)

    def _answers_within_memory(
        self, paths: Sequence[Path], images: Sequence[Tensor], asked: Asked
    ) -> Iterator[list[tuple[Path, Segmentation]] | None]:
        """As ``_answers``; where memory does not suffice for all at once, one by one; None for one that is too large.

        Args:
            paths: Files of the images, for the problem.
            images: (3, H, W) uint8 each, of one size.
            asked: The questions.
        """
        if len(images) > 1:
            try:
                return iter(self._answers(images, asked))
            except (MemoryError, RuntimeError) as error:
                if not out_of_memory(error):
                    raise
        return self._answers_one_by_one(paths, images, asked)

    def _answers_one_by_one(
        self, paths: Sequence[Path], images: Sequence[Tensor], asked: Asked
    ) -> Iterator[list[tuple[Path, Segmentation]] | None]:
        for path, image in zip(paths, images, strict=True):
            found = within_memory(partial(self._answers, [image], asked), path, image, self.problems)
            yield None if found is None else found[0]

    def _answers(self, images: Sequence[Tensor], asked: Asked) -> list[list[tuple[Path, Segmentation]]]:
        """For each image the folders, by their paths in the folder for results, with what was found."""
        sure = self.wanted.confidence or self.wanted.annotations is not None
        found = self.predictor.segment(images, asked.questions, sure)
        folders = [self.asking.folder(Path(), question) for question in asked.questions]
        classes = self.wanted.classes
        shown = [[one if classes is None else one.only(classes) for one in answers] for answers in found]
        return [list(zip(folders, answers, strict=True)) for answers in shown]

    def _note_done(self, stem: str, path: Path, asked: Asked) -> None:
        entry: Entry = {"file": str(path), "done": True}
        if asked.likeness is not None:
            entry["domain"] = {"domain": asked.questions[0].domain, "confidence": round(asked.likeness, 4)}
        if str(path) in self.problems:
            entry["problem"] = self.problems[str(path)]
        self.done[stem] = entry
        self._note(stem, entry)


def known_results(out: Path) -> list[str]:
    """What a call of an earlier version wrote, which kept no list beside ``predictions.json``."""
    if not (out / INDEX).is_file():
        return []
    stems = read_json(out / INDEX, "what predict wrote").get("images")
    if not isinstance(stems, dict):
        return []
    return [INDEX, *(name for stem in stems for name in result_names(str(stem), overlay=True, confidence=True))]
