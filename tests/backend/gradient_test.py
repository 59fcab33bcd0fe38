import keras
import numpy as np
from keras import ops

from keras_xkd.backend import gradient_of
from tests.test_case import to_numpy

X = np.array([[1.0, -2.0], [3.0, 0.5]], "float32")


def test_gradient():
    x = ops.convert_to_tensor(X)
    found = gradient_of(lambda x: ops.sum(x**3), x)
    np.testing.assert_allclose(to_numpy(found), 3 * X**2, rtol=1e-6)
    np.testing.assert_array_equal(to_numpy(x), X)


def test_independent_of_the_input():
    x = ops.convert_to_tensor(X)
    variable = keras.Variable(2.0)
    for value in (ops.sum(ops.ones((2,))), variable * variable):
        found = gradient_of(lambda x, value=value: value * 1.0, x)
        np.testing.assert_array_equal(to_numpy(found), np.zeros_like(X))


def test_through_a_recurrent_layer():
    keras.utils.set_random_seed(0)
    layer = keras.layers.GRU(3)
    x = np.random.default_rng(0).normal(size=(1, 4, 2)).astype("float32")
    layer(x)

    def total(x):
        return ops.sum(layer(x, training=False))

    found = to_numpy(gradient_of(total, ops.convert_to_tensor(x)))
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = 1e-2
        above, below = (to_numpy(total(x + s)) for s in (step, -step))
        np.testing.assert_allclose(
            found[place], (above - below) / 2e-2, rtol=2e-2, atol=1e-3
        )
