"""From files to tensors: reading, pairing, label budgets, transforms."""

from semiverse.data.budget import labeling_order
from semiverse.data.dataset import Record, Sample, SegmentationDataset, Split
from semiverse.data.masks import read_colors, read_indices
from semiverse.data.pairing import list_images, pair, read_list
from semiverse.data.survey import Content, survey
from semiverse.data.transforms import Augmentation, CropTransform, ResizeTransform

__all__ = [
    "Augmentation",
    "Content",
    "CropTransform",
    "Record",
    "ResizeTransform",
    "Sample",
    "SegmentationDataset",
    "Split",
    "labeling_order",
    "list_images",
    "pair",
    "read_colors",
    "read_indices",
    "read_list",
    "survey",
]
