import numpy as np
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import ops

from keras_xkd.losses import RelationalDistance
from keras_xkd.losses import relational_distance
from tests.losses import reference
from tests.test_case import gradient
from tests.test_case import to_numpy

RNG = np.random.default_rng(7)


def rotation(width, rng):
    return np.linalg.qr(rng.normal(size=(width, width)))[0]


def test_known_value():
    # Distances (1, 2, 1) over 4/3 and (2, 2, 0) over 2: the mean leaves the
    # distance 0 of the equal rows out. Differences .25, -.5, -.75.
    teacher = np.array([[0.0], [1.0], [2.0]])
    student = np.array([[0.0], [2.0], [2.0]])
    values = to_numpy(relational_distance(teacher, student))
    pairs = np.array([0.25, 0.5, 0.75]) ** 2 / 2
    expected = [
        (pairs[0] + pairs[1]) / 3,
        (pairs[0] + pairs[2]) / 3,
        (pairs[1] + pairs[2]) / 3,
    ]
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    loss = float(RelationalDistance()(teacher, student))
    np.testing.assert_allclose(loss, 2 * pairs.sum() / 9, rtol=1e-5)


def test_different_widths():
    t, s = RNG.normal(size=(4, 6)), RNG.normal(size=(4, 2))
    np.testing.assert_allclose(
        to_numpy(relational_distance(t, s)),
        reference.relational_distance(t, s),
        rtol=1e-4,
    )


def test_equal_rows_have_a_finite_gradient():
    t, s = RNG.normal(size=(4, 3)), np.ones((4, 3))
    _, by_student = gradient(
        lambda t, s: ops.sum(relational_distance(t, s)), t, s
    )
    assert np.all(by_student == 0)
    # Two equal rows among others: the gradient of the others remains.
    s = RNG.normal(size=(4, 3))
    s[1] = s[0]
    grads = gradient(lambda t, s: ops.sum(relational_distance(t, s)), t, s)
    assert np.all(np.isfinite(grads))
    assert np.all(np.abs(grads[1][2:]).max(axis=1) > 1e-3)


@given(st.integers(2, 5), st.integers(1, 4), st.floats(0.01, 100))
@settings(max_examples=8, deadline=None)
def test_blind_to_scale_rotation_and_translation(batch, width, scale):
    t, s = RNG.normal(size=(2, batch, width))
    values = to_numpy(relational_distance(t, s))
    assert values.shape == (batch,)
    assert np.all(values >= 0)
    moved = scale * (s @ rotation(width, RNG) + 3.0)
    np.testing.assert_allclose(
        values, to_numpy(relational_distance(t, moved)), rtol=1e-2, atol=1e-4
    )
