"""Datasets: one corpus a file."""

from semiverse.datasets.camvid import CamVid
from semiverse.datasets.folder import Folder, ImageFolder
from semiverse.datasets.labelmefacade import LabelMeFacade
from semiverse.datasets.remapped import Remapped
from semiverse.datasets.synthetic import SyntheticRooms, SyntheticStreets

__all__ = ["CamVid", "Folder", "ImageFolder", "LabelMeFacade", "Remapped", "SyntheticRooms", "SyntheticStreets"]
