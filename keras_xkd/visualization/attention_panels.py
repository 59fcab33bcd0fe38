"""An item, and maps laid over it, as pictures."""

import numpy as np

from keras_xkd.visualization import items

KINDS = ("image", "spectrogram", "video")
FRAMES = 8  # The most that a strip shows.
COLORS = "inferno"  # Brighter is more, for all readers.
DARKEST = 0.35  # Where its scale begins: what is black would hide the item.
DIMMED = 0.7


def kind_of(item, kind):
    """What an item is, if it was not said."""
    shape = item.shape
    if kind not in (None, *KINDS):
        raise ValueError(
            f"`kind` must be one of {KINDS} or None. Received: kind={kind!r}"
        )
    channels = len(shape) > 2 and shape[-1] in items.CHANNELS
    if kind is None and len(shape) == 2:
        kind = "image" if shape[0] == shape[1] else "spectrogram"
    elif kind is None:
        kind = "image" if channels and len(shape) == 3 else "video"
    axes = 3 if kind == "video" else 2
    allowed = (1,) if kind == "spectrogram" else items.CHANNELS
    grey = len(shape) == axes
    colored = len(shape) == axes + 1 and shape[-1] in allowed
    if not item.size or not (grey or colored):
        raise ValueError(
            "`item` must be one image `(H, W)` or `(H, W, C)`, spectrogram "
            "`(T, F)` or video `(F, H, W)` or `(F, H, W, C)` with 1, 3 or 4 "
            f"channels. Received: shape {shape}, kind={kind!r}"
        )
    return kind


def positions_of(item, kind):
    """The shape of its maps."""
    return item.shape[: 3 if kind == "video" else 2]


def turned(values, kind):
    """Maps or pictures as `imshow` shows them; a list of frames of videos."""
    if kind == "spectrogram":
        return [np.swapaxes(values, 0, 1)[::-1]]
    if kind == "image":
        return [values]
    return [values[frame] for frame in frames_of(values)]


def frames_of(video):
    """The numbers of the frames that are shown."""
    count = min(len(video), FRAMES)
    return np.linspace(0, len(video) - 1, count).round().astype(int)


def colored(item, kind):
    """The item in its own colours, from 0 to 1, `(..., 3)`."""
    if item.ndim == len(positions_of(item, kind)):
        item = item[..., None]
    colors = item.shape[-1] > 1
    item = items.unit(item) if colors else items.stretched(item)
    item = item[..., :3]  # What is transparent is shown as if it were not.
    return np.broadcast_to(item, (*item.shape[:-1], 3))


def overlay(item, values):
    """A dim grey item with the colours of a map, the more the higher it is."""
    import matplotlib

    # The weights of red, green and blue in the brightness that we see. White
    # is dimmed, so that nothing is brighter than the map.
    grey = DIMMED * (item @ [0.299, 0.587, 0.114])[..., None]
    values = np.clip(values, 0, 1)
    scale = DARKEST + (1 - DARKEST) * values
    colors = matplotlib.colormaps[COLORS](scale)[..., :3]
    share = 0.9 * values[..., None] ** 0.7
    return (1 - share) * grey + share * colors
