"""Rows of a comparison: what was trained, with one number for every seed."""

import numpy as np

from keras_xkd.benchmark.statistics import compare
from keras_xkd.benchmark.statistics import summarise
from keras_xkd.benchmark.table import interval
from keras_xkd.benchmark.table import table
from keras_xkd.visualization import canvas


def columns(results):
    """`{row: [one number per seed]}` from one dict per seed.

    Example:

    >>> columns([{"a": 1, "b": 2}, {"a": 3, "b": 4}])
    {'a': [1, 3], 'b': [2, 4]}
    """
    return {key: [result[key] for result in results] for key in results[0]}


def means(values, titles, unit="%", digits=1):
    """A table with mean, standard deviation and interval of the rows.

    Args:
        values: A dict `{row: one number per seed}`.
        titles: A dict `{row: what it is}`, in the order of the table.
        unit: Title of the column of means.
        digits: Decimals.
    """
    lines = []
    for row, title in titles.items():
        found = summarise(values[row])
        sd = "-" if found["sd"] is None else f"{found['sd']:.{digits}f}"
        mean = f"{found['mean']:.{digits}f}"
        lines.append([title, mean, sd, interval(found, digits)])
    return table(["", unit, "SD", "95 % interval"], lines)


def differences(values, pairs, unit="points", digits=1):
    """A table of paired differences, and what they say.

    Args:
        values: A dict `{row: one number per seed}`.
        pairs: A dict `{title: (row, baseline)}`.
        unit: Title of the column of differences.
        digits: Decimals.

    Returns:
        `(text, {title: summary of the differences})`. A verdict is `better`
        if the row is higher than its baseline and the interval of the mean
        difference leaves out zero.
    """
    found = {
        title: compare(values[row], values[baseline])
        for title, (row, baseline) in pairs.items()
    }
    words = {"better": "higher", "worse": "lower", "unclear": "unclear"}
    lines = [
        [
            title,
            f"{difference['mean']:+.{digits}f}",
            interval(difference, digits, sign=True),
            words[difference["verdict"]],
        ]
        for title, difference in found.items()
    ]
    header = ["paired difference", unit, "95 % interval", ""]
    return table(header, lines), found


def draw(axis, values, titles, colors=None, digits=1):
    """Draws the rows into an axis: every seed, the mean and its interval."""
    for place, row in enumerate(titles):
        color = (colors or {}).get(row, canvas.BLUE)
        summary = summarise(values[row])
        mean = summary["mean"]
        axis.plot(
            values[row],
            np.full(len(values[row]), place + 0.25),
            "o",
            color=color,
            alpha=0.4,
            markersize=4,
            markeredgewidth=0,
        )
        if summary["sd"] is not None:
            ends = np.abs(np.subtract([summary["low"], summary["high"]], mean))
            axis.errorbar(
                mean, place, xerr=ends[:, None], color=color, capsize=4
            )
        axis.plot(mean, place, "D", color=color, markersize=6)
        axis.annotate(
            f"{mean:.{digits}f}",
            (mean, place - 0.14),
            ha="center",
            va="bottom",
            color=color,
            fontweight="bold",
        )
    axis.set_yticks(range(len(titles)), titles.values())
    axis.set_ylim(len(titles) - 0.4, -0.6)
    axis.grid(axis="x", alpha=0.3)
