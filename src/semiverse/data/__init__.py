"""From files to tensors: reading, pairing, label budgets, transforms."""

from semiverse.data.budget import labeling_order
from semiverse.data.dataset import ALL, Sample, SegmentationDataset, Split
from semiverse.data.masks import read_colors, read_indices
from semiverse.data.pairing import Record, list_images, pair, select
from semiverse.data.places import find_folder
from semiverse.data.survey import Content, survey
from semiverse.data.transforms import Augmentation, CropTransform, ResizeTransform

__all__ = [
    "ALL",
    "Augmentation",
    "Content",
    "CropTransform",
    "Record",
    "ResizeTransform",
    "Sample",
    "SegmentationDataset",
    "Split",
    "find_folder",
    "labeling_order",
    "list_images",
    "pair",
    "read_colors",
    "read_indices",
    "select",
    "survey",
]
