"""Maps over the positions of an item, from 0 to 1."""

import math

import numpy as np


def normalize(maps):
    """Each map from 0, where it is least, to 1. One value alone becomes 0."""
    maps = np.asarray(maps, "float64")
    if not np.all(np.isfinite(maps)):
        raise ValueError(
            "The gradient of the network must be finite. Received: NaN or "
            "inf. Look for them in `x` and in the weights."
        )
    axes = tuple(range(1, maps.ndim))
    low = maps.min(axis=axes, keepdims=True)
    span = maps.max(axis=axes, keepdims=True) - low
    span = np.where(span > 0, span, 1.0)
    return ((maps - low) / span).astype("float32")


def resize(maps, shape):
    """Linear interpolation along each axis, from corner to corner.

    Args:
        maps: An array of shape `(batch, ...)`.
        shape: As many new sizes, without the batch.
    """
    for axis, size in enumerate(shape, 1):
        last = maps.shape[axis] - 1
        at = np.linspace(0, last, size)
        low = at.astype(int)
        high = np.minimum(low + 1, last)
        share = (at - low).reshape(-1, *[1] * (maps.ndim - axis - 1))
        below, above = maps.take(low, axis), maps.take(high, axis)
        maps = below * (1 - share) + above * share
    return maps


def fits(positions, subject, grid=None):
    """Whether positions of that shape lie on the items of a `Subject`."""
    item = len(subject.item_shape)
    if grid is not None:
        tokens = len(positions) == 1 and positions[0] >= math.prod(grid)
        return tokens and item == 2
    if math.prod(positions) == 1:
        return False  # Pooled.
    if len(positions) == 1 and item == 2:
        return not subject.channels  # Frames; else tokens, in unknown order.
    return len(positions) <= item or (len(positions), item) == (2, 1)


def cover(maps, shape, grid=None):
    """Maps over the positions of a layer, spread over those of an item.

    Positions with one axis are frames, of which the whole frame gets the
    value; with two, in a video, pixels of all frames. Of a waveform, whose
    layers have bands beside frames, the bands are averaged.

    Args:
        maps: An array `(batch, *positions)`, for which `fits` says yes.
        shape: `(H, W)`, `(T, F)`, `(F, H, W)` or `(T,)`.
        grid: `(h, w)`, how the last tokens of an image lie.
    """
    maps = np.asarray(maps, "float64")
    if grid is not None:
        tokens = maps[:, maps.shape[1] - math.prod(grid) :]
        maps = tokens.reshape(len(maps), *grid)
    if maps.ndim - 1 > len(shape):
        maps = maps.mean(axis=-1)
    if (maps.ndim - 1, len(shape)) == (2, 3):
        maps = maps[:, None]
    maps = maps.reshape(*maps.shape, *[1] * (len(shape) + 1 - maps.ndim))
    return resize(maps, shape)
