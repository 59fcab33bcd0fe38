import numpy as np
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import ops

from keras_xkd.losses import RelationalAngle
from keras_xkd.losses import relational_angle
from tests.losses import reference
from tests.losses.relational_distance_test import rotation
from tests.test_case import gradient
from tests.test_case import to_numpy

RNG = np.random.default_rng(8)


def test_known_value():
    # A right angle at the corner, 45 degrees at the others; on a line the
    # cosines are 1 at the ends and -1 in the middle.
    teacher = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    student = np.array([[0.0], [1.0], [2.0]])
    half = np.sqrt(0.5)
    expected = [
        2 * 0.5 / 9,
        2 * (1 + half - 0.5) / 9,
        2 * 0.5 * (1 - half) ** 2 / 9,
    ]
    values = to_numpy(relational_angle(teacher, student))
    np.testing.assert_allclose(values, expected, rtol=1e-4)
    loss = float(RelationalAngle()(teacher, student))
    np.testing.assert_allclose(loss, np.mean(expected), rtol=1e-4)


def test_different_widths():
    t, s = RNG.normal(size=(4, 6)), RNG.normal(size=(4, 2))
    np.testing.assert_allclose(
        to_numpy(relational_angle(t, s)),
        reference.relational_angle(t, s),
        rtol=1e-4,
    )


def test_equal_rows_have_a_finite_gradient():
    t, s = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3))
    s[1] = s[0]
    grads = gradient(lambda t, s: ops.sum(relational_angle(t, s)), t, s)
    assert np.all(np.isfinite(grads))
    assert np.all(np.abs(grads[1][2:]).max(axis=1) > 1e-3)


@given(st.integers(2, 5), st.integers(1, 4), st.floats(0.01, 100))
@settings(max_examples=8, deadline=None)
def test_blind_to_scale_rotation_and_translation(batch, width, scale):
    t, s = RNG.normal(size=(2, batch, width))
    values = to_numpy(relational_angle(t, s))
    assert values.shape == (batch,)
    assert np.all(values >= 0)
    moved = scale * (s @ rotation(width, RNG) + 3.0)
    np.testing.assert_allclose(
        values, to_numpy(relational_angle(t, moved)), rtol=1e-2, atol=1e-4
    )
