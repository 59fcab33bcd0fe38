"""What the user adds to a report: scores, results and figures."""

import warnings

import numpy as np

from keras_xkd.benchmark.statistics import summarise
from keras_xkd.utils import html
from keras_xkd.visualization.plot_comparison import plot_comparison
from keras_xkd.visualization.seed_rows import digits_of


def comparison(facts):
    """Scores as a picture and as a table."""
    options = facts.options
    scores = _value(options.comparison, facts)
    if not scores:
        return
    try:
        figure = plot_comparison(scores, options.metric, options.chance)
    except (TypeError, ValueError) as error:
        yield html.note(f"There is no comparison: {error}")
        return
    yield html.picture(figure)
    scores = {r: np.atleast_1d(np.asarray(v, float)) for r, v in scores.items()}
    digits = digits_of(np.concatenate(list(scores.values())))
    lines = []
    for row, values in scores.items():
        found = summarise(values)
        mean, sd, low, high = [
            "-" if found[key] is None else f"{found[key]:.{digits}f}"
            for key in ("mean", "sd", "low", "high")
        ]
        between = "-" if found["low"] is None else f"{low} to {high}"
        lines.append([row, mean, sd, between, found["n"]])
    header = ["", options.metric, "SD", "95 % interval", "seeds"]
    yield html.table(header, lines, range(1, 5))
    yield html.note(
        "The interval is that of the mean over seeds; it does not say what "
        "other test samples would change."
    )


def diagnostics(facts):
    """Results as they print themselves, and their pictures."""
    for title, result in facts.options.diagnostics.items():
        result = _value(result, facts)
        if result is None:
            continue
        yield f"<h3>{html.escape(title)}</h3>"
        yield html.text(result)
        if hasattr(result, "plot"):
            yield html.picture(_figure(result.plot()))


def figures(facts):
    """Figures of the user's."""
    for title, figure in facts.options.figures.items():
        figure = _value(figure, facts)
        if figure is not None:
            yield html.picture(_figure(figure), title)


def _figure(drawn):
    """The figure, where axes or an array of them were returned."""
    if hasattr(drawn, "savefig"):
        return drawn
    axes = np.ravel(np.asarray(drawn, dtype=object))
    return axes[0].figure if len(axes) else drawn


def _value(given, facts):
    """What was given, or what a function makes of the model in the end."""
    is_function = callable(given) and not hasattr(given, "savefig")
    if not is_function:
        return given
    if not facts.finished:
        return None  # There is more to come.
    try:
        return given(facts.model)
    except Exception as error:
        if facts.state == "not trained":
            raise
        warnings.warn(
            f"The report lacks what {given} should return: "
            f"{type(error).__name__}: {error}",
            stacklevel=2,
        )
        return None
