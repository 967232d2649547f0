"""Encoder features that an evaluation with details leaves in a run folder."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, product
from math import ceil, sqrt
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.artist import Artist
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from semiverse.files import reading
from semiverse.labels import distinct_colors
from semiverse.models import SegmentationModel
from semiverse.models.label_embeddings import LabelEmbeddings
from semiverse.reporting.figures import MOST_NUMBERS, STYLE, heat_map, line_color, selected, two_digits
from semiverse.reporting.runs import EVALUATION, read_if_there


class NamedClass(NamedTuple):
    """A class of a domain; equal names of different domains need not mean the same."""

    domain: str
    title: str

    def __str__(self) -> str:
        return f"{self.domain}/{self.title}"


@dataclass(frozen=True)
class Features:
    """Features of random labelled pixels of all domains.

    Args:
        values: (M, D), all finite.
        pixels: Class of each.
        across: Cosine between the centroids of all pixels of classes of different domains, by their names.
        same_name: Mean of those of classes of equal name; None if there are none.
    """

    values: np.ndarray
    pixels: Sequence[NamedClass]
    across: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    same_name: float | None = None

    @property
    def classes(self) -> list[NamedClass]:
        """Classes that have pixels, in the order of the file."""
        return list(dict.fromkeys(self.pixels))

    def only(self, classes: Collection[str] | None) -> "Features":
        """Those of some classes, each named by its title or as domain/title; None: all."""
        if classes is None:
            return self
        kept = [i for i, pixel in enumerate(self.pixels) if selected(classes, pixel.domain, [pixel.title])]
        pixels = [self.pixels[i] for i in kept]
        names = {str(pixel): pixel.title for pixel in pixels}
        same = [v for n, row in self.across.items() for o, v in row.items() if n in names and names[n] == names.get(o)]
        return replace(self, values=self.values[kept], pixels=pixels, same_name=float(np.mean(same)) if same else None)

    def similarity(self) -> np.ndarray:
        """Cosine between the centroids of every two classes, (C, C) in [-1, 1]: of all pixels where these are known."""
        members = [[pixel == one for pixel in self.pixels] for one in self.classes]
        found = cosines(np.stack([self.values[own].mean(axis=0) for own in members]))
        for (i, one), (j, other) in product(enumerate(self.classes), repeat=2):
            found[i, j] = self.across.get(str(one), {}).get(str(other), found[i, j])
        return found


def cosines(rows: np.ndarray) -> np.ndarray:
    """Cosine between every two vectors, (R, d) → (R, R) in [-1, 1]; 0 for a vector of length zero."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    directions = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    products: np.ndarray = directions @ directions.T
    return products.clip(-1.0, 1.0)


def read_features(folder: Path) -> Features | None:
    """Features of a run; None where there are none, and pixels left out where they are not finite.

    Raises:
        ValueError: If the file is damaged.
    """
    path = folder / "features.npz"
    if not path.is_file():
        return None
    with reading(path, "what an evaluation wrote", "evaluate the run again", "it is damaged"):
        with np.load(path, allow_pickle=False) as stored:
            values, domains, titles = (np.asarray(stored[name]) for name in ("features", "domains", "classes"))
        pixels = [NamedClass(str(d), str(t)) for d, t in zip(domains, titles, strict=True)]
        values = values.reshape(len(pixels), -1).astype(np.float64)
    finite = np.isfinite(values).all(axis=1)
    pixels = [pixel for pixel, usable in zip(pixels, finite, strict=True) if usable]
    found = read_if_there(folder / "evaluation.json", [], EVALUATION)
    across, same_name = found.get("centroid_similarity", {}), found.get("same_name_similarity")
    return Features(values[finite], pixels, across, same_name) if pixels else None


MOST_POINTS = 2000
"""Points of the map: about ten seconds on one core, which grow faster than their number."""


