"""From files to tensors: reading, pairing, label budgets, transforms."""

from semiverse.data.budget import (
    Budget,
    budget_size,
    check_pattern,
    drawing_rule,
    group_names,
    in_labeling_order,
    labeling_order,
    share_of,
)
from semiverse.data.cache import CachedReader
from semiverse.data.dataset import ALL, SegmentationDataset
from semiverse.data.division import divide
from semiverse.data.lists import digest, refuse_changed
from semiverse.data.masks import read_colors, read_indices
from semiverse.data.pairing import Record, list_images, pair, select
from semiverse.data.samples import Augmentation, CropTransform, Reader, ResizeTransform, Sample, Split
from semiverse.data.survey import Content, survey
from semiverse.files import find_folder

__all__ = [
    "ALL",
    "Augmentation",
    "Budget",
    "CachedReader",
    "Content",
    "CropTransform",
    "Reader",
    "Record",
    "ResizeTransform",
    "Sample",
    "SegmentationDataset",
    "Split",
    "budget_size",
    "check_pattern",
    "digest",
    "divide",
    "drawing_rule",
    "find_folder",
    "group_names",
    "in_labeling_order",
    "labeling_order",
    "list_images",
    "pair",
    "read_colors",
    "read_indices",
    "refuse_changed",
    "select",
    "share_of",
    "survey",
]
