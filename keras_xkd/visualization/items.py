"""Images and spectrograms, as they are shown."""

import numpy as np

from keras_xkd.visualization import checks

CHANNELS = (1, 3, 4)


def pictures(name, items):
    """What `imshow` shows of each item.

    Args:
        name: What the argument is called.
        items: Images `(N, height, width, channels)`, or spectrograms `(N,
            frames, bands)`; without channels, squares are images.

    Returns:
        A list of arrays and a dict of keywords of `imshow`: all share a range.
    """
    items = checks.numbers(name, items)
    if items.ndim == 4 and items.shape[-1] in CHANNELS and items.size:
        if items.shape[-1] == 1:
            return list(items[..., 0]), _range(items, "gray")
        return list(unit(items)), {}
    if items.ndim != 3 or not items.size:
        raise ValueError(
            f"`{name}` must be images of shape `(N, height, width, channels)` "
            "with 1, 3 or 4 channels, or spectrograms of shape `(N, frames, "
            "bands)`. Of a video, pass a frame. "
            f"Received: shape {items.shape}"
        )
    if items.shape[1] == items.shape[2]:
        return list(items), _range(items, "gray")
    # Time runs to the right, and low frequencies are at the bottom.
    return list(items.transpose(0, 2, 1)[:, ::-1]), _range(items, "magma")


def _range(items, cmap):
    return {"cmap": cmap, "vmin": items.min(), "vmax": items.max()}


def unit(colors):
    """Colours from 0 to 1: as they are, from 0 to 255, or stretched."""
    low, high = colors.min(), colors.max()
    if low >= 0 and high <= 1:
        return colors
    if low >= 0 and high <= 255:
        return colors / 255
    return stretched(colors)


def stretched(values):
    """Values from 0, the least, to 1."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low if high > low else 1)


def box(picture, left, top):
    """Where a picture lies in a cell of width and height 1, undistorted."""
    height, width = np.array(picture.shape[:2]) / max(picture.shape[:2])
    left, top = left + (1 - width) / 2, top + (1 - height) / 2
    return left, left + width, top + height, top
