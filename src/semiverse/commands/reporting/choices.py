"""Which images are shown: the best, the worst and the most improved by their own mIoU."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from statistics import mean

from semiverse.commands.reporting.runs import Setting

KINDS = ("best", "worst", "most improved")
IMPROVED = KINDS[2]
TURNS = ("worst", "best", IMPROVED)
"""What is chosen first where few images are shown."""

ImageScores = Mapping[str, Mapping[str, float]]
"""The mIoU of every image by itself, by name of the setting and id of the image."""


def image_scores(settings: Sequence[Setting], domain: str, split: str) -> dict[str, Mapping[str, float]]:
    """Scores of the images of a split by the decoder of the first run of each setting, where it has them."""
    found: dict[str, Mapping[str, float]] = {}
    for setting in settings:
        for protocol, score in setting.runs[0].scores.items():
            if (protocol.domain, protocol.split, protocol.via) == (domain, split, "decoder") and score.image_mious:
                found[setting.name] = {title: v for title, v in score.image_mious.items() if v is not None}
    return found


def choose(scores: ImageScores, baseline: str, ids: Sequence[str], count: int) -> list[tuple[str, str]]:
    """Ids of up to ``count`` images that every setting scored, each with its kind: best first, most improved last.

    Best and worst by the mean over settings; improvement is the mean of the others minus the baseline, and only above
    zero. No image is chosen twice.

    Args:
        scores: Of the images.
        baseline: Name of the setting that the others are measured against.
        ids: Of the images that there are.
        count: How many to choose.
    """
    known = [one for one in ids if scores and all(one in by_image for by_image in scores.values())]
    average = {one: mean(by_image[one] for by_image in scores.values()) for one in known}
    gains = _gains(scores, baseline, known)
    rankings = {
        "best": sorted(known, key=lambda one: -average[one]),
        "worst": sorted(known, key=lambda one: average[one]),
        IMPROVED: sorted((one for one in known if gains.get(one, 0.0) > 0), key=lambda one: -gains[one]),
    }
    chosen: dict[str, str] = {}
    for kind in cycle(TURNS):
        if len(chosen) >= min(count, len(known)):
            break
        left = [one for one in rankings[kind] if one not in chosen]
        if left:
            chosen[left[0]] = kind
    return [(one, kind) for kind in KINDS for one in rankings[kind] if chosen.get(one) == kind]


def _gains(scores: ImageScores, baseline: str, ids: Sequence[str]) -> dict[str, float]:
    """Mean of the others minus the baseline; empty without a baseline or others."""
    others = [by_image for name, by_image in scores.items() if name != baseline]
    if baseline not in scores or not others:
        return {}
    return {one: mean(by_image[one] for by_image in others) - scores[baseline][one] for one in ids}


def choice(kinds: Sequence[str], scores: ImageScores, baseline: str) -> str:
    """How examples were chosen, in words."""
    if not kinds:
        return "chosen evenly"
    by_mean = " in the mean over the settings" if len(scores) > 1 else ""
    improved = f", and those that gained most over {baseline}" if IMPROVED in kinds else ""
    return f"the best and worst by their own mIoU{by_mean}{improved}"
