import collections.abc
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.benchmark import statistics
from keras_xkd.benchmark.table import table
from keras_xkd.diagnostics.halves import check_confidence
from keras_xkd.typing import Axes


class SeedComparison(collections.abc.Mapping):
    """The result of `compare_seeds`; `print` gives a table.

    A mapping `{row: summary}`: a dict with `mean`, `sd`, the interval `low`
    to `high` of the mean, `n`, and `difference` to the baseline, a dict of the
    same kind with a `verdict`, None in the row of the baseline.
    """

    def __init__(
        self,
        scores: Mapping[str, Sequence[float]],
        rows: dict[str, dict[str, Any]],
        baseline: str,
        confidence: float,
    ) -> None:
        self.scores = scores
        self.rows = rows
        self.baseline = baseline
        self.confidence = confidence

    def __getitem__(self, name: str) -> dict[str, Any]:
        return self.rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        percent = f"{100 * self.confidence:g} %"
        header = ["", "n", "mean", percent, f"- {self.baseline}", percent, ""]
        lines = []
        for name, row in self.rows.items():
            line = [name, row["n"], f"{row['mean']:.4g}", _interval(row)]
            gap = row["difference"]
            if gap is None:
                line += ["", "", "baseline"]
            else:
                line += [f"{gap['mean']:+.4g}", _interval(gap, "+")]
                line.append(gap["verdict"])
            lines.append(line)
        return table(header, lines)

    __repr__ = __str__

    def plot(self, ax: Axes | None = None, metric: str = "score") -> Axes:
        """Draws every seed, means and intervals; returns the axes."""
        from keras_xkd.visualization.plot_comparison import plot_comparison

        figure = plot_comparison(
            self.scores, metric=metric, confidence=self.confidence, ax=ax
        )
        return figure.axes[0] if ax is None else ax


def _interval(row, sign=""):
    if row["sd"] is None:
        return "-"
    return f"{row['low']:{sign}.4g} to {row['high']:{sign}.4g}"


@keras_xkd_export("keras_xkd.diagnostics.compare_seeds")
def compare_seeds(
    scores: Mapping[str, Sequence[float]],
    baseline: str | None = None,
    confidence: float = 0.95,
) -> SeedComparison:
    """Is a student better than a baseline, or was it luck?

    Every row has one score per seed, in the same order of seeds. Differences
    are taken seed by seed, since what a seed decides, such as initial weights,
    is common to both; intervals are Student's t over the seeds.

    Args:
        scores: A dict `{row: [score of seed 0, of seed 1, ...]}`.
        baseline: The row that the others are compared with, by default the
            first.
        confidence: Coverage of the intervals.

    Returns:
        A mapping `{row: summary}` that prints a table, with `plot()`. A
        difference is `"better"` or `"worse"` if its interval leaves out zero,
        else `"unclear"`; higher scores are better.

    Raises:
        ValueError: If rows have different numbers of seeds, if a score is not
            finite, or `baseline` is no row.

    Example:

    >>> from keras_xkd.diagnostics import compare_seeds
    >>> scores = {"alone": [70.0, 72.0, 71.0], "student": [74.0, 77.0, 75.0]}
    >>> result = compare_seeds(scores)
    >>> round(result["student"]["difference"]["mean"], 2)
    4.33
    >>> result["student"]["difference"]["verdict"]
    'better'
    """
    check_confidence(confidence)
    if not isinstance(scores, Mapping):
        raise ValueError(
            "`scores` must be a dict `{row: [one score per seed]}`. "
            f"Received: scores={scores!r}"
        )
    found = {n: np.asarray(v, "float64") for n, v in scores.items()}
    shapes = {n: v.shape for n, v in found.items()}
    if not found or len(set(shapes.values())) > 1:
        raise ValueError(
            "`scores` must have rows with one score per seed, of the same "
            f"seeds. Received the shapes: {shapes}"
        )
    for name, values in found.items():
        if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
            raise ValueError(
                "Expected one finite score per seed, at least one. "
                f"Received: scores[{name!r}]={scores[name]!r}"
            )
    baseline = next(iter(found)) if baseline is None else baseline
    if baseline not in found:
        raise ValueError(
            f"`baseline` must be one of {list(found)}. Received: {baseline!r}"
        )
    rows = {}
    for name, values in found.items():
        rows[name] = statistics.summarise(values, confidence)
        rows[name]["difference"] = (
            None
            if name == baseline
            else statistics.compare(values, found[baseline], confidence)
        )
    return SeedComparison(dict(scores), rows, baseline, confidence)
