import keras
import numpy as np
import pytest

from keras_xkd.layers import GradientReversal
from tests.test_case import gradient
from tests.test_case import to_numpy


@pytest.mark.parametrize("scale", [0.0, 1.0, 2.5])
def test_values_stay_and_gradients_turn(scale):
    layer = GradientReversal(scale)
    x = np.array([[1.0, -2.0], [0.5, 3.0]], "float32")
    np.testing.assert_allclose(to_numpy(layer(x)), x, rtol=1e-6)
    found = gradient(lambda x: keras.ops.sum(layer(x) ** 2), x)[0]
    np.testing.assert_allclose(found, -scale * 2 * x, rtol=1e-5)


def test_config():
    layer = GradientReversal(0.3)
    clone = GradientReversal.from_config(layer.get_config())
    assert clone.scale == 0.3
    with pytest.raises(ValueError, match="must not be negative"):
        GradientReversal(-1.0)
