"""Pictures of what an evaluation with details finds: in each domain, and from one domain to another."""

from collections.abc import Mapping, Sequence

from semiverse.commands.reporting.class_bars import ClassScores, class_figure
from semiverse.commands.reporting.examples import UNREADABLE
from semiverse.commands.reporting.feature_map import feature_map
from semiverse.commands.reporting.features import Features, read_features, without_details
from semiverse.commands.reporting.figures import confusion_figure
from semiverse.commands.reporting.frequencies import Frequencies
from semiverse.commands.reporting.further_scores import Evaluated
from semiverse.commands.reporting.page import Picture
from semiverse.commands.reporting.reliability import Reliability, reliability_figure
from semiverse.commands.reporting.runs import RunFacts, Setting
from semiverse.commands.reporting.scores import read_json
from semiverse.commands.reporting.similarity import label_row_similarity, similarity_figure
from semiverse.models import SegmentationModel


def domain_pictures(domain: str, found: Sequence[Evaluated], frequencies: Frequencies) -> list[Picture]:
    """Classes beside their frequencies, and reliability, of all settings.

    Args:
        domain: Its name.
        found: Its evaluations.
        frequencies: Of the classes in the masks; empty: those of the pixels that were scored.
    """
    pictures = []
    shares = {title: share for title, (share, _) in frequencies.items()} or _scored_shares(found)
    scores = [ClassScores(e.name, [score.iou for score in e.scores if score.iou]) for e in found]
    scores = [setting for setting in scores if setting.ious]
    if scores and shares:
        several = any(len(setting.ious) > 1 for setting in scores)
        whiskers = " Whiskers are standard deviations over seeds." * several
        caption = (
            f"Classes of {domain}, the most frequent first: intersection over union and share of pixels.{whiskers}"
        )
        pictures.append(Picture(f"class_iou_{domain}", caption, class_figure(scores, shares)))
    curves = [Reliability(e.name, [s.calibration for s in e.scores if s.calibration is not None]) for e in found]
    curves = [curve for curve in curves if curve.calibrations]
    if curves:
        caption = (
            f"Reliability in {domain}: below the diagonal the model is surer than it is right. The calibration error "
            "is the mean distance from the diagonal over all pixels."
        )
        pictures.append(Picture(f"reliability_{domain}", caption, reliability_figure(curves)))
    return pictures


def _scored_shares(found: Sequence[Evaluated]) -> Mapping[str, float]:
    """Share of each class in the labelled pixels of the first evaluation that counted them."""
    confusions = [score.confusion for evaluated in found for score in evaluated.scores if score.confusion]
    if not confusions:
        return {}
    pixels = {title: sum(row.values()) for title, row in confusions[0].items()}
    return {title: count / max(1, sum(pixels.values())) for title, count in pixels.items()}


def across_pictures(settings: Sequence[Setting]) -> tuple[list[Picture], list[str]]:
    """Pictures of what domains have to do with each other, by the first run of every setting; and what is missing."""
    pictures: list[Picture] = []
    problems = without_details(settings)
    for run in [setting.runs[0] for setting in settings]:
        pictures += _confusions(run)
        features = None
        try:
            features = read_features(run.run.folder)
            pictures += _feature_maps(run, features) if features is not None else []
        except ValueError as error:
            problems.append(str(error))
        try:
            pictures += _similarities(run, features)
        except UNREADABLE as error:
            problems.append(f"No map of the classes of {run.name}: {error}")
    return pictures, problems


def _confusions(run: RunFacts) -> list[Picture]:
    """What the head of every domain says of every other domain."""
    classes = {protocol.domain: list(score.iou) for protocol, score in run.scores.items() if score.iou}
    pictures = []
    for protocol, score in run.scores.items():
        for other, seen in (score.seen_as or {}).items():
            domain = protocol.domain
            answers = classes.get(other) or list(dict.fromkeys(name for row in seen.values() for name in row))
            if not answers:
                continue
            axes_titles = (f"class of {other} that its head sees", f"true class of {domain}")
            name = f"seen_as_{domain}_{other}_{run.name}_{protocol.via}_{protocol.split}"
            caption = (
                f"{domain} through the eyes of {other}: what the head of {other} in {run.name} takes its pixels for."
            )
            figure = confusion_figure(seen, classes.get(domain, list(seen)), answers, axes_titles)
            pictures.append(Picture(name, caption, figure))
    return pictures


def _feature_maps(run: RunFacts, features: Features) -> list[Picture]:
    drawn = feature_map(features)
    if drawn is None:
        return []
    caption = f"Encoder features of {run.name} at random labelled pixels, t-SNE of all domains together."
    if features.same_name is not None:
        caption += f" Mean cosine between centroids of classes of the same name: {features.same_name:.2f}."
    if _separate(run):
        caption += " Every domain has an encoder of its own: their features do not compare."
    return [Picture(f"features_{run.name}", caption, drawn)]


def _similarities(run: RunFacts, features: Features | None) -> list[Picture]:
    """Label embeddings of models that have them, centroids of features of the others."""
    if read_json(run.run.folder / "model" / "labels.json", []).get("label_embeddings"):
        names, similarity = label_row_similarity(SegmentationModel.load(run.run.folder))
        what = "label embeddings"
    elif features is not None and not _separate(run):
        names, similarity = features.classes, features.similarity()
        what = "centroids of encoder features"
    else:
        return []
    if len({name.domain for name in names}) < 2:
        return []
    caption = f"Cosine between {what} of all classes of {run.name}, in an order that puts alike ones side by side."
    return [Picture(f"class_similarity_{run.name}", caption, similarity_figure(names, similarity))]


def _separate(run: RunFacts) -> bool:
    return bool(run.config.get("model", {}).get("separate", False))
