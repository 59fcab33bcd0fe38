from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.visualization import canvas
from keras_xkd.visualization import checks
from keras_xkd.visualization import matrices

MOST_NUMBERS = 20  # Classes, up to which each cell has its number.


@keras_xkd_export("keras_xkd.visualization.plot_confusion")
def plot_confusion(
    y_true: Any,
    y_pred: Any,
    names: Sequence[str] | Mapping[Any, str] | None = None,
    normalize: bool = True,
    ax: canvas.Axes | None = None,
) -> canvas.Figure:
    """Draws which classes are taken for which others.

    A row is a true class, a column what was predicted. Normalised, a row adds
    up to 100 %: the diagonal is the recall of each class. A class without a
    sample has an empty row.

    Args:
        y_true: Classes, whole numbers or strings, shape `(samples,)`.
        y_pred: The same for what was predicted; or logits or probabilities,
            shape `(samples, classes)`, whose largest counts.
        names: Names of the classes: a list, with that of class `i` at place
            `i`, or a dict `{label: name}`. All of them are shown, also those
            without a sample.
        normalize: Whether to show percent of the true class, or counts.
        ax: Axes of matplotlib, or None for a new figure.

    Returns:
        The figure, `ax.figure`.

    Raises:
        ValueError: If the arrays do not fit together or a class has no name.

    Example:

    >>> from keras_xkd.visualization import plot_confusion
    >>> figure = plot_confusion([0, 0, 1], [0, 1, 1], names=["cat", "dog"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['50', '50', '0', '100']
    """
    canvas.check_axes(ax)
    y_true = checks.labels("y_true", y_true)
    y_pred, classes = _predicted(y_pred, len(y_true))
    if y_true.dtype.kind != y_pred.dtype.kind:
        raise ValueError(
            "`y_true` and `y_pred` must be of one kind, whole numbers or "
            f"strings. Received: {y_true.dtype} and {y_pred.dtype}"
        )
    checks.all_labelled("y_true", y_true)
    if names is not None:
        known = list(names) if isinstance(names, Mapping) else range(len(names))
        classes = [*classes, *known]
    classes = np.unique([*y_true.tolist(), *y_pred.tolist(), *classes])
    names = checks.class_names(classes, names)
    counts = np.zeros((len(classes), len(classes)))
    places = (np.searchsorted(classes, y) for y in (y_true, y_pred))
    np.add.at(counts, tuple(places), 1)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    if ax is None:
        side = min(2.2 + 0.42 * len(classes), 9)
        longest = max(map(len, names))
        _, ax = canvas.new(size=(side + 0.8 + 0.07 * longest, side))
    values = 100 * share if normalize else counts
    image = ax.imshow(
        values, cmap="Blues", vmin=0, vmax=100 if normalize else None
    )
    label = "% of the true class" if normalize else "samples"
    ax.figure.colorbar(image, ax=ax, label=label)
    empty = counts.sum(1) == 0
    if len(classes) <= MOST_NUMBERS:
        _write(ax, values, empty & normalize, image.get_clim()[1])
    if len(classes) <= matrices.MOST_NAMES:
        matrices.name_axes(ax, range(len(classes)), names)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    accuracy = 100 * np.mean(y_true == y_pred)
    title = f"{accuracy:.1f} % of {len(y_true)} right"
    ax.set_title(title, fontsize="medium", loc="left")
    return ax.figure


def _predicted(y_pred, count):
    """The predicted classes, and those that there are for sure."""
    scores = checks.to_array(y_pred)
    if scores.ndim != 2 or scores.shape[1] == 1:
        return checks.labels("y_pred", y_pred, count), []
    scores = checks.matrix("y_pred", scores)
    if len(scores) != count:
        raise ValueError(
            f"`y_pred` must have a row for each of the {count} labels. "
            f"Received: shape {scores.shape}"
        )
    return scores.argmax(1), range(scores.shape[1])


def _write(ax, values, empty, most):
    """The numbers into the cells, but into rows without a sample."""
    for row, column in np.ndindex(values.shape):
        text = f"{values[row, column]:.0f}"
        color = "white" if values[row, column] > 0.55 * most else "black"
        if not empty[row]:
            ax.text(
                column,
                row,
                text,
                ha="center",
                va="center",
                fontsize="small",
                color=canvas.GREY if text == "0" else color,
            )
