"""From files to tensors: reading, pairing, label budgets, transforms."""

from semiverse.data.cache import CachedReader
from semiverse.data.contents import Content, Contents
from semiverse.data.dataset import ALL, SegmentationDataset
from semiverse.data.division import Budget, budget_size, check_pattern, drawing_rule, in_labeling_order, share_of
from semiverse.data.images import Resolution
from semiverse.data.listing import image_records, list_images
from semiverse.data.masks import read_colors, read_indices
from semiverse.data.pairing import Record, digest, pair, refuse_changed, select
from semiverse.data.samples import Augmentation, CropTransform, Reader, ResizeTransform, Sample, Split
from semiverse.data.survey import survey

__all__ = [
    "ALL",
    "Augmentation",
    "Budget",
    "CachedReader",
    "Content",
    "Contents",
    "CropTransform",
    "Reader",
    "Record",
    "ResizeTransform",
    "Resolution",
    "Sample",
    "SegmentationDataset",
    "Split",
    "budget_size",
    "check_pattern",
    "digest",
    "drawing_rule",
    "image_records",
    "in_labeling_order",
    "list_images",
    "pair",
    "read_colors",
    "read_indices",
    "refuse_changed",
    "select",
    "share_of",
    "survey",
]
