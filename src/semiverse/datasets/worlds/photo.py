"""What a camera does to a scene: light colour, exposure, vignetting, blur and noise."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from semiverse.datasets.worlds.canvas import Array


class Photo(NamedTuple):
    """How strong the effects of a camera are; each image draws its own values.

    Args:
        exposure: Range of the factor on brightness.
        cast: Largest relative change of a colour channel.
        saturation: Range of the factor on saturation.
        uneven: Largest relative change of brightness towards a side of the image.
        blur: Largest weight of each neighbour in a three-tap blur, in 0..0.25.
        noise: Largest standard deviation of the sensor noise.
    """

    exposure: tuple[float, float] = (0.85, 1.2)
    cast: float = 0.08
    saturation: tuple[float, float] = (0.8, 1.15)
    uneven: float = 0.15
    blur: float = 0.18
    noise: float = 0.035

    def take(self, image: Array, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        """Turn light (3, H, W), 1 is white, into a photograph of the same shape."""
        _, height, width = image.shape
        gain = rng.uniform(*self.exposure) * (1 + self.cast * rng.uniform(-1, 1, 3))
        image = image * gain[:, None, None].astype(np.float32)
        gray = image.mean(axis=0)
        image = gray + np.float32(rng.uniform(*self.saturation)) * (image - gray)
        x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        slope = (self.uneven * rng.uniform(-1, 1, 2)).astype(np.float32)
        image *= 1 + slope[0] * x + slope[1] * y - np.float32(0.4 * self.uneven) * (x * x + y * y)
        image = _blurred(image, float(rng.uniform(0, self.blur)))
        image += np.float32(rng.uniform(0.3, 1) * self.noise) * rng.standard_normal(image.shape, np.float32)
        return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def _blurred(image: Array, weight: float) -> Array:
    image = np.pad(image, ((0, 0), (1, 1), (1, 1)), mode="edge")
    image = (1 - 2 * weight) * image[:, 1:-1] + weight * (image[:, :-2] + image[:, 2:])
    return (1 - 2 * weight) * image[:, :, 1:-1] + weight * (image[:, :, :-2] + image[:, :, 2:])
