"""Pictures without global state: no pyplot, no style changes."""

import pathlib

# The palette of Okabe and Ito, which colour-blind readers can tell apart.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
GREY = "#6E6E6E"


def check_matplotlib():
    """Raises before any work if there is no matplotlib."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "The pictures need matplotlib, which is not installed. Install "
            "it, or the extra `viz` of this package: "
            '`pip install "keras-xkd[viz]"`.',
            name="matplotlib",
        ) from error


def new(rows=1, columns=1, size=(7.5, 4), **kwargs):
    """A figure and its axes, with light horizontal or vertical guides.

    Returns:
        `(figure, axes)`; `axes` is an array if there are several.
    """
    check_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=150, layout="constrained")
    axes = figure.subplots(rows, columns, **kwargs)
    for axis in axes.flat if rows * columns > 1 else [axes]:
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_axisbelow(True)
    return figure, axes


def save(figure, path):
    """Writes a figure; makes the folder."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path
