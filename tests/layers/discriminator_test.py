import keras
import numpy as np
import pytest

from keras_xkd.layers import Discriminator
from tests.test_case import assert_golden
from tests.test_case import gradient
from tests.test_case import to_numpy


def make(**kwargs):
    layer = Discriminator(hidden=(7, 5), **kwargs)
    layer.build((None, 4))
    rng = np.random.default_rng(0)
    for variable in layer.trainable_weights:
        variable.assign(rng.normal(size=variable.shape) * 3)
    return layer


def rows(seed=1):
    return np.random.default_rng(seed).normal(size=(6, 4)).astype("float32")


def test_the_largest_singular_value_becomes_one():
    layer = make()
    for _ in range(100):
        layer(rows(), training=True)
    for i, kernel in enumerate(layer.kernels):
        value = to_numpy(kernel.value)
        np.testing.assert_allclose(
            to_numpy(layer._kernel(i, training=False)),
            value / np.linalg.norm(value, 2),
            rtol=1e-4,
            atol=1e-6,
        )


def test_the_logit_changes_no_faster_than_its_input():
    layer = make()
    for _ in range(100):
        layer(rows(), training=True)
    a, b = rows(2), rows(3)
    change = np.abs(to_numpy(layer(a)) - to_numpy(layer(b)))[:, 0]
    assert np.all(change <= np.linalg.norm(a - b, axis=1) * 1.001)
    free = make(spectral=False)
    change = np.abs(to_numpy(free(a)) - to_numpy(free(b)))[:, 0]
    assert np.any(change > np.linalg.norm(a - b, axis=1))


def test_only_training_advances_the_state():
    layer = make()
    before = [np.array(to_numpy(v.value)) for v in layer.weights]
    one = to_numpy(layer(rows()))
    np.testing.assert_array_equal(one, to_numpy(layer(rows())))
    for old, variable in zip(before, layer.weights, strict=True):
        np.testing.assert_array_equal(old, to_numpy(variable.value))
    layer(rows(), training=True)
    moved = [
        not np.array_equal(old, to_numpy(variable.value))
        for old, variable in zip(before, layer.weights, strict=True)
    ]
    # Weights stay as the optimizer left them; the directions move, but for
    # the last, of which there is only one.
    moved_directions = {"direction_0", "direction_1"}
    names = [v.path.split("/")[-1] for v in layer.weights]
    assert moved == [name in moved_directions for name in names]


def test_values_and_gradient():
    layer = make()
    assert_golden("Discriminator/values", to_numpy(layer(rows()))[:, 0])
    found = gradient(lambda x: keras.ops.sum(layer(x)), rows())[0]
    assert_golden("Discriminator/gradient", found[0])
    step, index = 1e-2, (0, 1)
    ends = []
    for sign in (1, -1):
        x = rows()
        x[index] += sign * step
        ends.append(np.sum(to_numpy(layer(x))))
    np.testing.assert_allclose(
        found[index], (ends[0] - ends[1]) / (2 * step), rtol=0.05, atol=1e-3
    )


def test_noise_only_in_training():
    layer = make(noise=0.5, seed=3)
    calm = to_numpy(layer(rows()))
    np.testing.assert_array_equal(calm, to_numpy(layer(rows())))
    noisy = to_numpy(layer(rows(), training=True))
    assert not np.allclose(calm, noisy)
    assert not np.allclose(noisy, to_numpy(layer(rows(), training=True)))


def test_config_and_float32_under_any_policy():
    keras.config.set_dtype_policy("mixed_float16")
    layer = make(noise=0.1, seed=1)
    clone = Discriminator.from_config(layer.get_config())
    assert clone.get_config() == layer.get_config()
    logits = layer(keras.ops.cast(rows(), "float16"))
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"


@pytest.mark.parametrize("bad", [dict(hidden=(0,)), dict(noise=-1.0)])
def test_bad_arguments(bad):
    with pytest.raises(ValueError, match="must be positive"):
        Discriminator(**bad)
