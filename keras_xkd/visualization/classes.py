"""How classes look: a colour each, and what to do with many of them."""

import numpy as np

from keras_xkd.visualization import canvas


def fills(count):
    """Face and edge colours of the markers of `count` classes.

    The seven colours first, filled; then the same with hollow markers; for more
    than 14 classes shades of one sequential map, in the order of the classes.
    """
    from matplotlib import colormaps

    colors, size = canvas.COLORS, len(canvas.COLORS)
    if many(count):
        # Without the brightest end, which is hard to see on white.
        shades = colormaps["viridis"](np.linspace(0, 0.95, count))
        return [(tuple(shade), tuple(shade)) for shade in shades]
    return [
        (colors[i % size] if i < size else "white", colors[i % size])
        for i in range(count)
    ]


def many(count):
    """Whether there are more classes than a legend can tell apart."""
    return count > 2 * len(canvas.COLORS)


def legend(ax, looks):
    """A legend of markers: triples of name, face and edge colour, marker."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            label=name,
            linestyle="",
            marker=marker,
            markersize=6,
            markerfacecolor=face,
            markeredgecolor=edge,
        )
        for name, (face, edge), marker in looks
    ]
    return canvas.legend(ax, handles)


def color_bar(ax, names):
    """The shades of many classes, with some of their names."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap

    shades = ScalarMappable(
        cmap=ListedColormap([edge for _, edge in fills(len(names))])
    )
    shades.set_clim(-0.5, len(names) - 0.5)
    bar = ax.figure.colorbar(shades, ax=ax, label="class")
    ticks = np.unique(np.linspace(0, len(names) - 1, 8).astype(int))
    bar.set_ticks(ticks, labels=[names[i] for i in ticks])
