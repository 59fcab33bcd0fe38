import textwrap
from collections.abc import Mapping
from typing import Any
from typing import Literal

import numpy as np

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.visualization import attention_panels as panels
from keras_xkd.visualization import canvas
from keras_xkd.visualization import checks

# All lengths in the axes are in heights of a picture.
GAP = 0.12
TITLE = 0.3  # Room above a picture.
CHARACTERS = 18  # Of a title, in a line as wide as a picture is high.
WIDEST = 2.5  # A longer spectrogram is squeezed.


@keras_xkd_export("keras_xkd.visualization.plot_attention")
def plot_attention(
    item: Any,
    maps: Mapping[str, Any] | Any,
    kind: Literal["image", "spectrogram", "video"] | None = None,
    ax: canvas.Axes | None = None,
) -> canvas.Figure:
    """Draws an item, and each map laid over it, side by side.

    Under a map the item is grey, so that all colour belongs to the map: the
    brighter and the less transparent, the nearer to 1.

    Args:
        item: One image `(H, W)` or `(H, W, C)`, spectrogram `(T, F)` or
            `(T, F, 1)`, or video `(F, H, W)` or `(F, H, W, C)`, with 1, 3 or 4
            channels and any range of values. Spectrograms have time to the
            right and low bands below. Videos are strips of at most 8 frames,
            evenly spread, one strip below the other.
        maps: A dict `{title: map}` of one map or more, of `saliency` or
            `grad_cam`, each of the shape of the item without channels, from 0
            to 1; or one map.
        kind: `"image"`, `"spectrogram"` or `"video"`. By default, what has
            two axes is an image if it is square, else a spectrogram; what has
            three is an image if the last axis could be channels, else a
            video.
        ax: Axes of matplotlib, or None for a new figure.

    Returns:
        The figure, `ax.figure`.

    Raises:
        ValueError: If the item or a map has another shape, or if a map has
            values beyond 0 and 1.
        ImportError: If matplotlib is not installed.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.visualization import plot_attention
    >>> image, attention = np.random.rand(8, 8, 1), np.random.rand(8, 8)
    >>> maps = {"before distillation": attention, "after": attention**2}
    >>> figure = plot_attention(image, maps)
    >>> [text.get_text() for text in figure.axes[0].texts][:3]
    ['image', 'before distillation', 'after']
    """
    canvas.check_axes(ax)
    item = checks.numbers("item", item)
    kind = panels.kind_of(item, kind)
    if not isinstance(maps, Mapping):
        maps = {"attention": maps}
    if not maps:
        raise ValueError("`maps` must hold one map or more. Received: {}")
    for title, values in maps.items():
        _check(title, values, panels.positions_of(item, kind))
    colored = panels.colored(item, kind)
    rows = [(kind, colored)]
    for title, values in maps.items():
        values = checks.numbers("maps", values)
        rows.append((str(title), panels.overlay(colored, values)))
    cells = [(title, panels.turned(shown, kind)) for title, shown in rows]
    return _draw(ax, cells, kind, panels.frames_of(item))


def _check(title, values, positions):
    values = checks.numbers("maps", values)
    if values.shape != positions or values.min() < 0 or values.max() > 1:
        raise ValueError(
            f"Each of the `maps` must have the shape {positions} of the item "
            "without channels, and values from 0 to 1. Received: "
            f"maps[{title!r}] of shape {values.shape}, from "
            f"{values.min():.3g} to {values.max():.3g}"
        )


def _draw(ax, cells, kind, frames):
    """Pictures in a row, or strips of frames one below the other."""
    height, width = cells[0][1][0].shape[:2]
    width = width / height
    if kind == "spectrogram":
        width = min(max(width, 1 / WIDEST), WIDEST)
    strip = len(frames) if kind == "video" else 1
    columns, rows = (strip, len(cells)) if kind == "video" else (len(cells), 1)
    step = width + (0.04 if kind == "video" else GAP)
    lines = [
        textwrap.fill(title, max(int(CHARACTERS * step * strip), 8))
        for title, _ in cells
    ]
    above = TITLE + 0.13 * max(line.count("\n") for line in lines)
    if ax is None:
        inches = 1.3 if kind == "video" else 1.9
        size = (columns * step + 0.8, rows * (1 + above) + 0.25)
        _, ax = canvas.new(size=np.multiply(size, inches))
    for number, (line, (_, pictures)) in enumerate(zip(lines, cells)):
        row, column = (number, 0) if kind == "video" else (0, number)
        left, top = column * step, row * (1 + above)
        middle = left if kind == "video" else left + width / 2
        ax.text(
            middle,
            top - 0.06,
            line,
            ha="left" if kind == "video" else "center",
            va="bottom",
        )
        for picture in pictures:
            ax.imshow(
                picture,
                extent=(left, left + width, top + 1, top),
                interpolation="nearest",
            )
            left += step
    right, bottom = columns * step, rows * (1 + above) - above
    _name_axes(ax, kind, cells, frames, step, width, bottom)
    _draw_scale(ax, right + 0.05, bottom)
    ax.set_xlim(-0.2, right + 0.6)
    ax.set_ylim(bottom + 0.25, -above)
    ax.set_aspect("equal")
    ax.set_axis_off()
    return ax.figure


def _name_axes(ax, kind, cells, frames, step, width, bottom):
    """What runs along the pictures."""
    below = {"ha": "center", "va": "top", "fontsize": "small"}
    if kind == "spectrogram":
        bands, steps = cells[0][1][0].shape[:2]
        for number in range(len(cells)):
            middle = number * step + width / 2
            ax.text(middle, bottom + 0.04, f"time ({steps} frames)", **below)
        ax.text(
            -0.04,
            0.5,
            f"frequency ({bands} bands)",
            rotation="vertical",
            ha="right",
            va="center",
            fontsize="small",
        )
    if kind == "video":
        for column, frame in enumerate(frames):
            middle = column * step + width / 2
            text = f"frame {frame}" if column == 0 else f"{frame}"
            ax.text(middle, bottom + 0.04, text, **below)


def _draw_scale(ax, left, bottom):
    """The colours of the maps from 0 to 1, over a middle grey."""
    values = np.linspace(1, 0, 64)[:, None]
    grey = np.full((64, 1, 3), 0.5)
    ax.imshow(
        panels.overlay(grey, values),
        extent=(left, left + 0.07, bottom, bottom - 1),
        aspect="auto",
    )
    for value in (0, 1):
        ax.text(
            left + 0.1,
            bottom - value,
            f"{value}",
            va="top" if value else "bottom",
            fontsize="small",
        )
    ax.text(
        left + 0.28,
        bottom - 0.5,
        "attention",
        rotation="vertical",
        va="center",
        fontsize="small",
    )
