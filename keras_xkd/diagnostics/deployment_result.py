from typing import Any

import numpy as np

from keras_xkd.benchmark.table import table
from keras_xkd.typing import Axes
from keras_xkd.visualization import canvas


class DeploymentReport:
    """The result of `deployment_report`; `print` gives a table.

    `rows` is a list of dicts, one for each model, `report["student"]` one of
    them, `to_dict()` all by name.
    """

    def __init__(
        self,
        rows: list[dict[str, Any]],
        batch_sizes: list[int],
        metrics: list[str],
        confidence: float,
    ) -> None:
        self.rows = rows
        self.batch_sizes = batch_sizes
        self.metrics = metrics
        self.confidence = confidence

    def __getitem__(self, model: str) -> dict[str, Any]:
        return self.to_dict()[model]

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """`{model: {quantity: number or interval}}`."""
        return {row["model"]: row for row in self.rows}

    def __str__(self) -> str:
        first, *others = self.rows
        header = ["", first["model"]]
        for row in others:
            header += [row["model"], "ratio"]
        quantities = [
            ("parameters", "parameters", 1, ",.0f"),
            ("weights, kB", "weight_bytes", 1e3, ",.1f"),
            (".keras file, kB", "file_bytes", 1e3, ",.1f"),
        ]
        for size in self.batch_sizes:
            title = f"batch of {size}, ms"
            quantities.append((title, f"latency_{size}", 1e-3, ",.3g"))
        quantities += [(name, name, 1, ".3f") for name in self.metrics]
        lines = []
        for title, key, unit, form in quantities:
            line = [title]
            for row in self.rows:
                line.append(_cell(row, key, unit, form))
                if row is not first:
                    ratio = row[key] / first[key] if first[key] else np.nan
                    line.append(f"{ratio:.3f}")
            lines.append(line)
        return (
            f"{table(header, lines)}\nRatios are those to the first model. "
            "Latency is a median; in parentheses "
            f"{100 * self.confidence:g} % intervals."
        )

    __repr__ = __str__

    def plot(
        self,
        ax: Axes | None = None,
        metric: str | None = None,
        batch_size: int | None = None,
    ) -> Axes:
        """Draws a metric, or the size of the weights, against latency.

        Args:
            ax: Axes of matplotlib, or None for a new figure, `ax.figure`.
            metric: Name of the metric, by default the first; without metrics
                the size of the weights.
            batch_size: That of the latency, by default 1.

        Returns:
            The axes.
        """
        metric = metric or next(iter(self.metrics), None)
        batch_size = batch_size or self.batch_sizes[0]
        if metric not in [*self.metrics, None]:
            raise ValueError(
                f"`metric` must be one of {self.metrics}. Received: {metric!r}"
            )
        if batch_size not in self.batch_sizes:
            raise ValueError(
                f"`batch_size` must be one of {self.batch_sizes}. "
                f"Received: {batch_size}"
            )
        if ax is None:
            _, ax = canvas.new(size=(6.5, 4.2))
        colors = [canvas.BLUE, canvas.ORANGE, canvas.GREEN, canvas.PURPLE]
        for i, row in enumerate(self.rows):
            color = colors[i % 4]
            time = 1e3 * row[f"latency_{batch_size}"]
            ends = 1e3 * np.array(row[f"latency_{batch_size}_interval"])
            height = row[metric] if metric else row["weight_bytes"] / 1e3
            ax.plot(ends, [height, height], color=color)
            interval = row[f"{metric}_interval"] if metric else None
            if interval:
                ax.plot([time, time], interval, color=color)
            label = f"{row['model']}, {row['weight_bytes'] / 1e3:,.0f} kB"
            marker: dict[str, Any] = {
                "color": color,
                "markersize": 8,
                "label": label,
            }
            ax.plot(time, height, "osD^"[i % 4], **marker)
        ax.margins(x=0.15)
        ax.set_xlim(left=0)
        ax.set_xlabel(f"latency of a batch of {batch_size}, ms")
        ax.set_ylabel(metric.replace("_", " ") if metric else "weights, kB")
        if not metric:
            ax.set_yscale("log")
        ax.set_title("What models cost and are worth")
        ax.grid(alpha=0.3)
        ax.legend(frameon=False)
        return ax


def _cell(row, key, unit, form):
    text = f"{row[key] / unit:{form}}"
    interval = row.get(f"{key}_interval")
    if interval is None:
        return text
    low, high = (f"{end / unit:{form}}" for end in interval)
    return f"{text} ({low} to {high})"
