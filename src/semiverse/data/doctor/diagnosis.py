"""All detectors, one after the other."""

from collections.abc import Callable, Iterator

from semiverse.data.doctor.duplicates import find_duplicates
from semiverse.data.doctor.encodings import find_encodings
from semiverse.data.doctor.files import find_unreadable, find_unusual_images
from semiverse.data.doctor.findings import Facts, Finding
from semiverse.data.doctor.frequencies import find_frequencies
from semiverse.data.doctor.pairs import find_pairs
from semiverse.data.doctor.sizes import find_sizes

DETECTORS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    find_pairs,
    find_unreadable,
    find_encodings,
    find_sizes,
    find_unusual_images,
    find_frequencies,
    find_duplicates,
)
"""Pure functions from what was read to findings."""


def diagnose(facts: Facts) -> list[Finding]:
    """What every detector finds.

    A class that seems unseen is no news where the coding of the masks is wrong altogether.
    """
    found = [finding for detector in DETECTORS for finding in detector(facts)]
    misread = {path for finding in found if finding.decode is not None for path in finding.files}
    doubtful = ("one-class", "unseen-class", "rare-class", "empty-mask", "mostly-ignored", "all-ignored")
    return [finding for finding in found if not misread or finding.kind not in doubtful]
