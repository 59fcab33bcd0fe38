from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.visualization import canvas


@keras_xkd_export("keras_xkd.visualization.plot_missing_modalities")
def plot_missing_modalities(
    results: Any, metric: str | None = None, ax: canvas.Axes | None = None
) -> canvas.Figure:
    """Draws how good networks are with every subset of their modalities.

    A row is the modalities that are present, a line the interval over samples.
    Dotted lines are the networks with all their modalities.

    Args:
        results: A result of `keras_xkd.diagnostics.modality_subsets`, or a dict
            `{name: result}` to compare networks.
        metric: Name of the metric, by default the first.
        ax: Axes of matplotlib, or None for a new figure.

    Returns:
        The figure, `ax.figure`.

    Raises:
        ValueError: If there is no result, if the metric is not in all of them,
            or if their intervals have different coverage.

    Example:

    >>> import keras, numpy as np
    >>> from keras_xkd.diagnostics import modality_subsets
    >>> from keras_xkd.models import LateFusion
    >>> from keras_xkd.visualization import plot_missing_modalities
    >>> def encoder(name):
    ...     inputs = keras.Input((2,), name=name)
    ...     return keras.Model(inputs, keras.layers.Dense(4)(inputs))
    >>> model = LateFusion({n: encoder(n) for n in ("audio", "video")}, 2)
    >>> x = {"audio": np.ones((20, 2)), "video": np.ones((20, 2))}
    >>> result = modality_subsets(model, x, np.zeros(20))
    >>> figure = plot_missing_modalities(result)
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['audio', 'video', 'audio + video']
    """
    canvas.check_axes(ax)
    results = _by_name(results)
    metric = _metric(results, metric)
    rows = [row for result in results.values() for row in result.rows]
    subsets = list(dict.fromkeys(row["modalities"] for row in rows))
    subsets.sort(key=len)  # Those of one size stay in the order of the results.
    alone = len(results) == 1
    if ax is None:
        height = 1.2 + (0.35 + 0.2 * (len(results) - 1)) * len(subsets)
        _, ax = canvas.new(size=(6.5, height))
    looks = [
        {
            "color": canvas.COLORS[k % len(canvas.COLORS)],
            "marker": canvas.MARKERS[k % len(canvas.MARKERS)],
            "label": name,
        }
        for k, name in enumerate(results)
    ]
    # The networks share the height of a row.
    shifts = 0.5 * (np.arange(len(results)) + 0.5) / len(results) - 0.25
    for result, look, shift in zip(results.values(), looks, shifts):
        for row in result.rows:
            place = subsets.index(row["modalities"]) + shift
            _draw(ax, row, metric, place, look, alone)
        full = max(result.rows, key=lambda row: len(row["modalities"]))[metric]
        line = {"color": look["color"], "linestyle": ":", "linewidth": 1}
        ax.axvline(full, zorder=0, **line)
    ax.set_yticks(range(len(subsets)), [" + ".join(s) for s in subsets])
    ax.set_ylim(len(subsets) - 0.5, -0.8 if alone else -0.5)
    percent = f"{100 * result.confidence:g} %"
    ax.set_xlabel(f"{metric.replace('_', ' ')}, with {percent} interval")
    ax.set_ylabel("modalities present")
    ax.grid(axis="x", alpha=0.3)
    if not alone:
        from matplotlib.lines import Line2D

        handles = [Line2D([], [], linewidth=2, **look) for look in looks]
        handles.append(
            Line2D([], [], color=canvas.GREY, linestyle=":", label="with all")
        )
        canvas.legend(ax, handles)
    return ax.figure


def _by_name(results):
    """The results by the name of their network."""
    if hasattr(results, "rows"):  # One of them, which is a mapping too.
        results = {results.name: results}
    if (
        not isinstance(results, Mapping)
        or not results
        or not all(hasattr(result, "rows") for result in results.values())
    ):
        raise ValueError(
            "`results` must be what `keras_xkd.diagnostics.modality_subsets` "
            "returns, or a dict `{name: result}` of them. "
            f"Received: {results!r}"
        )
    coverage = {result.confidence for result in results.values()}
    if len(coverage) > 1:
        raise ValueError(
            "All results must have intervals of one `confidence`. "
            f"Received: {sorted(coverage)}"
        )
    return results


def _metric(results, metric):
    """The name of a metric that all results have."""
    first, *others = (result.metrics for result in results.values())
    known = [name for name in first if all(name in o for o in others)]
    metric = next(iter(known), None) if metric is None else metric
    if metric not in known:
        raise ValueError(
            f"`metric` must be one of {known}, which all results have. "
            f"Received: metric={metric!r}"
        )
    return metric


def _draw(ax, row, metric, place, look, with_number):
    """A value with its interval, if it has one."""
    value, ends = row[metric], row[f"{metric}_interval"]
    if ends is not None:
        ax.plot(ends, [place, place], color=look["color"], linewidth=2)
    ax.plot(value, place, markersize=7, linestyle="", **look)
    if with_number:
        ax.annotate(
            f"{value:.3f}",
            (value, place),
            (0, 8),
            textcoords="offset points",
            ha="center",
            fontsize="small",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )
