"""Configurations: plain values that are read, merged, checked against signatures, and built into objects.

Only :mod:`semiverse.configuration.build` uses the parser; it is imported where something is built.
"""

from semiverse.configuration.values import (
    REST,
    USER_ERRORS,
    Plain,
    describe,
    differences,
    dump_yaml,
    load_yaml,
    merged,
    modernized,
    read_config,
    rewritten,
)

__all__ = [
    "REST",
    "USER_ERRORS",
    "Plain",
    "describe",
    "differences",
    "dump_yaml",
    "load_yaml",
    "merged",
    "modernized",
    "read_config",
    "rewritten",
]
