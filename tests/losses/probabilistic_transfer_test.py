import numpy as np
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import ops

from keras_xkd.losses import probabilistic_transfer
from tests.losses import reference
from tests.losses.relational_distance_test import rotation
from tests.test_case import gradient
from tests.test_case import to_numpy

RNG = np.random.default_rng(9)


def test_known_value():
    # Similarities (1, 1/2) and (1, 1): KL([2/3, 1/3] || [1/2, 1/2]).
    values = probabilistic_transfer(np.eye(2), np.array([[1.0], [3.0]]))
    expected = 2 / 3 * np.log(4 / 3) + 1 / 3 * np.log(2 / 3)
    np.testing.assert_allclose(to_numpy(values), [expected] * 2, rtol=1e-5)


def test_opposite_rows():
    """Similarity 0, where the formula takes a logarithm of zero."""
    opposite = np.array([[1.0, 0.0], [-1.0, 0.0]])
    values = to_numpy(probabilistic_transfer(opposite, np.eye(2)))
    # KL([1, 0] || [2/3, 1/3])
    np.testing.assert_allclose(values, [np.log(1.5)] * 2, rtol=1e-4)
    values = to_numpy(probabilistic_transfer(np.eye(2), opposite))
    # 1/3 of the weight where the student has 1e-7.
    expected = 2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1e7 / 3)
    np.testing.assert_allclose(values, [expected] * 2, rtol=1e-4)
    grads = gradient(
        lambda t, s: ops.sum(probabilistic_transfer(t, s)), np.eye(2), opposite
    )
    assert np.all(np.isfinite(grads))


def test_different_widths():
    t, s = RNG.normal(size=(4, 6)), RNG.normal(size=(4, 2))
    np.testing.assert_allclose(
        to_numpy(probabilistic_transfer(t, s)),
        reference.probabilistic_transfer(t, s),
        rtol=1e-4,
    )


@given(st.integers(1, 5), st.integers(1, 4), st.floats(0.01, 100))
@settings(max_examples=8, deadline=None)
def test_blind_to_scale_and_rotation(batch, width, scale):
    t, s = RNG.normal(size=(2, batch, width))
    values = to_numpy(probabilistic_transfer(t, s))
    assert values.shape == (batch,)
    assert np.all(values > -1e-6)
    moved = scale * s @ rotation(width, RNG)
    if width > 1:  # In one dimension, similarity 0 is not exact.
        np.testing.assert_allclose(
            values,
            to_numpy(probabilistic_transfer(t, moved)),
            rtol=1e-2,
            atol=1e-4,
        )
