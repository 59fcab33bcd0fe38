import types

import keras
import numpy as np
import pytest
from keras import layers

from keras_xkd.utils.perturbing import Perturbing
from tests.test_case import to_numpy

NEAREST = dict(interpolation="nearest", fill_mode="constant")


@pytest.mark.parametrize(
    "perturbation",
    [
        layers.RandomFlip(seed=1),
        layers.RandomRotation(0.3, seed=1, **NEAREST),
        layers.RandomTranslation(0.3, 0.3, seed=1, **NEAREST),
        layers.RandomZoom(0.4, seed=1, **NEAREST),
        keras.Sequential([layers.RandomFlip(seed=1)]),
    ],
    ids=["flip", "rotation", "translation", "zoom", "sequential"],
)
def test_masks_move_as_the_images(perturbation):
    rng = np.random.default_rng(0)
    y = np.zeros((4, 16, 16), "int32")
    for mask in y:
        top, left = rng.integers(1, 6, 2)
        mask[top : top + 6, left : left + 8] = 1
    x = {name: y[..., None].astype("float32") for name in ("depth", "image")}
    inputs = [keras.Input((16, 16, 1), name=name) for name in x]
    student = keras.Model(inputs, layers.Add()(inputs))
    plan = types.SimpleNamespace(kind="sparse", pairs={})
    moved, labels, _ = Perturbing(perturbation, student)(x, y, {}, plan)
    labels = to_numpy(labels)
    assert np.mean(labels != y) > 0.02
    for image in moved.values():
        np.testing.assert_array_equal(to_numpy(image)[..., 0] > 0.5, labels > 0)
