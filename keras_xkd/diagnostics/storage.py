"""What a model takes: numbers in its weights, bytes of them, bytes on disk."""

import math
import os
import re
import tempfile
import zipfile

import h5py
import keras


def parameters(model):
    """How many numbers the weights hold."""
    return sum(math.prod(weight.shape) for weight in model.weights)


def weight_bytes(model):
    """Bytes of the weights, by the types in which they are kept."""
    return sum(
        math.prod(weight.shape) * _bits(weight.dtype) // 8
        for weight in model.weights
    )


def file_bytes(model):
    """Bytes of `model.save("m.keras")` without the state of an optimizer."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        model.save(path)
        with zipfile.ZipFile(path) as archive:
            weights = archive.extract("model.weights.h5", folder)
        alone = os.path.join(folder, "alone.h5")
        with h5py.File(weights) as source, h5py.File(alone, "w") as target:
            for name in set(source) - {"optimizer"}:
                source.copy(name, target)
        sizes = [os.path.getsize(p) for p in (path, weights, alone)]
    return sizes[0] - sizes[1] + sizes[2]


def _bits(dtype):
    """Of one number: 32 of float32, 8 of float8_e4m3fn and of a Boolean."""
    digits = re.search(r"\d+", keras.backend.standardize_dtype(dtype))
    return int(digits.group()) if digits else 8
