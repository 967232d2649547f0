"""The size at which a network sees an image."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Resolution:
    """The working size of a domain's images: their own size times a factor, or one fixed size.

    Args:
        scale: Factor on height and width.
        size: Fixed (height, width) in pixels; None: the image's own size times ``scale``.

    Raises:
        ValueError: If the factor or size is not positive, or both are given.
    """

    scale: float = 1.0
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.size is not None:
            object.__setattr__(self, "size", tuple(self.size))  # a file gives a list
        if not 0 < self.scale < math.inf or (self.size is not None and min(self.size) < 1):
            raise ValueError(
                f"resolution scale={self.scale}, size={self.size}; expected both positive and finite: correct them"
            )
        if self.size is not None and self.scale != 1.0:
            found = f"resolution has scale={self.scale} and size={self.size}"
            raise ValueError(f"{found}; expected one of them: leave one out")

    def of(self, height: int, width: int) -> tuple[int, int]:
        """Working (height, width) of an image of this size; at least one pixel."""
        if self.size is not None:
            return self.size
        return max(1, round(height * self.scale)), max(1, round(width * self.scale))
