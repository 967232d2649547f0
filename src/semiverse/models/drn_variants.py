"""What the published dilated residual networks consist of (https://github.com/fyu/drn)."""

from typing import Literal, NamedTuple


class Level(NamedTuple):
    """One level of a network: how wide it is, how it strides and dilates, and what it consists of.

    ``content`` is "residual" (the variant's own block), "basic" (always the basic block), "plain" (the basic block
    without its shortcut, which removes the grid pattern that dilation leaves) or "convolution".
    """

    channels: int
    stride: int
    dilation: int
    content: Literal["residual", "basic", "plain", "convolution"] = "residual"


class Variant(NamedTuple):
    """A published network: its family, whether it uses bottleneck blocks, and the number of blocks of each level."""

    family: Literal["A", "C", "D"]
    bottleneck: bool
    depths: tuple[int, ...]
    file: str | None


_SHARED_LEVELS = (Level(64, 2, 1), Level(128, 2, 1), Level(256, 1, 2), Level(512, 1, 4))
LEVELS: dict[str, tuple[Level, ...]] = {
    "A": (Level(64, 1, 1), Level(128, 2, 1), Level(256, 1, 2), Level(512, 1, 4)),
    "C": (
        Level(16, 1, 1, "basic"),
        Level(32, 2, 1, "basic"),
        *_SHARED_LEVELS,
        Level(512, 1, 2, "plain"),
        Level(512, 1, 1, "plain"),
    ),
    "D": (
        Level(16, 1, 1, "convolution"),
        Level(32, 2, 1, "convolution"),
        *_SHARED_LEVELS,
        Level(512, 1, 2, "convolution"),
        Level(512, 1, 1, "convolution"),
    ),
}
STEM_CHANNELS = {"A": 64, "C": 16, "D": 16}
# Children after which the map of stride 2, 4 and 8 is complete.
OUTPUTS = {
    "A": ("relu", "layer1", "layer4"),
    "C": ("layer2", "layer3", "layer8"),
    "D": ("layer2", "layer3", "layer8"),
}

VARIANTS: dict[str, Variant] = {
    "drn_a_18": Variant("A", False, (2, 2, 2, 2), None),
    "drn_a_34": Variant("A", False, (3, 4, 6, 3), None),
    "drn_a_50": Variant("A", True, (3, 4, 6, 3), "resnet50-19c8e357.pth"),
    "drn_c_26": Variant("C", False, (1, 1, 2, 2, 2, 2, 1, 1), "drn_c_26-ddedf421.pth"),
    "drn_c_42": Variant("C", False, (1, 1, 3, 4, 6, 3, 1, 1), "drn_c_42-9d336e8c.pth"),
    "drn_c_58": Variant("C", True, (1, 1, 3, 4, 6, 3, 1, 1), "drn_c_58-0a53a92c.pth"),
    "drn_d_22": Variant("D", False, (1, 1, 2, 2, 2, 2, 1, 1), "drn_d_22-4bd2f8ea.pth"),
    "drn_d_24": Variant("D", False, (1, 1, 2, 2, 2, 2, 2, 2), None),
    "drn_d_38": Variant("D", False, (1, 1, 3, 4, 6, 3, 1, 1), "drn_d_38-eebb45f0.pth"),
    "drn_d_40": Variant("D", False, (1, 1, 3, 4, 6, 3, 2, 2), None),
    "drn_d_54": Variant("D", True, (1, 1, 3, 4, 6, 3, 1, 1), "drn_d_54-0e0534ff.pth"),
    "drn_d_56": Variant("D", True, (1, 1, 3, 4, 6, 3, 2, 2), None),
    "drn_d_105": Variant("D", True, (1, 1, 3, 4, 23, 3, 1, 1), "drn_d_105-12b40979.pth"),
    "drn_d_107": Variant("D", True, (1, 1, 3, 4, 23, 3, 2, 2), None),
}
