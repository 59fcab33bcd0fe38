from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.visualization import canvas
from keras_xkd.visualization import checks
from keras_xkd.visualization import seed_rows


@keras_xkd_export("keras_xkd.visualization.plot_comparison")
def plot_comparison(
    scores: Mapping[str, Any],
    metric: str = "accuracy",
    chance: float | None = None,
    confidence: float = 0.95,
    of: str = "seeds",
    ax: canvas.Axes | None = None,
) -> canvas.Figure:
    """Draws what networks score: every seed, the mean and its interval.

    Dots are seeds, a diamond is their mean, and the line through it Student's t
    interval of the mean. It says how the mean varies with the seed, not with
    the choice of the test samples. A row of one seed is its diamond alone.

    Args:
        scores: A dict `{row: [one number per seed]}`, drawn in its order.
        metric: What the numbers are, the label of the axis.
        chance: What guessing scores, a dotted line.
        confidence: Coverage of the intervals.
        of: What the dots are, such as `"folds"`, for the label of the axis.
        ax: Axes of matplotlib, or None for a new figure.

    Returns:
        The figure, `ax.figure`.

    Raises:
        ValueError: If there is nothing to draw or a score is not finite.

    Example:

    >>> from keras_xkd.visualization import plot_comparison
    >>> scores = {"teacher": [0.97, 0.98], "student": [0.91, 0.93, 0.92]}
    >>> figure = plot_comparison(scores, chance=0.1)
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['teacher', 'student']
    """
    canvas.check_axes(ax)
    if not isinstance(scores, Mapping) or not scores:
        raise ValueError(
            "`scores` must be a dict `{row: [one number per seed]}` with a row "
            f"at least. Received: {scores!r}"
        )
    if not 0 < confidence < 1:
        raise ValueError(
            f"`confidence` must lie between 0 and 1. Received: {confidence}"
        )
    values = {}
    for row, seeds in scores.items():
        values[row] = np.atleast_1d(checks.numbers(f"scores[{row!r}]", seeds))
        if values[row].ndim != 1 or not len(values[row]):
            raise ValueError(
                f"`scores[{row!r}]` must have one number per seed, at least "
                f"one. Received: shape {values[row].shape}"
            )
    if chance is not None:
        chance = float(checks.numbers("chance", chance))
    if ax is None:
        _, ax = canvas.new(size=(7, 1.3 + 0.62 * len(values)))
    seed_rows.draw(
        ax,
        values,
        {row: str(row) for row in values},
        digits=seed_rows.digits_of(np.concatenate(list(values.values()))),
        confidence=confidence,
    )
    if chance is not None:
        ax.axvline(chance, color=canvas.GREY, linewidth=1, linestyle=":")
        ax.annotate(
            "chance",
            (chance, 1),
            (0, 2),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            va="bottom",
            color=canvas.GREY,
            fontsize="small",
        )
    ax.margins(x=0.08)
    ax.set_xlabel(_xlabel(metric, values, of, confidence))
    return ax.figure


def _xlabel(metric, values, of, confidence):
    if max(map(len, values.values())) == 1:
        return metric
    return f"{metric}: {of}, mean and {100 * confidence:g} % interval"
