"""The two pictures of the demo."""

import numpy as np

from keras_xkd.demo.experiment import ALL
from keras_xkd.demo.experiment import DISTILLED
from keras_xkd.demo.experiment import FEW
from keras_xkd.demo.experiment import PER_CLASS
from keras_xkd.demo.experiment import TEACHER
from keras_xkd.visualization import canvas
from keras_xkd.visualization import seed_rows

ROWS = {
    TEACHER: ("Teacher: images,\nall labels", canvas.GREY),
    FEW: (f"Audio,\n{PER_CLASS} labels per digit", canvas.ORANGE),
    ALL: ("Audio,\nall labels", canvas.BLUE),
    DISTILLED: ("Audio, no label,\ndistilled from images", canvas.GREEN),
}


def draw_comparison(accuracies, path):
    """Test accuracy of each row: every seed, the mean and its interval."""
    figure, axis = canvas.new(size=(7.5, 3.8))
    titles = {row: title for row, (title, _) in ROWS.items()}
    colors = {row: color for row, (_, color) in ROWS.items()}
    seed_rows.draw(axis, accuracies, titles, colors)
    axis.set_xlim(0, 104)
    axis.axvline(10, color=canvas.GREY, linewidth=1, linestyle=":")
    axis.annotate("chance", (11, -0.3), color=canvas.GREY)
    axis.set_xlabel("test accuracy (%)")
    seeds = len(accuracies[TEACHER])
    shown = f"dots: {seeds} seeds; diamonds: mean with 95 % interval"
    axis.set_title(
        "Recognising spoken digits, taught by pictures\n"
        f"{shown if seeds > 1 else 'one seed'}",
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
