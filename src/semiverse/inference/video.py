"""Videos: frames that come one after the other, and a video with masks laid over them."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from semiverse.files import DataProblem

VIDEO_EXTENSIONS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v")


def is_video(path: Path) -> bool:
    """Whether a file is one by its name."""
    return path.suffix.lower() in VIDEO_EXTENSIONS


def _av() -> ModuleType:
    try:
        import av
    except ImportError as error:
        raise ModuleNotFoundError(
            'videos are read by the package av, which is not installed; expected it: pip install "semiverse[video]"'
        ) from error
    return av


def frame_rate(path: Path) -> Fraction:
    """Frames a second; 25 where the file does not say.

    Raises:
        ModuleNotFoundError: If av is not installed.
        ValueError: If it is no video.
    """
    with _opened(path) as stream:
        return Fraction(stream.average_rate or 25)


def frames(path: Path) -> Iterator[Tensor]:
    """The frames of a video, (3, H, W) uint8 each, in their order.

    Raises:
        ModuleNotFoundError: If av is not installed.
        ValueError: If it is no video, or is damaged.
    """
    av = _av()
    with _opened(path) as stream:
        try:
            for frame in stream.container.decode(stream):
                yield torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1)
        except av.error.FFmpegError as error:
            raise DataProblem(
                f"{path}: a frame cannot be decoded ({error})", "a complete video", "copy it again"
            ) from error


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The video stream of a file."""
    av = _av()
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, OSError) as error:
        raise DataProblem(f"{path}: not readable as a video ({error})", "a video", "convert or remove it") from error
    with container:
        if not container.streams.video:
            raise DataProblem(f"{path}: there are no pictures in this file", "a video", "remove it")
        yield container.streams.video[0]


class VideoWriter:
    """Writes a video of H.264 frame by frame; it appears when it is complete. Use it in a ``with``.

    Args:
        path: An .mp4 file.
        rate: Frames a second.
    """

    def __init__(self, path: Path, rate: Fraction) -> None:
        self.path, self.rate, self._stream = path, rate, None
        self._partial = path.with_name(f".{path.stem}.part{path.suffix}")

    def __enter__(self) -> "VideoWriter":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._container = _av().open(str(self._partial), "w")
        return self

    def add(self, image: Tensor) -> None:
        """Add a frame, (3, H, W) uint8; an odd row or column at the end is left out, as H.264 has none."""
        height, width = (max(2, side - side % 2) for side in image.shape[1:])
        if self._stream is None:
            self._stream = self._container.add_stream("libx264", rate=self.rate, options={"crf": "20"})
            self._stream.height, self._stream.width, self._stream.pix_fmt = height, width, "yuv420p"  # type: ignore[attr-defined]
        pixels = image[:, :height, :width].permute(1, 2, 0).contiguous().numpy()
        frame = _av().VideoFrame.from_ndarray(pixels, format="rgb24")
        self._container.mux(self._stream.encode(frame))  # type: ignore[attr-defined]

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and self._stream is not None:
                self._container.mux(self._stream.encode(None))
            self._container.close()
            if kind is None:
                self._partial.replace(self.path)
        finally:
            self._partial.unlink(missing_ok=True)
