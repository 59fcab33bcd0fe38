"""Rows of a comparison: what was trained, with one number for every seed."""

from keras_xkd.benchmark.statistics import compare
from keras_xkd.benchmark.statistics import summarise
from keras_xkd.benchmark.table import interval
from keras_xkd.benchmark.table import table


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
