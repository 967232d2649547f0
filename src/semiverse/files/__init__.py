"""Files and folders: where they are, how they are read whole and written whole, and what is wrong with them."""

from semiverse.files.outputs import Outputs, refuse_inside
from semiverse.files.places import cache_folder, data_root, expand, find_folder
from semiverse.files.problems import (
    DataProblem,
    MissingData,
    as_problem,
    bearable,
    check_number,
    missing,
    out_of_memory,
    reading,
)
from semiverse.files.states import changed_at, file_stamp, settled
from semiverse.files.text import read_json, read_text, value_of
from semiverse.files.writing import (
    FULL_DISK,
    disk_failure,
    previous_folder,
    replaced_folder,
    work_beside,
    write_atomically,
    write_cached,
)

__all__ = [
    "FULL_DISK",
    "DataProblem",
    "MissingData",
    "Outputs",
    "as_problem",
    "bearable",
    "cache_folder",
    "changed_at",
    "check_number",
    "data_root",
    "disk_failure",
    "expand",
    "file_stamp",
    "find_folder",
    "missing",
    "out_of_memory",
    "previous_folder",
    "read_json",
    "read_text",
    "reading",
    "refuse_inside",
    "replaced_folder",
    "settled",
    "value_of",
    "work_beside",
    "write_atomically",
    "write_cached",
]
