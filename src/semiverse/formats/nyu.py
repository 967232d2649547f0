"""Classes of indoor photographs that NYU Depth V2 (Gupta et al., 2013) and SUN RGB-D share."""

from collections.abc import Mapping

from semiverse.labels import Color

CLASSES_40: Mapping[str, Color] = {
    "wall": (119, 119, 119), "floor": (244, 243, 131), "cabinet": (137, 28, 157), "bed": (150, 255, 255),
    "chair": (54, 114, 113), "sofa": (0, 0, 176), "table": (255, 69, 0), "door": (87, 112, 255),
    "window": (0, 163, 33), "bookshelf": (255, 150, 255), "picture": (255, 180, 10), "counter": (101, 70, 86),
    "blinds": (38, 230, 0), "desk": (255, 120, 70), "shelves": (117, 41, 121), "curtain": (150, 255, 0),
    "dresser": (132, 0, 255), "pillow": (24, 209, 255), "mirror": (191, 130, 35), "floor mat": (219, 200, 109),
    "clothes": (154, 62, 86), "ceiling": (255, 190, 190), "books": (255, 0, 255), "fridge": (152, 163, 55),
    "tv": (192, 79, 212), "paper": (230, 230, 230), "towel": (53, 130, 64), "shower curtain": (155, 249, 152),
    "box": (87, 64, 34), "whiteboard": (214, 209, 175), "person": (170, 0, 59), "night stand": (255, 0, 0),
    "toilet": (193, 195, 234), "sink": (70, 72, 115), "lamp": (255, 255, 0), "bathtub": (52, 57, 131),
    "bag": (12, 83, 45), "otherstructure": (82, 163, 163), "otherfurniture": (163, 120, 82),
    "otherprop": (120, 82, 163),
}  # fmt: skip
"""Colour of each class; the first 37 are those of SUN RGB-D."""
