"""The doctor: what is wrong with a dataset, and what can be repaired."""

from semiverse.data.doctor.diagnosis import DETECTORS, diagnose
from semiverse.data.doctor.files import halves
from semiverse.data.doctor.findings import Coding, Decode, Facts, Finding, Part
from semiverse.data.doctor.listing import FolderFiles, list_folder
from semiverse.data.doctor.sizes import TURNED, scaled

__all__ = [
    "DETECTORS",
    "TURNED",
    "Coding",
    "Decode",
    "Facts",
    "Finding",
    "FolderFiles",
    "Part",
    "diagnose",
    "halves",
    "list_folder",
    "scaled",
]
