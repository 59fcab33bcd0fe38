"""What was logged: a table of numbers, and a small picture of every log."""

import types

import numpy as np

from keras_xkd.utils import html
from keras_xkd.visualization import canvas
from keras_xkd.visualization.plot_terms import plot_terms

SIZE = (3.5, 2.3)  # Inches: read without zooming on a narrow screen.


def runs_of(history):
    """The logs of every run: dicts of lists."""
    runs = history if isinstance(history, (list, tuple)) else [history]
    return [
        {
            name: [float(np.mean(value)) for value in values]
            for name, values in getattr(run, "history", run).items()
        }
        for run in runs
    ]


def length(history):
    """The number of epochs."""
    return max(
        (len(log) for run in runs_of(history) for log in run.values()),
        default=0,
    )


def numbers(history):
    """The first and the last value of every log."""
    runs = [run for run in runs_of(history) if run]
    if not runs:
        return
    names = _names(runs)
    validated = any(n.startswith("val_") for run in runs for n in run)
    header = ["", "first epoch", "last epoch"]
    if validated:
        header += ["validation, first", "validation, last"]
    lines = []
    for name in names:
        line = [name]
        for key in (name, f"val_{name}")[: 1 + validated]:
            found = [run[key] for run in runs if run.get(key)]
            line += [_mean(f[0] for f in found), _mean(f[-1] for f in found)]
        lines.append(line)
    yield html.table(header, lines, range(1, len(header)))
    if len(runs) > 1:
        yield html.note(f"Means of {len(runs)} runs.")


def curves(history):
    """A picture for each log, by itself: their scales differ."""
    runs = runs_of(history)
    if not any(runs):
        return
    counts = [max(map(len, run.values()), default=0) for run in runs]
    epochs = _epochs(history, min(counts))
    if len(set(counts)) > 1:
        runs = [{n: v[: min(counts)] for n, v in r.items()} for r in runs]
    pictures = [_picture(runs, epochs, name) for name in _names(runs[:1])]
    yield f'<div class="grid">{"".join(pictures)}</div>'
    text = "Terms are drawn as they are logged, without their weights."
    if any(name.startswith("val_") for name in runs[0]):
        text = f"Solid: training, dashed: validation. {text}"
    if len(runs) > 1:
        text += f" Mean and standard deviation of {len(runs)} runs."
    if len(set(counts)) > 1:
        text += f" Drawn as far as all runs go, of {min(counts)} epochs."
    yield html.note(text)


def _picture(runs, epochs, name):
    keys = [key for key in (name, f"val_{name}") if key in runs[0]]
    logs = [{key: run[key] for key in keys if key in run} for run in runs]
    logs, drawn, said = _finite_part(logs, epochs)
    title = name.replace("_", " ")
    try:
        if not drawn or not all(logs):
            raise ValueError(said)
        figure, ax = canvas.new(size=SIZE)
        shown = [types.SimpleNamespace(history=g, epoch=drawn) for g in logs]
        plot_terms(shown, [name], ax=ax)
    except ValueError as error:
        return f"<figure>{html.caption(title)}{html.note(error)}</figure>"
    if ax.get_legend() is not None:
        ax.get_legend().remove()
    ax.set_ylabel("")
    return html.picture(figure, title, said)


def _finite_part(logs, epochs):
    """What can be drawn of a training that diverged, and what is said of it.

    Where there is a value for every k-th epoch only, all of them must be
    finite.
    """
    series = [values for log in logs for values in log.values()]
    if all(_finite(values) == len(values) for values in series):
        return logs, epochs, ""
    every = [values for values in series if len(values) == len(epochs)]
    last = min(map(_finite, every), default=0)
    logs = [
        {n: v[:last] for n, v in log.items() if len(v) == len(epochs)}
        for log in logs
    ]
    if last == len(epochs) or not every:
        return logs, epochs, "The validation is not finite."
    return logs, epochs[:last], f"Not finite from epoch {epochs[last] + 1} on."


def _names(runs):
    """The names of the logs: the total, its terms, and then the others."""
    names = dict.fromkeys(n.removeprefix("val_") for run in runs for n in run)
    return sorted(names, key=lambda n: (n != "loss", not n.endswith("_loss")))


def _epochs(history, count):
    """The numbers of the epochs, counted from 0."""
    run = history[0] if isinstance(history, (list, tuple)) else history
    epochs = list(getattr(run, "epoch", ()))
    return epochs[:count] if len(epochs) >= count else list(range(count))


def _finite(values):
    """How many values there are before the first that is not finite."""
    good = np.isfinite(values)
    return len(good) if good.all() else int(np.argmin(good))


def _mean(values):
    values = [float(np.mean(v)) for v in values]
    return f"{sum(values) / len(values):.4g}" if values else "-"
