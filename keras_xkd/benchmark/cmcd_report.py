"""What the numbers of the benchmark `cmcd` say: tables and picture.

The results are a list with a dict for each seed, `{number of common factors:
{row or diagnostic: number}}`.
"""

import numpy as np

from keras_xkd.benchmark import figure
from keras_xkd.benchmark.statistics import compare
from keras_xkd.benchmark.statistics import summarise
from keras_xkd.benchmark.table import interval
from keras_xkd.benchmark.table import table

FACTORS = 8
OBJECTIVES = {"cmd": "CMD", "cmc": "CMC", "sum": "CMD + CMC"}
DIAGNOSTICS = {
    "total_variation": "marginal TV",
    "joint_total_variation": "label-joint TV",
    "cosine": "cosine of the pairs",
}


def titles():
    """`{row: title}` of all that is trained from the labels."""
    found = {"scratch": "from scratch"}
    for row, stage in (("le", "LE"), ("ft", "FT")):
        found |= {f"{n}_{row}": f"{t}, {stage}" for n, t in OBJECTIVES.items()}
    return found


def by_common(results, key):
    """`{number of common factors: one number per seed}`."""
    return {c: [r[c][key] for r in results] for c in results[0]}


def correlations(results, name):
    """Of the error of LE with each diagnostic over the problems of a seed."""
    found = {}
    for key in DIAGNOSTICS:
        values = []
        for result in results:
            error = [r[f"{name}_le"] for r in result.values()]
            distance = [r[f"{name}_{key}"] for r in result.values()]
            moves = np.ptp(error) > 0 and np.ptp(distance) > 0
            r = np.corrcoef(error, distance)[0, 1] if moves else 0.0
            values.append(float(r))
        summary = compare(values, np.zeros(len(values)))
        if summary["sd"] is not None:
            ends = np.clip([summary["low"], summary["high"]], -1, 1)
            summary["low"], summary["high"] = ends.tolist()
        found[key] = summary
    return found


def judge(results):
    """What all numbers say.

    Returns:
        A dict: `gains`, the error of each row less that from scratch by number
        of common factors; `slopes`, how that changes from the first to the
        last number; `correlations` of the error of LE with the diagnostics.
    """
    scratch = by_common(results, "scratch")
    first, *_, last = scratch
    gains, slopes = {}, {}
    for row in list(titles())[1:]:
        own = by_common(results, row)
        less = {c: np.subtract(own[c], scratch[c]) for c in own}
        gains[row] = {c: compare(own[c], scratch[c]) for c in own}
        slopes[row] = compare(less[last], less[first])
    found = {name: correlations(results, name) for name in OBJECTIVES}
    return {"gains": gains, "slopes": slopes, "correlations": found}


def text(results, judged):
    """The tables."""
    common = list(results[0])
    shares = [f"{int(c) / FACTORS:g}" for c in common]
    words = {"better": "higher", "worse": "lower", "unclear": "unclear"}

    def means(key, digits):
        values = by_common(results, key)
        return [f"{np.mean(values[c]):.{digits}f}" for c in common]

    errors = [[title, *means(row, 1)] for row, title in titles().items()]
    gains = [
        [
            titles()[row],
            *map(_with_margin, found.values()),
            words[judged["slopes"][row]["verdict"]],
        ]
        for row, found in judged["gains"].items()
    ]
    distances = [
        [
            f"{short}, {title}",
            *means(f"{name}_{key}", 2),
            f"{judged['correlations'][name][key]['mean']:+.2f}",
            interval(judged["correlations"][name][key], 2, sign=True),
        ]
        for name, short in OBJECTIVES.items()
        for key, title in DIAGNOSTICS.items()
    ]
    header = ["share of common factors:", *shares]
    return "\n\n".join(
        [
            "Test error (%):",
            table(header, errors),
            "Difference to training from scratch (points), paired, with its 95 "
            "% interval;\nwhat becomes of it from the first share to the last:",
            table([*header, ""], gains),
            "Distance of the embeddings; correlation with the error of LE over "
            "the problems\nof a seed, with 95 % interval over seeds:",
            table([*header, "r", "95 %"], distances),
        ]
    )


def _with_margin(summary):
    if summary["sd"] is None:
        return f"{summary['mean']:+.1f}"
    return f"{summary['mean']:+.1f} ± {summary['high'] - summary['mean']:.1f}"


def draw(results, path):
    """Errors by share, and the diagnostics of CMC beside its error."""
    canvas, axes = figure.new(1, 3, size=(12, 4.2), sharey=True)
    shares = [int(c) / FACTORS for c in results[0]]
    colors = {
        "scratch": figure.GREY,
        "cmd": figure.ORANGE,
        "cmc": figure.BLUE,
        "sum": figure.GREEN,
    }
    for axis, row, title in zip(
        axes, ("le", "ft"), ("linear evaluation", "fine-tuning"), strict=False
    ):
        for name in ("scratch", *OBJECTIVES):
            key = name if name == "scratch" else f"{name}_{row}"
            found = [summarise(v) for v in by_common(results, key).values()]
            label = OBJECTIVES.get(name, "from scratch")
            y = [s["mean"] for s in found]
            color = colors[name]
            axis.plot(shares, y, "o-", color=color, label=label)
            if found[0]["sd"] is not None:
                low, high = ([s[k] for s in found] for k in ("low", "high"))
                axis.fill_between(shares, low, high, color=color, alpha=0.15)
        axis.set_title(title, loc="left", fontsize=11)
        axis.set_xlabel("share of common factors")
        axis.legend(frameon=False)
    axes[0].set_ylabel("test error (%)")
    shades = (figure.GREY, figure.PURPLE, figure.BLUE)
    y = [r["cmc_le"] for result in results for r in result.values()]
    for (key, title), color in zip(DIAGNOSTICS.items(), shades, strict=True):
        x = [r[f"cmc_{key}"] for result in results for r in result.values()]
        axes[2].plot(x, y, "o", color=color, alpha=0.6, label=title)
    axes[2].set_title("CMC, linear evaluation", loc="left", fontsize=11)
    axes[2].set_xlabel("diagnostic of the embeddings")
    axes[2].legend(frameon=False)
    for axis in axes:
        axis.grid(axis="y", alpha=0.3)
    return figure.save(canvas, path)
