"""Which classes of different domains lie together, as a heat map whose neighbours are alike."""

from collections.abc import Sequence
from typing import cast

import numpy as np
from matplotlib import rc_context
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from semiverse.commands.reporting.features import NamedClass, cosines
from semiverse.commands.reporting.figures import COLORS, STYLE
from semiverse.models import SegmentationModel
from semiverse.models.label_embeddings import LabelEmbeddings

OPPOSITES = LinearSegmentedColormap.from_list("opposites", ["#1f5f99", "#8fb8da", "#f7f7f7", "#e3a48f", "#b5472f"])
"""Of cosines: blue below zero, red above it, both less glaring than usual."""
MOST_NUMBERS = 30
"""Classes up to which there is room for numbers."""


def label_row_similarity(model: SegmentationModel) -> tuple[list[NamedClass], np.ndarray]:
    """Names of all label rows of all domains, and the cosine between every two.

    Domains with equal label spaces share their rows, and several rows of a class are numbered.
    """
    embeddings = cast(LabelEmbeddings, model.label_embeddings)
    names, rows = [], []
    for key in embeddings.spaces:
        domains = "+".join(domain for domain in model.label_spaces if model.space_key(domain) == key)
        for i, number in enumerate(embeddings.row_classes(key).tolist()):
            title = model.label_spaces[key].classes[number]
            several = embeddings.centroids > 1
            names.append(NamedClass(domains, f"{title} {i % embeddings.centroids + 1}" if several else title))
        rows.append(embeddings.rows(key).double().cpu().numpy())
    return names, cosines(np.concatenate(rows))


def clustered(similarity: np.ndarray) -> list[int]:
    """Order in which what is alike stands together: leaves of average linkage over 1 - cosine."""
    if len(similarity) < 3:
        return list(range(len(similarity)))
    distances = squareform(np.clip(1 - similarity, 0, None), checks=False)
    return [int(i) for i in leaves_list(linkage(distances, "average", optimal_ordering=True))]


def similarity_figure(names: Sequence[NamedClass], similarity: np.ndarray) -> Figure:
    """Cosines between classes of all domains; the colour of a name is its domain."""
    order = clustered(similarity)
    shown = similarity[np.ix_(order, order)]
    titles = [str(names[i]) for i in order]
    domains = list(dict.fromkeys(name.domain for name in names))
    inks = [COLORS[domains.index(names[i].domain) % len(COLORS)] for i in order]
    cell, size = (0.3, 8) if len(names) <= MOST_NUMBERS else (max(0.11, 9 / len(names)), 6)
    room = 0.065 * size / 8 * max(map(len, titles))
    side = room + cell * len(names)
    with rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(side + 1.1, side + 0.2), layout="compressed")
        axes = figure.add_subplot()
        picture = axes.imshow(shown, cmap=OPPOSITES, vmin=-1, vmax=1)
        axes.set_xticks(range(len(titles)), titles, rotation=90, fontsize=size)
        axes.set_yticks(range(len(titles)), titles, fontsize=size)
        for label, ink in zip([*axes.get_xticklabels(), *axes.get_yticklabels()], inks * 2, strict=True):
            label.set_color(ink)
        figure.colorbar(picture, ax=axes, label="cosine similarity (no unit)", fraction=0.046)
        for (row, column), value in np.ndenumerate(shown):
            if row != column and len(names) <= MOST_NUMBERS:
                color = "white" if abs(value) > 0.7 else "black"
                axes.text(column, row, _short(value), ha="center", va="center", fontsize=6, color=color)
    return figure


def _short(value: float) -> str:
    """Two digits without the zero before them."""
    return "1" if value >= 0.995 else f"{value:.2f}".replace("0.", ".", 1)
