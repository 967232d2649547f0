"""The card of a model on a hub: what it knows, what it was trained on, how good it is, and how to use it."""

from collections.abc import Mapping, Sequence
from typing import Any

from semiverse.datasets.catalogue import known_datasets, source_of
from semiverse.labels import LabelSpace
from semiverse.reporting.runs import RunFacts

FRONT = """---
library_name: semiverse
pipeline_tag: image-segmentation
tags: [semantic-segmentation, semi-supervised]
---
"""


def model_card(name: str, spaces: Mapping[str, LabelSpace], run: RunFacts | None) -> str:
    """Markdown for the README.md of a model.

    Args:
        name: What it is called on the hub, ``owner/name``.
        spaces: Its label spaces, by domain.
        run: The training it comes from; None where only the model is there, whose data and scores are then unknown.
    """
    classes = "\n".join(f"- `{domain}`: {', '.join(space.classes)}" for domain, space in spaces.items())
    parts = [FRONT, f"# {name.partition('/')[2]}", *_opening(spaces, run), *_use(name, list(spaces))]
    parts += ["## Label spaces", classes]
    parts += _data(run) if run is not None else []
    parts += _scores(run) if run is not None and run.scores else []
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _opening(spaces: Mapping[str, LabelSpace], run: RunFacts | None) -> list[str]:
    opening = f"A model for semantic segmentation in {_count(len(spaces), 'label space')}, made with semiverse."
    if run is None:
        return [opening]
    encoder = run.config.get("model", {}).get("encoder", "an encoder that is not recorded")
    return [opening, f"Method `{run.method}`, encoder `{encoder}`, {_count(run.steps, 'step')}."]


def _use(name: str, domains: Sequence[str]) -> list[str]:
    command = f"semiverse predict hf:{name} photo.jpg --domain {domains[0]} --out masks"
    program = f'''from semiverse import Predictor, SegmentationModel

model = SegmentationModel.from_pretrained("{name}")
prediction = Predictor(model)("photo.jpg", "{domains[0]}")'''
    return ["## Use", f"```\npip install semiverse\n{command}\n```", f"```python\n{program}\n```"]


def _data(run: RunFacts) -> list[str]:
    kinds = {kind.__name__: kind for kind in known_datasets()}
    rows = ["| domain | dataset | labelled images | terms | source |", "| --- | --- | --- | --- | --- |"]
    for domain, values in run.config["data"]["domains"].items():
        title = _dataset(values["dataset"])
        kind = kinds.get(title)
        terms = getattr(kind, "terms", "not recorded: ask whoever trained it")
        source = (source_of(kind) if kind is not None else "") or "-"
        count = str(len(run.labeled[domain])) if domain in run.labeled else "all"
        rows.append(f"| {domain} | {title} | {count} | {terms} | {source} |")
    return ["## Training data", "\n".join(rows), "The terms of the data may bind the model too: read them before use."]


def _dataset(values: Mapping[str, Any]) -> str:
    """The class of a dataset; of one that is seen through another label space, that of the files."""
    inner = values.get("init_args", {}).get("dataset")
    return _dataset(inner) if isinstance(inner, Mapping) else str(values["class_path"]).rpartition(".")[2]


def _scores(run: RunFacts) -> list[str]:
    rows = ["| domain | split | by | mIoU | images |", "| --- | --- | --- | --- | --- |"]
    for protocol, score in run.scores.items():
        if score.miou is not None:
            images = "-" if score.images is None else str(score.images)
            rows.append(
                f"| {protocol.domain} | {protocol.split} | {protocol.via} | {100 * score.miou:.1f} % | {images} |"
            )
    return [
        "## Scores",
        "\n".join(rows),
        "Mean intersection over union of one training.",
    ]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
