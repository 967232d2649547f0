"""Images and videos by the folder: segmented in batches, written while the next ones are computed."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from semiverse.data.images import read_image
from semiverse.files import write_atomically
from semiverse.inference.annotations import FORMATS, AnnotationFiles, AnnotationFormat
from semiverse.inference.asking import Asked, Asking
from semiverse.inference.images import Writing, in_batches, readable, write_result
from semiverse.inference.pictures import overlay as draw_overlay
from semiverse.inference.predictor import Predictor, Segmentation
from semiverse.inference.video import VideoWriter, frame_rate, frames
from semiverse.progress import progress


class Wanted(NamedTuple):
    """What is written of each image.

    Args:
        out: The folder.
        classes: Only these are shown; None: all.
        overlay: Also the image with its mask laid over it.
        confidence: Also how sure the model is.
        annotations: Also files of this annotation tool, below a folder of its name; not of videos.
    """

    out: Path
    classes: Sequence[str] | None
    overlay: bool
    confidence: bool
    annotations: AnnotationFormat | None = None


class FolderPrediction:
    """Segments files and remembers what became of each.

    Args:
        predictor: How.
        asking: What is asked of each image.
        wanted: What is written.
        batch: Images of one size that are segmented together, at most.
        workers: Threads that read, and as many that write.

    Attributes:
        done: Files by stem.
        problems: What is wrong with others, by file.
        domains: Of images whose domain was found by their looks: which, and how likely.
    """

    def __init__(self, predictor: Predictor, asking: Asking, wanted: Wanted, batch: int, workers: int) -> None:
        self.predictor, self.asking, self.wanted = predictor, asking, wanted
        self.batch, self.workers = batch, workers
        self.done: dict[str, str] = {}
        self.problems: dict[str, str] = {}
        self.domains: dict[str, dict[str, Any]] = {}
        self._tools: dict[Path, AnnotationFiles] = {}

    def segment_images(self, files: Sequence[tuple[str, Path]]) -> None:
        """Segment image files with their stems; those that cannot be read are noted and the others done."""
        items = readable(
            files, lambda one: read_image(one[1]), itemgetter(1), self.problems, "segmenting", self.workers
        )
        with Writing(self.workers) as writing:
            for named, images, asked in in_batches(items, self.batch, self.asking.of):
                for (stem, path), image, answers in zip(named, images, self._answers(images, asked), strict=True):
                    for folder, found in answers:
                        wanted = self.wanted
                        writing.do(write_result, folder / stem, image, found, wanted.overlay, wanted.confidence)
                        self._annotate(folder, stem, path, found)
                    self._note(stem, path, asked)
        for tool in self._tools.values():
            tool.finish()

    def _annotate(self, folder: Path, stem: str, path: Path, found: Segmentation) -> None:
        """Add what was found to the files of the annotation tool, if they are wanted."""
        kind = self.wanted.annotations
        if kind is not None:
            if folder not in self._tools:
                self._tools[folder] = FORMATS[kind](folder / kind, found.labels)
            self._tools[folder].add(stem, path, found)

    def segment_video(self, stem: str, path: Path) -> None:
        """Segment the frames of a video: masks as STEM/000000.png and so on, an overlay as STEM_overlay.mp4.

        The first frame decides which domain it is like. What cannot be decoded to its end is noted.
        """
        asked: Asked | None = None
        writers: dict[Path, VideoWriter] = {}
        masks, coming = 0, ((None, image) for image in progress(frames(path), f"segmenting {path.name}", unit="frames"))
        try:
            with ExitStack() as stack, Writing(self.workers) as writing:
                for _, images, _ in in_batches(coming, self.batch, lambda _: None):
                    asked = asked or self.asking.of(images[0])
                    for image, answers in zip(images, self._answers(images, asked), strict=True):
                        for folder, found in answers:
                            writing.do(write_result, folder / stem / f"{masks:06d}", image, found, False, False)
                            if self.wanted.overlay and folder not in writers:
                                writer = VideoWriter(folder / f"{stem}_overlay.mp4", frame_rate(path))
                                writers[folder] = stack.enter_context(writer)
                            if self.wanted.overlay:
                                writers[folder].add(draw_overlay(image, found.mask, found.labels))
                        masks += 1
        except ValueError as error:
            self.problems[str(path)] = str(error)
        else:
            if asked is not None:
                self._note(stem, path, asked)

    def _answers(self, images: Sequence[Tensor], asked: Asked) -> list[list[tuple[Path, Segmentation]]]:
        """For each image the folders with what was found."""
        sure = self.wanted.confidence or self.wanted.annotations is not None
        found = self.predictor.segment(images, asked.questions, sure)
        folders = [self.asking.folder(self.wanted.out, question) for question in asked.questions]
        classes = self.wanted.classes
        shown = [[one if classes is None else one.only(classes) for one in answers] for answers in found]
        return [list(zip(folders, answers, strict=True)) for answers in shown]

    def _note(self, stem: str, path: Path, asked: Asked) -> None:
        self.done[stem] = str(path)
        if asked.likeness is not None:
            self.domains[stem] = {"domain": asked.questions[0].domain, "confidence": round(asked.likeness, 4)}

    def write(self, facts: dict[str, Any], name: str) -> None:
        """Write what was done as JSON."""
        found = {"domains": self.domains} if self.asking.auto else {}
        results = json.dumps(facts | found | {"images": self.done, "problems": self.problems}, indent=1)
        write_atomically(self.wanted.out / name, results + "\n")
