"""Rows of a comparison: every seed, the mean and its interval."""

import math

import numpy as np

from keras_xkd.benchmark.statistics import summarise
from keras_xkd.visualization import canvas


def draw(ax, values, titles, colors=None, digits=1, confidence=0.95):
    """Draws rows into axes, from top to bottom.

    Args:
        ax: The axes.
        values: A dict `{row: one number per seed}`.
        titles: A dict `{row: what it is}`, in the order of the picture.
        colors: A dict `{row: color}`, blue where there is none.
        digits: Decimals.
        confidence: Coverage of the intervals.
    """
    for place, row in enumerate(titles):
        color = (colors or {}).get(row, canvas.BLUE)
        summary = summarise(values[row], confidence)
        mean = summary["mean"]
        if summary["sd"] is not None:
            ax.plot(
                values[row],
                np.full(len(values[row]), place + 0.25),
                "o",
                color=color,
                alpha=0.4,
                markersize=4,
                markeredgewidth=0,
            )
            ends = np.abs(np.subtract([summary["low"], summary["high"]], mean))
            ax.errorbar(mean, place, xerr=ends[:, None], color=color, capsize=4)
        ax.plot(mean, place, "D", color=color, markersize=6)
        ax.annotate(
            f"{mean:.{digits}f}",
            (mean, place - 0.14),
            ha="center",
            va="bottom",
            color=color,
            fontweight="bold",
        )
    ax.set_yticks(range(len(titles)), titles.values())
    ax.set_ylim(len(titles) - 0.4, -0.6)
    ax.grid(axis="x", alpha=0.3)


def digits_of(values):
    """Decimals that show the largest of some numbers in three digits."""
    largest = np.max(np.abs(values))
    return max(0, 2 - math.floor(math.log10(largest))) if largest else 1
