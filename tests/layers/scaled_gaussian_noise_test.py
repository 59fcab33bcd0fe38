import numpy as np
import pytest

from keras_xkd.layers import ScaledGaussianNoise
from tests.test_case import to_numpy


@pytest.mark.parametrize("axis", [None, 0, (0, 2)])
def test_the_noise_is_in_proportion_to_the_mean(axis):
    sizes = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "float32")
    signs = np.where(np.arange(6000) % 2, 1, -1)
    x = sizes * signs[:, None, None].astype("float32")
    layer = ScaledGaussianNoise(0.5, axis=axis, seed=1)
    noise = to_numpy(layer(x, training=True)) - x
    expected = 0.5 * np.abs(x).mean(axis=axis, keepdims=True)
    expected = np.broadcast_to(expected, (1, 2, 3))[0]
    np.testing.assert_allclose(noise.std(0), expected, rtol=0.05)
    np.testing.assert_allclose(noise.mean(0), 0, atol=0.15)


def test_jointly_the_mean_is_that_of_all_modalities():
    x = {
        "audio": np.full((3000, 4), 2.0, "float32"),
        "image": np.full((3000, 1), -7.0, "float32"),
        "present": {"audio": np.ones(3000, "float32")},
    }
    noisy = ScaledGaussianNoise(joint=True, seed=1)(x, training=True)
    for name in ("audio", "image"):
        noise = to_numpy(noisy[name]) - x[name]
        np.testing.assert_allclose(noise.std(), 3.0, rtol=0.05)
    np.testing.assert_array_equal(to_numpy(noisy["present"]["audio"]), 1)
