"""What the numbers of the benchmark `cmcd` say: tables and picture.

The results are a list with a dict for each seed, `{sweep: {share: {row or
diagnostic: number}}}`; most functions get those of one sweep.
"""

import numpy as np

from keras_xkd.benchmark.statistics import compare
from keras_xkd.benchmark.statistics import summarise
from keras_xkd.benchmark.table import interval
from keras_xkd.benchmark.table import table
from keras_xkd.visualization import canvas

SWEEPS = {
    "factors": "common factors",
    "label": "label on common factors",
}
OBJECTIVES = {"cmd": "CMD", "cmc": "CMC", "sum": "CMD + CMC"}
DIAGNOSTICS = {
    "total_variation": "marginal TV",
    "joint_total_variation": "label-joint TV",
    "cosine": "cosine of the pairs",
}
COLORS = {
    "scratch": canvas.GREY,
    "cmd": canvas.ORANGE,
    "cmc": canvas.BLUE,
    "sum": canvas.GREEN,
}


def titles():
    """`{row: title}` of all that is trained from the labels."""
    found = {"scratch": "from scratch"}
    for row, stage in (("le", "LE"), ("ft", "FT")):
        found |= {f"{n}_{row}": f"{t}, {stage}" for n, t in OBJECTIVES.items()}
    return found


def by_share(results, key):
    """`{share: one number per seed}`."""
    return {s: [r[s][key] for r in results] for s in results[0]}


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
    """What the numbers of a sweep say.

    Returns:
        A dict: `gains`, the error of each row less that from scratch by
        share; `slopes`, how that changes from the first share to the last;
        `correlations` of the error of LE with the diagnostics.
    """
    scratch = by_share(results, "scratch")
    first, *_, last = scratch
    gains, slopes = {}, {}
    for row in list(titles())[1:]:
        own = by_share(results, row)
        less = {s: np.subtract(own[s], scratch[s]) for s in own}
        gains[row] = {s: compare(own[s], scratch[s]) for s in own}
        slopes[row] = compare(less[last], less[first])
    found = {name: correlations(results, name) for name in OBJECTIVES}
    return {"gains": gains, "slopes": slopes, "correlations": found}


def text(results, judged, what):
    """The tables of a sweep.

    Args:
        results: Those of the sweep.
        judged: What `judge` returned.
        what: What the shares are of.
    """
    shares = list(results[0])
    header = [f"share of {what}:", *shares]
    words = {"better": "rises", "worse": "falls", "unclear": "unclear"}

    def means(key, digits):
        values = by_share(results, key)
        return [f"{np.mean(values[s]):.{digits}f}" for s in shares]

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
    """By sweep: errors of LE and FT, and the diagnostics beside the error."""
    figure, axes = canvas.new(2, 3, size=(12, 7.5), sharey=True)
    for line, (sweep, what) in zip(axes, SWEEPS.items(), strict=True):
        found = [result[sweep] for result in results]
        for axis, row, title in (
            (line[0], "le", "linear evaluation"),
            (line[1], "ft", "fine-tuning"),
        ):
            _draw_errors(axis, found, row)
            axis.set_title(title, loc="left", fontsize=11)
            axis.set_xlabel(f"share: {what}")
        _draw_diagnostics(line[2], found)
        line[0].set_ylabel("test error (%)")
    for axis in axes.flat:
        axis.grid(axis="y", alpha=0.3)
    axes[0, 0].legend(frameon=False)
    axes[0, 2].legend(frameon=False)
    return canvas.save(figure, path)


def _draw_errors(axis, results, row):
    shares = [float(share) for share in results[0]]
    axis.set_xticks(shares)
    for name in ("scratch", *OBJECTIVES):
        key = name if name == "scratch" else f"{name}_{row}"
        found = [summarise(v) for v in by_share(results, key).values()]
        label = OBJECTIVES.get(name, "from scratch")
        color = COLORS[name]
        y = [summary["mean"] for summary in found]
        axis.plot(shares, y, "o-", color=color, label=label)
        if found[0]["sd"] is not None:
            low, high = ([s[k] for s in found] for k in ("low", "high"))
            axis.fill_between(shares, low, high, color=color, alpha=0.15)


def _draw_diagnostics(axis, results):
    shades = (canvas.GREY, canvas.PURPLE, canvas.BLUE)
    y = [r["cmc_le"] for result in results for r in result.values()]
    for (key, title), color in zip(DIAGNOSTICS.items(), shades, strict=True):
        x = [r[f"cmc_{key}"] for result in results for r in result.values()]
        axis.plot(x, y, "o", color=color, alpha=0.6, label=title)
    axis.set_xlim(-0.05, 1.05)
    axis.set_title("CMC, linear evaluation", loc="left", fontsize=11)
    axis.set_xlabel("diagnostic of the embeddings")
