"""Datasets: one corpus a file."""

from semiverse.datasets.bsds500 import BSDS500
from semiverse.datasets.camvid import CamVid
from semiverse.datasets.cityscapes import Cityscapes
from semiverse.datasets.clothing import ClothingCoParsing
from semiverse.datasets.coco import Coco
from semiverse.datasets.cvat_xml import CvatXml
from semiverse.datasets.folder import Folder, ImageFolder
from semiverse.datasets.gta5 import GTA5
from semiverse.datasets.idd import IDD
from semiverse.datasets.label_studio import LabelStudio
from semiverse.datasets.labelme import Labelme
from semiverse.datasets.labelmefacade import LabelMeFacade
from semiverse.datasets.nyuv2 import NYUv2
from semiverse.datasets.remapped import Remapped
from semiverse.datasets.shards import Images
from semiverse.datasets.sunrgbd import SUNRGBD
from semiverse.datasets.synthetic import SyntheticRooms, SyntheticStreets
from semiverse.datasets.voc import PascalVOC
from semiverse.datasets.voc_folder import VocFolder
from semiverse.datasets.yolo import YoloSegmentation

__all__ = [
    "BSDS500",
    "GTA5",
    "IDD",
    "SUNRGBD",
    "CamVid",
    "Cityscapes",
    "ClothingCoParsing",
    "Coco",
    "CvatXml",
    "Folder",
    "ImageFolder",
    "Images",
    "LabelMeFacade",
    "LabelStudio",
    "Labelme",
    "NYUv2",
    "PascalVOC",
    "Remapped",
    "SyntheticRooms",
    "SyntheticStreets",
    "VocFolder",
    "YoloSegmentation",
]
