"""What pictures of matrices share."""

import numpy as np

MOST_NAMES = 40  # More do not fit beside a picture.


def cosine(rows, columns):
    """Similarities of all pairs; that with a vector of zeros is 0."""
    return unit(rows) @ unit(columns).T


def unit(x):
    # Scaled first: squares of tiny or huge numbers would leave float64.
    largest = np.max(np.abs(x), axis=1, keepdims=True)
    x = x / np.where(largest > 0, largest, 1)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(length > 0, length, 1)


def name_axes(ax, places, names):
    """The same names at both axes, aslant where they are long."""
    ax.set_yticks(places, names)
    ax.set_xticks(places, names)
    if max(map(len, names)) * len(names) > 30:
        for label in ax.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")
