"""Encoder features of all domains on one plane (USSS, Fig. 4)."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from semiverse.commands.reporting.features import Features
from semiverse.commands.reporting.figures import STYLE
from semiverse.labels import distinct_colors

MOST_POINTS = 2000
"""Points of the map: about ten seconds on one core, which grow faster than their number."""
COMPONENTS = 50
PERPLEXITY = 30.0
FEWEST_POINTS = 4
"""Below this there is no neighbourhood to keep."""
MARKERS = "o^sDvPX*"


def feature_map(features: Features) -> Figure | None:
    """t-SNE of features: colours are names of classes, shapes are domains; None where there are too few to tell.

    Args:
        features: Of all domains; more than ``MOST_POINTS`` are thinned out, evenly over the classes.
    """
    chosen = thinned(features, MOST_POINTS)
    values = features.values[chosen]
    if len(chosen) < FEWEST_POINTS or np.ptp(values, axis=0).max() == 0:
        return None
    pixels = [features.pixels[i] for i in chosen]
    return _drawn(embedded(values), [pixel.domain for pixel in pixels], [pixel.title for pixel in pixels])


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
        reduced = PCA(min(COMPONENTS, *values.shape), random_state=0).fit_transform(values)
        if reduced.shape[1] < 2:
            reduced = np.pad(reduced, ((0, 0), (0, 1)))  # the map has two dimensions
        perplexity = min(PERPLEXITY, (len(values) - 1) / 3)
        plane: np.ndarray = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(reduced)
    return plane


def class_colors(titles: Sequence[str]) -> dict[str, str]:
    """A colour for each name: dark ones first, then light ones, and computed ones for more than twenty."""
    if len(titles) <= 20:
        shades = colormaps["tab20"].colors  # type: ignore[attr-defined]
        return dict(zip(titles, map(to_hex, [*shades[::2], *shades[1::2]]), strict=False))
    parts = [(r / 255, g / 255, b / 255) for r, g, b in distinct_colors(len(titles))]
    return dict(zip(titles, map(to_hex, parts), strict=True))


def _drawn(plane: np.ndarray, domains: Sequence[str], titles: Sequence[str]) -> Figure:
    colors = class_colors(list(dict.fromkeys(titles)))
    shapes = {domain: MARKERS[i % len(MARKERS)] for i, domain in enumerate(dict.fromkeys(domains))}
    columns = -(-len(colors) // 24)
    with rc_context(STYLE | {"axes.grid": False, "axes.spines.top": True, "axes.spines.right": True}):
        figure = Figure(figsize=(6.6 + 1.5 * columns, 5.8), layout="constrained")
        axes = figure.add_subplot()
        order = np.random.default_rng(0).permutation(len(plane))  # so that no class lies on top of all others
        for domain, shape in shapes.items():
            own = [i for i in order if domains[i] == domain]
            shades = [colors[titles[i]] for i in own]
            axes.scatter(plane[own, 0], plane[own, 1], s=13, c=shades, marker=shape, alpha=0.75, linewidths=0)
        axes.set(xticks=[], yticks=[], xlabel="first t-SNE dimension", ylabel="second t-SNE dimension")
        axes.set_aspect("equal", adjustable="datalim")
        _legends(axes, colors, shapes, columns)
    return figure


def _legends(axes: Axes, colors: dict[str, str], shapes: dict[str, str], columns: int) -> None:
    """Shapes of the domains and colours of the classes, both outside."""
    markers: list[Artist] = [
        Line2D([], [], linestyle="none", marker=shape, color="#444444", markersize=5) for shape in shapes.values()
    ]
    patches: list[Artist] = [Patch(color=color) for color in colors.values()]
    figure = axes.figure
    figure.legend(
        markers + patches, [*shapes, *colors], loc="outside right upper", ncols=columns, fontsize=8, handlelength=1.2
    )
