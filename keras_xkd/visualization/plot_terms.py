from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.visualization import canvas
from keras_xkd.visualization import curves

FEW = 20  # Epochs, of which each gets a dot.


@keras_xkd_export("keras_xkd.visualization.plot_terms")
def plot_terms(
    history: Any,
    terms: str | Sequence[str] | None = None,
    ax: canvas.Axes | None = None,
) -> canvas.Figure:
    """Draws loss terms, bounds and metrics over the epochs of a training.

    A colour is a term, as it is logged: not multiplied by its weight. Lines are
    the training data, dashed lines the validation data. Of several runs, such
    as one for each seed, the line is the mean and the band around it one
    standard deviation.

    Args:
        history: What `fit` returned, its dict `history.history`, or a list of
            either, with as many epochs each.
        terms: Names of logs such as `"loss"`, `"distillation_loss"` (or
            `"distillation"`) and `"accuracy"`. By default all losses and bounds
            of mutual information (`"..._information"`, in nats), and all logs
            if there are none of these. Validation comes along by itself, or
            alone if there is nothing else.
        ax: Axes of matplotlib, or None for a new figure, in which bounds have
            axes of their own.

    Returns:
        The figure, `ax.figure`.

    Raises:
        ValueError: If there is no epoch, if runs differ in their epochs, if a
            term is unknown, or if a value is not finite.

    Example:

    >>> from keras_xkd.visualization import plot_terms
    >>> history = {"loss": [2.0, 1.0], "val_loss": [2.2, 1.4]}
    >>> figure = plot_terms(history)
    >>> [line.get_linestyle() for line in figure.axes[0].lines]
    ['-', '--']

    More than seven terms take the colours again, with hollow markers.
    """
    canvas.check_axes(ax)
    epochs, runs = curves.read(history)
    terms = curves.choose(runs, terms)
    drawn = {
        term: {
            style: curves.stack(runs, name, epochs)
            for name, style in ((term, "-"), (f"val_{term}", "--"))
            if name in runs[0]
        }
        for term in terms
    }
    groups = [drawn]
    if ax is None:
        losses = {t: k for t, k in drawn.items() if not curves.is_bound(t)}
        bounds = {t: k for t, k in drawn.items() if curves.is_bound(t)}
        groups = [group for group in (losses, bounds) if group]
        size = (7.5, 4) if len(groups) == 1 else (12.5, 4)
        _, ax = canvas.new(1, len(groups), size)
    for axis, group in zip(np.atleast_1d(ax), groups):
        _draw(axis, group, epochs, len(runs))
    return np.atleast_1d(ax)[0].figure


def _draw(ax, drawn, epochs, runs):
    """Draws terms into axes: `{term: {line style: (epochs, values)}}`."""
    for place, lines in enumerate(drawn.values()):
        look = _look(place, len(epochs))
        for style, (x, values) in lines.items():
            mean = values.mean(0)
            ax.plot(x, mean, style, **look)
            if runs > 1:
                sd = values.std(0, ddof=1)
                ax.fill_between(
                    x,
                    mean - sd,
                    mean + sd,
                    color=look["color"],
                    alpha=0.2,
                    linewidth=0,
                )
    ax.set_xlabel("epoch")
    ax.set_ylabel(_ylabel(list(drawn)))
    if len(epochs) == 1:
        ax.set_xticks(epochs)
    else:
        ax.locator_params(axis="x", integer=True)
    ax.grid(axis="y", alpha=0.3)
    canvas.legend(ax, _handles(drawn, len(epochs), runs))


def _look(place, epochs):
    """Keywords of a line: the colours once, then again with hollow markers."""
    count = len(canvas.COLORS)
    look = {"color": canvas.COLORS[place % count]}
    if place >= count:
        marker = canvas.MARKERS[(place // count - 1) % len(canvas.MARKERS)]
        every = max(1, epochs // 10)
        look |= {"marker": marker, "markevery": every, "markersize": 5}
        look["markerfacecolor"] = "white"
    elif epochs <= FEW:
        look |= {"marker": "o", "markersize": 3}
    return look


def _handles(drawn, epochs, runs):
    """The legend: a colour for each term, and what the styles mean."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], label=term.replace("_", " "), **_look(place, epochs))
        for place, term in enumerate(drawn)
    ]
    for style, label in (("-", "training"), ("--", "validation")):
        if any("--" in lines for lines in drawn.values()):
            grey = {"color": canvas.GREY, "linestyle": style}
            handles.append(Line2D([], [], label=label, **grey))
    if runs > 1:
        label = f"mean ± SD of {runs} runs"
        band = {"color": canvas.GREY, "alpha": 0.3, "linewidth": 0}
        handles.append(Patch(label=label, **band))
    return handles


def _ylabel(terms):
    kinds = {
        "loss"
        if curves.is_loss(term)
        else "bound (nats)"
        if curves.is_bound(term)
        else "value"
        for term in terms
    }
    if kinds == {"value"} and len(terms) == 1:
        return terms[0].replace("_", " ")
    return ", ".join(k for k in ("loss", "bound (nats)", "value") if k in kinds)
