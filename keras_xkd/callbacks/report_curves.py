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
        {name: list(values) for name, values in _logs(run).items()}
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
    names = _names(runs[:1])
    pictures = [_picture(history, runs, name) for name in names]
    yield f'<div class="grid">{"".join(pictures)}</div>'
    text = "Terms are drawn as they are logged, without their weights."
    if any(name.startswith("val_") for name in runs[0]):
        text = f"Solid: training, dashed: validation. {text}"
    if len(runs) > 1:
        text += f" Mean and standard deviation of {len(runs)} runs."
    yield html.note(text)


def _picture(history, runs, name):
    keys = [key for key in (name, f"val_{name}") if key in runs[0]]
    logs = [{key: run[key] for key in keys if key in run} for run in runs]
    finite = min(_finite(values) for log in logs for values in log.values())
    cut = any(finite < len(v) for log in logs for v in log.values())
    if cut:
        logs = [{k: v[:finite] for k, v in log.items()} for log in logs]
    said = f"Not finite from epoch {finite + 1} on." if cut else ""
    title = name.replace("_", " ")
    try:
        if not finite:
            raise ValueError(said)
        figure, ax = canvas.new(size=SIZE)
        drawn = [_as_history(h, log) for h, log in zip(_all(history), logs)]
        # A validation log alone is drawn as what it is.
        term = name if name in keys else keys[0]
        plot_terms(drawn, [term], ax=ax)
    except ValueError as error:
        return f"<figure>{html.caption(title)}{html.note(error)}</figure>"
    if ax.get_legend() is not None:
        ax.get_legend().remove()
    ax.set_ylabel("")
    return html.picture(figure, title, said)


def _names(runs):
    """The names of the logs: the total, its terms, and then the others."""
    names = dict.fromkeys(n.removeprefix("val_") for run in runs for n in run)
    return sorted(names, key=lambda n: (n != "loss", not n.endswith("_loss")))


def _as_history(history, logs):
    epochs = list(getattr(history, "epoch", ()))
    return types.SimpleNamespace(history=logs, epoch=epochs)


def _all(history):
    return history if isinstance(history, (list, tuple)) else [history]


def _logs(run):
    return getattr(run, "history", run)


def _finite(values):
    """How many values there are before the first that is not finite."""
    good = np.isfinite(np.asarray(values, "float64"))
    return len(good) if good.all() else int(np.argmin(good))


def _mean(values):
    values = [float(np.mean(v)) for v in values]
    return f"{sum(values) / len(values):.4g}" if values else "-"
