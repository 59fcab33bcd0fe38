"""Images, and the frames of videos, to what an encoder reads."""

import numpy as np
from keras import ops

from keras_xkd.models.clip_parts import import_keras_hub
from keras_xkd.models.preprocess_fit import check_mask


def preprocess_images(raw, tool, encoder, shape, there=None):
    """Images `(batch, height, width, channels)`, or videos, and a mask.

    The mask of videos, `(batch, frames)`, is the one that they came with, or
    leaves out black frames at the end;
    images have none.

    Args:
        raw: Pixels from 0 to 255, shape `(batch, height, width, channels)`, or
            `(batch, frames, height, width, channels)` for videos; or a list of
            images of different sizes. One channel is repeated where the
            encoder reads three.
        tool: An image converter of keras-hub, or None: images are resized to
            what the encoder reads and divided by 255.
        encoder: An `Encoder`, for its name.
        shape: What it reads, `(None, ..., height, width, channels)`.
        there: The mask that videos came with, `(batch, frames)`, or None.
    """
    height, width, channels = shape[-3:]
    if tool is None:
        size = None if None in (height, width) else (height, width)
        tool = import_keras_hub().layers.ImageConverter(
            image_size=size, scale=1 / 255, dtype="float32"
        )
    if isinstance(raw, (list, tuple)) or raw.dtype.kind == "O":
        raw = [np.asarray(image) for image in raw]
        if len({image.shape for image in raw}) > 1:
            images = [
                preprocess_images(image[None], tool, encoder, shape)[0]
                for image in raw
            ]
            return np.concatenate(images), None
        raw = np.stack(raw) if raw else np.zeros((0,))
    rank = len(shape)
    if raw.ndim != rank or raw.dtype.kind not in "uif":
        start = "(batch, frames, " if rank == 5 else "(batch, "
        raise ValueError(
            f"'{encoder.name}' needs pixels from 0 to 255 of shape `{start}"
            "height, width, channels)`. Received: an array of shape "
            f"{raw.shape} and type {raw.dtype}"
        )
    if raw.shape[-1] == 1 and channels == 3:
        raw = np.repeat(raw, 3, axis=-1)
    flat = raw.reshape((-1, *raw.shape[-3:]))
    # With whole numbers the result would depend on how the backend rounds.
    images = ops.convert_to_numpy(tool(flat.astype("float32")))
    images = images.reshape((*raw.shape[:-3], *images.shape[1:]))
    if rank == 4:
        return images, None
    if there is not None:
        check_mask(there, raw)
        return images, there
    lit = (raw != 0).reshape((*raw.shape[:2], -1)).any(axis=-1)
    later = np.maximum.accumulate(lit[:, ::-1], axis=1)[:, ::-1]
    return images, later | ~lit.any(axis=1, keepdims=True)
