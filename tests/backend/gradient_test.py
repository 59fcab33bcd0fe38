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
