"""Tiny stand-ins for datasets, written in their owners' layouts: one module a group of owners."""

import pkgutil
from importlib import import_module

from tests.fakes.basic import (
    COLORS,
    THREE,
    Fake,
    Numbered,
    draw,
    known,
    number_of,
    write_camvid,
    write_folder,
    write_image_folder,
    write_labelmefacade,
    write_mask,
    write_photo,
    write_unmasked_folder,
)

WRITERS = {
    kind: cases
    for module in pkgutil.iter_modules(__path__)
    for kind, cases in getattr(import_module(f"{__name__}.{module.name}"), "WRITERS", {}).items()
}
"""Writers of each dataset, by case: a function of a folder."""

__all__ = [
    "COLORS",
    "THREE",
    "WRITERS",
    "Fake",
    "Numbered",
    "draw",
    "known",
    "number_of",
    "write_camvid",
    "write_folder",
    "write_image_folder",
    "write_labelmefacade",
    "write_mask",
    "write_photo",
    "write_unmasked_folder",
]
