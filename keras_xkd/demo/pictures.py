"""The two pictures of the demo."""

import numpy as np

from keras_xkd.benchmark.statistics import summarise
from keras_xkd.demo.experiment import ALL
from keras_xkd.demo.experiment import DISTILLED
from keras_xkd.demo.experiment import FEW
from keras_xkd.demo.experiment import PER_CLASS
from keras_xkd.demo.experiment import TEACHER
from keras_xkd.visualization import canvas

ROWS = {
    TEACHER: ("Teacher: images,\nall labels", canvas.GREY),
    FEW: (f"Audio,\n{PER_CLASS} labels per digit", canvas.ORANGE),
    ALL: ("Audio,\nall labels", canvas.BLUE),
    DISTILLED: ("Audio, no label,\ndistilled from images", canvas.GREEN),
}


def draw_comparison(accuracies, path):
    """Test accuracy of each row: every seed, the mean and its interval."""
    figure, axis = canvas.new(size=(7.5, 3.8))
    for place, (row, (_, color)) in enumerate(ROWS.items()):
        values = accuracies[row]
        summary = summarise(values)
        mean = summary["mean"]
        axis.plot(
            values,
            np.full(len(values), place + 0.22),
            "o",
            color=color,
            alpha=0.5,
            markersize=5,
            markeredgewidth=0,
        )
        if summary["sd"] is not None:
            ends = np.abs(np.subtract([summary["low"], summary["high"]], mean))
            axis.errorbar(
                mean, place, xerr=ends[:, None], color=color, capsize=4
            )
        axis.plot(mean, place, "D", color=color, markersize=7)
        axis.annotate(
            f"{mean:.1f} %",
            (mean, place - 0.16),
            ha="center",
            va="bottom",
            color=color,
            fontweight="bold",
        )
    axis.set_yticks(range(len(ROWS)), [label for label, _ in ROWS.values()])
    axis.invert_yaxis()
    axis.set_ylim(len(ROWS) - 0.5, -0.6)
    axis.set_xlim(0, 104)
    axis.axvline(10, color=canvas.GREY, linewidth=1, linestyle=":")
    axis.annotate("chance", (11, -0.3), color=canvas.GREY)
    axis.grid(axis="x", alpha=0.3)
    axis.set_xlabel("test accuracy (%)")
    seeds = len(accuracies[TEACHER])
    axis.set_title(
        "Recognising spoken digits, taught by pictures\n"
        f"dots: {seeds} seed{'s' * (seeds != 1)}; "
        "diamonds: mean with 95 % interval",
        fontsize=10,
        loc="left",
    )
    return canvas.save(figure, path)


def draw_curves(histories, path):
    """The loss of each row over the epochs, in training and validation."""
    figure, axes = canvas.new(1, 4, size=(11, 3.3), sharex=True)
    for axis, (row, (label, color)) in zip(axes, ROWS.items(), strict=True):
        loss = "distillation_loss" if row == DISTILLED else "loss"
        for name, style in [(loss, "-"), (f"val_{loss}", "--")]:
            runs = np.array([history[name] for history in histories[row]])
            epochs = np.arange(1, runs.shape[1] + 1)
            axis.plot(epochs, runs.T, style, color=color, alpha=0.3, lw=0.7)
            axis.plot(
                epochs,
                runs.mean(0),
                style,
                color=color,
                label="validation" if name.startswith("val") else "training",
            )
        axis.set_title(label, fontsize=10)
        axis.set_ylim(bottom=0)
        axis.grid(axis="y", alpha=0.3)
        axis.set_xlabel("epoch")
        axis.set_ylabel(
            "T² KL from the teacher, T = 4"
            if row == DISTILLED
            else "cross-entropy"
        )
        axis.legend(frameon=False, fontsize=8)
    figure.suptitle(
        "Losses, mean over seeds (faint: each seed; training with dropout)",
        fontsize=10,
    )
    return canvas.save(figure, path)
