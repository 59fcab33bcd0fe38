"""The comparison of backends as a picture."""

import numpy as np

from keras_xkd.benchmark.backends_results import curve
from keras_xkd.benchmark.table import number
from keras_xkd.visualization import canvas

COLORS = {
    "jax": canvas.BLUE,
    "tensorflow": canvas.ORANGE,
    "torch": canvas.GREEN,
}
MARKS = {"jax": "o", "tensorflow": "s", "torch": "^"}


def draw(cases):
    """A figure with a row for each case: times, losses, their differences."""
    picture, axes = canvas.new(
        len(cases), 3, size=(11, 0.6 + 2.2 * len(cases)), squeeze=False
    )
    for case, (times, losses, differences) in zip(cases, axes, strict=True):
        title = f"{case['method']}, {case['size']}: ms a step"
        _draw_times(times, case["backends"], title)
        _draw_losses(losses, case["backends"], case["plan"])
        _draw_differences(differences, case["backends"], case["plan"])
    for axis in axes[-1, 1:]:
        axis.set_xlabel("step")
    return picture


def _draw_times(axis, backends, title):
    rng = np.random.default_rng(0)
    for place, (name, own) in enumerate(backends.items()):
        times = own["milliseconds"]
        axis.plot(
            times,
            place + rng.uniform(-0.2, 0.2, len(times)),
            MARKS[name],
            color=COLORS[name],
            alpha=0.4,
            markersize=4,
            markeredgewidth=0,
        )
        axis.plot(2 * [own["median"]], [place - 0.3, place + 0.3], color="k")
        axis.annotate(
            number(own["median"]),
            (own["median"], place - 0.32),
            ha="center",
            va="bottom",
            fontsize=8,
        )
    axis.set_title(title, loc="left")
    axis.set_yticks(range(len(backends)), backends)
    axis.set_ylim(len(backends) - 0.5, -0.75)
    axis.set_xlim(left=0)
    axis.grid(axis="x", alpha=0.3)


def _draw_losses(axis, backends, plan):
    # Later lines are thinner: equal ones would hide each other.
    for place, (name, own) in enumerate(backends.items()):
        steps, losses = curve(own, plan)
        for seed, line in enumerate(losses):
            axis.plot(
                steps,
                line,
                color=COLORS[name],
                linewidth=6 - 2 * place,
                alpha=0.6,
                label="" if seed else name,
            )
    axis.set_title("loss", loc="left")
    axis.set_xscale("log")
    axis.legend(frameon=False, fontsize=8)
    axis.grid(axis="y", alpha=0.3)


def _draw_differences(axis, backends, plan):
    if len(backends) < 2:
        axis.set_axis_off()
        return
    curves = [curve(own, plan) for own in backends.values()]
    values = np.ptp([losses for _, losses in curves], axis=0).max(axis=0)
    # No difference at all has no place on a logarithmic axis.
    steps, values = curves[0][0][values > 0], values[values > 0]
    axis.plot(steps, values, ".-", color=canvas.GREY)
    axis.set_title("largest difference of losses", loc="left")
    axis.set_xscale("log")
    if len(values):
        axis.set_yscale("log")
        ends = np.log10([values.min(), values.max()])
        axis.set_ylim(10 ** np.floor(ends[0]), 10 ** (np.floor(ends[1]) + 1))
    axis.grid(axis="y", alpha=0.3)
