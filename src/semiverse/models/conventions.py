"""What networks expect images to be: a property of the weights, which is kept with them."""

from typing import Literal, NamedTuple

from torch import Tensor, tensor


class Convention(NamedTuple):
    """How an image becomes what a network was trained with.

    Args:
        mean: Subtracted from images in [0, 1]; of (red, green, blue).
        std: Divided by afterwards; of (red, green, blue).
        bgr: Whether the network then takes the channels as (blue, green, red).
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    bgr: bool = False

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation, (1, 3, 1, 1) each."""
        return tensor(self.mean).view(1, 3, 1, 1), tensor(self.std).view(1, 3, 1, 1)


UNIT = Convention((0.0,) * 3, (1.0,) * 3)
"""Images in [0, 1] as they are."""
RGB_IMAGENET = Convention((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CAFFE_MEAN = tuple(value / 255 for value in (122.67891434, 116.66876762, 104.00698793))
BGR_CAFFE = Convention(_CAFFE_MEAN, (1 / 255,) * 3, bgr=True)
"""Images in 0..255 without the mean, as networks from Caffe take them."""
RGB_CAFFE = BGR_CAFFE._replace(bgr=False)
"""The same in the other order: what the public code of Hung et al. really feeds, and so what its weights expect."""

InputName = Literal["encoder", "rgb_imagenet", "bgr_caffe", "rgb_caffe"]
CONVENTIONS = {"rgb_imagenet": RGB_IMAGENET, "bgr_caffe": BGR_CAFFE, "rgb_caffe": RGB_CAFFE}
