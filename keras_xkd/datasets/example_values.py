"""Values of an example in the form in which they are written."""

import io

import numpy as np
import tensorflow_datasets as tfds


def empty_value(feature):
    """What stands for a modality that a sample lacks."""
    if isinstance(feature, tfds.features.Sequence):
        return []
    if isinstance(feature, tfds.features.Text):
        return ""
    # An image cannot have width 0.
    unknown = 1 if isinstance(feature, tfds.features.Image) else 0
    shape = [unknown if n is None else n for n in feature.shape]
    return stored_value(feature, np.zeros(shape, feature.np_dtype))


def stored_value(feature, value):
    """Arrays of pixels as PNG; anything else as it is.

    tensorflow-datasets would call TensorFlow to compress them.
    """
    if isinstance(feature, tfds.features.Image):
        return _png(value) if isinstance(value, np.ndarray) else value
    if isinstance(feature, tfds.features.Sequence) and isinstance(
        feature.feature, tfds.features.Image
    ):
        return [stored_value(feature.feature, frame) for frame in value]
    return value


def _png(pixels):
    from PIL import Image

    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            "An image must be an array of type uint8 or uint16. Received: "
            f"type {pixels.dtype}"
        )
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="png")
    return file.getvalue()
