"""Pictures without global state: no pyplot, no style changes."""

import pathlib
from typing import TYPE_CHECKING
from typing import Any
from typing import TypeAlias

if TYPE_CHECKING:
    from matplotlib.figure import Figure
else:  # It is imported by what draws, and Keras by nothing here.
    Figure = Any

# Any: the figure of an `ax` may be a part of another.
Axes: TypeAlias = Any

# The palette of Okabe and Ito, which colour-blind readers can tell apart, with
# black in place of its yellow, which is hard to see on white.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, AMBER, BLACK = "#56B4E9", "#E69F00", "#000000"
COLORS = (BLUE, ORANGE, GREEN, PURPLE, SKY, AMBER, BLACK)
GREY = "#6E6E6E"
MARKERS = "o^sDvPX*"


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
    import matplotlib.figure

    figure = matplotlib.figure.Figure(
        figsize=size, dpi=150, layout="constrained"
    )
    axes = figure.subplots(rows, columns, **kwargs)
    for axis in axes.flat if rows * columns > 1 else [axes]:
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_axisbelow(True)
    return figure, axes


def check_axes(ax):
    """Raises if `ax` is something else than one `Axes` of matplotlib, or None.

    Called before any work, as `check_matplotlib` is.
    """
    check_matplotlib()
    import matplotlib.axes

    if not (ax is None or isinstance(ax, matplotlib.axes.Axes)):
        raise ValueError(
            "`ax` must be one `Axes` of matplotlib, such as `ax` of "
            "`figure, ax = plt.subplots()`, or None for a new figure. "
            f"Received: {type(ax).__name__}"
        )


def legend(ax, handles, title=None):
    """A legend beside the axes, or in them if nothing would make room."""
    place = {"loc": "best"}
    if ax.figure.get_layout_engine() is not None:
        place = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5)}
    return ax.legend(
        handles=handles,
        title=title,
        frameon=False,
        fontsize="small",
        title_fontsize="small",
        **place,
    )


def save(figure, path):
    """Writes a figure; makes the folder."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path
