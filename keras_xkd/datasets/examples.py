"""From what a builder says about a sample to the example that is written."""

import io

import numpy as np
import tensorflow_datasets as tfds

from keras_xkd.datasets.file_error import GO_ON
from keras_xkd.datasets.file_error import DataFileError


def read_example(example, features, on_error):
    """The example to write, or None to skip it, and the problems it has.

    Calls the values that are functions, fills in what is absent, and says so
    in the entry `present`.
    """
    optional = features["present"] if "present" in features else {}
    values, errors = {}, {}
    for name, value in example.items():
        try:
            values[name] = value() if callable(value) else value
        except DataFileError as error:
            if on_error == "raise":
                reason = f"{error.reason.rstrip('.')}. {GO_ON}"
                raise DataFileError(error.path, reason) from error
            values[name], errors[name] = None, error
    present = {name: values.get(name) is not None for name in optional}
    lacking = [n for n in features if values.get(n) is None]
    lacking = [n for n in lacking if n not in optional and n != "present"]
    if set(lacking) - set(errors):
        raise ValueError(
            f"An example has no {lacking}, and the features do not say that "
            f"this may be absent. Received: {sorted(example)}"
        )
    useless = optional and not any(present.values())
    skip = bool(errors and (on_error == "skip" or lacking or useless))
    problems = [
        {
            "modality": name,
            "file": error.path,
            "reason": error.reason,
            "skipped": skip,
        }
        for name, error in errors.items()
    ]
    if skip:
        return None, problems
    written = {
        name: empty_value(feature)
        if values.get(name) is None
        else stored_value(feature, values[name])
        for name, feature in features.items()
        if name != "present"
    }
    return written | ({"present": present} if optional else {}), problems


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
    Image.fromarray(pixels).save(file, format="png", compress_level=1)
    return file.getvalue()
