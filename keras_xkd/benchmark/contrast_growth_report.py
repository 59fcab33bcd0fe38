"""The table, the picture and the JSON of `contrast_growth`."""

import pathlib

from keras_xkd.benchmark import record
from keras_xkd.benchmark.contrast_growth_names import QUEUE_BATCH
from keras_xkd.benchmark.contrast_growth_names import QUEUES
from keras_xkd.benchmark.table import table
from keras_xkd.visualization import canvas

HEADER = [
    "loss",
    "backend",
    "form",
    "largest",
    "s",
    "MiB",
    "time ~ n^",
    "memory ~ n^",
    "at",
    "s",
    "MiB",
    "stopped",
]
COLORS = {
    "jax": canvas.BLUE,
    "tensorflow": canvas.ORANGE,
    "torch": canvas.GREEN,
}
STYLES = {"plain": "--", "chunks": "-"}


def line(series):
    """One form of a loss in one line, when it is done."""
    last = series["points"][-1] if series["points"] else {"size": "-"}
    stopped = f"; {series['stopped']}" if series["stopped"] else ""
    return (
        f"{series['backend']:<10} {series['loss']} ({series['form']}): "
        f"{last['size']} rows, {_seconds(last)} s, {_mebibytes(last)} MiB"
        f"{stopped}"
    )


def rows_of(results):
    """The rows of the table: the largest size, and that of both forms."""
    rows = []
    for series in results:
        last = series["points"][-1] if series["points"] else {"size": "-"}
        common = _common(results, series)
        rows.append(
            [
                series["loss"],
                series["backend"],
                series["form"],
                last["size"],
                _seconds(last),
                _mebibytes(last),
                _power(series["seconds_exponent"]),
                _power(series["bytes_exponent"]),
                common["size"],
                _seconds(common),
                _mebibytes(common),
                series["stopped"] or "",
            ]
        )
    return rows


def _common(results, series):
    """The point of a series at the largest size that all its forms reached."""
    sizes = [
        {p["size"] for p in other["points"]}
        for other in results
        if (other["loss"], other["backend"])
        == (series["loss"], series["backend"])
    ]
    shared = set.intersection(*sizes)
    points = [p for p in series["points"] if p["size"] in shared]
    return points[-1] if points else {"size": "-"}


def _seconds(point):
    value = point.get("seconds")
    return "-" if value is None else f"{value:.3g}"


def _mebibytes(point):
    value = point.get("bytes")
    return "-" if value is None else f"{value / 2**20:.4g}"


def _power(value):
    return "-" if value is None else f"{value:.2f}"


def draw(results, path):
    """Time above memory, a column for each loss, both axes logarithmic."""
    names = list(dict.fromkeys(r["loss"] for r in results))
    figure, axes = canvas.new(
        2,
        len(names),
        size=(1.5 + 2.3 * len(names), 5.4),
        squeeze=False,
        sharex="col",
        sharey="row",
    )
    for column, name in enumerate(names):
        for row, (key, unit) in enumerate([("seconds", 1), ("bytes", 2**20)]):
            axis = axes[row][column]
            for series in [r for r in results if r["loss"] == name]:
                points = [p for p in series["points"] if p[key]]
                axis.plot(
                    [p["size"] for p in points],
                    [p[key] / unit for p in points],
                    STYLES[series["form"]],
                    color=COLORS[series["backend"]],
                    marker="o",
                    markersize=2.5,
                    linewidth=1.3,
                )
            axis.set_xscale("log", base=2)
            axis.set_yscale("log")
            axis.grid(True, alpha=0.25)
            powers = _powers(results, name, f"{key}_exponent")
            axis.set_title(powers, fontsize=7, color=canvas.GREY)
        axes[0][column].annotate(
            name.replace("_", " "),
            (0.5, 1.16),
            xycoords="axes fraction",
            ha="center",
            fontsize=8,
        )
        rows = "rows of the queue" if name in QUEUES else "rows of the batch"
        axes[1][column].set_xlabel(rows, fontsize=8)
    axes[0][0].set_ylabel("seconds of a step")
    axes[1][0].set_ylabel("memory, MiB")
    _legend(figure, results)
    return canvas.save(figure, path)


def _powers(results, name, key):
    """The exponents of a loss: the range over the backends, by form."""
    lines = []
    for form in STYLES:
        found = [
            r[key]
            for r in results
            if (r["loss"], r["form"]) == (name, form) and r[key] is not None
        ]
        if found:
            low, high = (f"{v:.1f}" for v in (min(found), max(found)))
            shown = low if low == high else rf"{low}\ldots{high}"
            lines.append(rf"{form} $\sim n^{{{shown}}}$")
    return ", ".join(lines)


def _legend(figure, results):
    from matplotlib.lines import Line2D

    backends = dict.fromkeys(r["backend"] for r in results)
    handles = [
        Line2D([], [], color=COLORS[b], label=b, linewidth=2) for b in backends
    ]
    handles += [
        Line2D([], [], color=canvas.GREY, linestyle=style, label=form)
        for form, style in STYLES.items()
    ]
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=len(handles),
        frameon=False,
        fontsize=8,
    )


def write(results, output, settings, arguments, seeds):
    """Prints the table, and writes it all."""
    output = pathlib.Path(output)
    foot = (
        f"Rows of {settings['width']} numbers; chunks of {settings['chunk']}; "
        f"queues against a batch of {QUEUE_BATCH}. The exponents are fitted to "
        "the last four sizes. `at`: the largest size of both forms."
    )
    print(f"\n{table(HEADER, rows_of(results))}\n\n{foot}")
    print(record.describe())
    found = {**settings, "results": results}
    path = record.write(
        output / "contrast_growth.json", found, arguments, seeds
    )
    picture = draw(results, output / "contrast_growth.png")
    print(f"Written: {path}, {picture}")
    return found
