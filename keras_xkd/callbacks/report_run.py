"""How a training went and where: state, times, versions, seed and command."""

import platform
import shlex
import sys

import keras
import numpy as np

from keras_xkd.backend import random_seed
from keras_xkd.callbacks import report_curves
from keras_xkd.utils import html


def state(facts):
    """One line: running, finished, stopped; how many epochs; how long."""
    epochs = list(getattr(facts.history, "epoch", ()))
    count = len(epochs) or report_curves.length(facts.history)
    # Keras counts from the first epoch of all, also after `initial_epoch`.
    planned = facts.planned and facts.planned - (epochs[0] if epochs else 0)
    options = facts.options
    text = facts.state.capitalize()
    if facts.started:
        many = f"{count} of {planned}" if planned else str(count)
        text = f"{facts.state} after {many} epochs"
        text = f"{text[0].upper()}{text[1:]} in {duration(facts.seconds)}"
    elif report_curves.length(facts.history):
        text = f"{report_curves.length(facts.history)} epochs"
    stopped = facts.state.startswith("stopped")
    kind = "state bad" if stopped else "state"
    lines = [f'<p class="{kind}">{html.escape(text)}.</p>']
    if stopped and options.error:
        lines.append(f"<p class=said>{html.escape(options.error)}</p>")
    when = facts.started.strftime("%Y-%m-%d %H:%M %Z") if facts.started else ""
    backend = f"Keras {keras.__version__} on {keras.backend.backend()}"
    method = type(facts.model).__name__
    lines.append(html.note(" · ".join(filter(None, [method, backend, when]))))
    return "\n".join(lines)


def environment(facts):
    """Versions, seed, precision and command."""
    backend = keras.backend.backend()
    versions = {
        name: getattr(sys.modules.get(name), "__version__", None)
        for name in ("keras_xkd", "keras", backend)
    }
    seed = facts.options.seed
    seed = random_seed() if seed is None else seed
    policy = getattr(facts.model, "dtype_policy", None)
    found = {
        "Backend": backend,
        **versions,
        "Python": platform.python_version(),
        "numpy": np.__version__,
        "System": f"{platform.system()} {platform.machine()}",
        "Precision": getattr(policy, "name", None),
        "Random seed": "not set" if seed is None else seed,
        "Began": facts.started and facts.started.isoformat(" ", "seconds"),
        "Took": facts.seconds and duration(facts.seconds),
    }
    command = html.escape(shlex.join(sys.argv))
    return (
        f"{html.facts(found)}\n<dl class=wide><div><dt>Command</dt>"
        f"<dd><code>{command}</code></dd></div></dl>"
    )


def duration(seconds):
    """Seconds for people.

    Example:

    >>> duration(3.21), duration(75), duration(7385)
    ('3.2 s', '1 min 15 s', '2 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