def feature_map(panels: Mapping[str, Features]) -> Figure | None:
    """t-SNE of features of several runs, side by side on one scale; None where there are too few to tell.

    Colours are names of classes, shapes are domains. Every run has a map of its own, as features of different networks
    do not compare; what does is how far classes and domains keep apart.

    Args:
        panels: Features of all domains by run; more than ``MOST_POINTS`` are thinned out, evenly over the classes.
    """
    planes = {name: placed for name, features in panels.items() if (placed := _plane(features)) is not None}
    if not planes:
        return None
    every = dict.fromkeys(pixel for pixels, _ in planes.values() for pixel in pixels)
    colors = class_colors(list(dict.fromkeys(pixel.title for pixel in every)))
    shapes = dict(zip(dict.fromkeys(pixel.domain for pixel in every), cycle("o^sDvPX*"), strict=False))
    reach = 1.05 * max(np.abs(plane).max() for _, plane in planes.values())
    legend_columns, columns = -(-len(colors) // 24), min(3, ceil(sqrt(len(planes))))
    rows, side = ceil(len(planes) / columns), 5.6 if len(planes) == 1 else 4.4
    with rc_context(STYLE | {"axes.grid": False, "axes.spines.top": True, "axes.spines.right": True}):
        figure = Figure(figsize=(columns * side + 0.2 + 1.5 * legend_columns, rows * (side + 0.2)), layout="compressed")
        places = figure.subplots(rows, columns, squeeze=False).flatten()
        for axes, (name, (pixels, plane)) in zip(places, planes.items(), strict=False):
            order = np.random.default_rng(0).permutation(len(plane))  # so that no class lies on top of all others
            for domain, shape in shapes.items():
                own = [i for i in order if pixels[i].domain == domain]
                shades = [colors[pixels[i].title] for i in own]
                axes.scatter(plane[own, 0], plane[own, 1], s=13, c=shades, marker=shape, alpha=0.75, linewidths=0)
            axes.set(xticks=[], yticks=[], xlabel="first t-SNE dimension", ylabel="second t-SNE dimension")
            axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", title=name * (len(planes) > 1))
        for axes in places[len(planes) :]:
            axes.set_axis_off()
        entries: list[Artist] = [
            Line2D([], [], linestyle="none", marker=shape, color="#444444", markersize=5) for shape in shapes.values()
        ]
        entries += [Patch(color=color) for color in colors.values()]
        names = [*shapes, *colors]
        figure.legend(entries, names, loc="outside right upper", ncols=legend_columns, fontsize=8, handlelength=1.2)
    return figure


def _plane(features: Features) -> tuple[list[NamedClass], np.ndarray] | None:
    """Pixels, thinned out, and where they lie around the origin, (M, 2); None where no neighbourhood is to be kept."""
    chosen = thinned(features, MOST_POINTS)
    values = features.values[chosen]
    if len(chosen) < 4 or np.ptp(values, axis=0).max() == 0:
        return None
    plane = embedded(values)
    return [features.pixels[i] for i in chosen], plane - (plane.min(axis=0) + plane.max(axis=0)) / 2


def thinned(features: Features, most: int) -> list[int]:
    """Indices of at most ``most`` pixels in the order of the file; every class gives up the same share of its own."""
    generator = np.random.default_rng(0)
    classes: dict[object, list[int]] = {}
    for i, pixel in enumerate(features.pixels):
        classes.setdefault(pixel, []).append(i)
    ranked = [
        (rank / len(members), i)
        for members in classes.values()
        for rank, i in enumerate(generator.permutation(members).tolist())
    ]
    return sorted(i for _, i in sorted(ranked)[:most])


def embedded(values: np.ndarray) -> np.ndarray:
    """Features, (M, D), on a plane, (M, 2): t-SNE of their first 50 principal components.

    One thread: with several, sums in another order lead to another map.
    """
    from sklearn.decomposition import PCA  # seconds of imports that other figures do not need
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        reduced = PCA(min(50, *values.shape), random_state=0).fit_transform(values)
        if reduced.shape[1] < 2:
            reduced = np.pad(reduced, ((0, 0), (0, 1)))  # the map has two dimensions
        perplexity = min(30.0, (len(values) - 1) / 3)
        plane: np.ndarray = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(reduced)
    return plane


def class_colors(titles: Sequence[str]) -> dict[str, str]:
    """A colour for each name: dark ones first, then light ones, and computed ones for more than twenty."""
    if len(titles) <= 20:
        shades = colormaps["tab20"].colors  # type: ignore[attr-defined]
        return dict(zip(titles, map(to_hex, [*shades[::2], *shades[1::2]]), strict=False))
    parts = [(r / 255, g / 255, b / 255) for r, g, b in distinct_colors(len(titles))]
    return dict(zip(titles, map(to_hex, parts), strict=True))


OPPOSITES = LinearSegmentedColormap.from_list("opposites", ["#1f5f99", "#8fb8da", "#f7f7f7", "#e3a48f", "#b5472f"])
"""Of cosines: blue below zero, red above it, both less glaring than usual."""


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
    inks = [line_color(domains.index(names[i].domain)) for i in order]
    cell, size = (0.3, 8) if len(names) <= MOST_NUMBERS else (max(0.11, 9 / len(names)), 6)
    side = 0.065 * size / 8 * max(map(len, titles)) + cell * len(names)
    with rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(side + 1.1, side + 0.2), layout="compressed")
        axes = figure.add_subplot()
        written = np.where(np.eye(len(shown)) > 0, "", two_digits(shown))
        picture = heat_map(axes, shown, (titles, titles), (-1, 1), written, OPPOSITES, size)
        for label, ink in zip([*axes.get_xticklabels(), *axes.get_yticklabels()], inks * 2, strict=True):
            label.set_color(ink)
        figure.colorbar(picture, ax=axes, label="cosine similarity (no unit)", fraction=0.046)
    return figure
