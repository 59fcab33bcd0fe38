import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import ops

from keras_xkd.losses import InfoNCE
from keras_xkd.losses import info_nce
from tests.test_case import gradient
from tests.test_case import to_numpy

RNG = np.random.default_rng(6)


def test_orthogonal_pairs():
    # Each positive has similarity 1, each of the 3 negatives 0.
    expected = np.log(1 + 3 * np.exp(-1 / 0.5))
    values = to_numpy(info_nce(np.eye(4), 7 * np.eye(4), temperature=0.5))
    np.testing.assert_allclose(values, np.full(4, expected), rtol=1e-5)


def test_no_information_is_log_batch():
    values = to_numpy(info_nce(np.ones((6, 3)), RNG.normal(size=(6, 3))))
    assert values.mean() >= np.log(6) - 1e-4
    values = to_numpy(info_nce(np.ones((6, 3)), np.ones((6, 3))))
    np.testing.assert_allclose(values, np.log(6), rtol=1e-5)


def test_batch_of_one_is_zero():
    t, s = RNG.normal(size=(2, 1, 3))
    np.testing.assert_allclose(to_numpy(info_nce(t, s)), [0.0], atol=1e-6)
    grads = gradient(lambda t, s: ops.sum(info_nce(t, s)), t, s)
    np.testing.assert_allclose(grads, 0, atol=1e-6)


def test_directions():
    t, s = RNG.normal(size=(2, 5, 3))
    one = to_numpy(info_nce(t, s, symmetric=False))
    other = to_numpy(info_nce(s, t, symmetric=False))
    assert np.max(np.abs(one - other)) > 0.01
    both = to_numpy(info_nce(t, s))
    np.testing.assert_allclose(both, (one + other) / 2, rtol=1e-5)


def test_loss_takes_the_mask_as_a_keyword():
    t, s = RNG.normal(size=(2, 4, 3))
    mask = np.array([1, 1, 0, 1])
    values = InfoNCE(reduction="none")(t, s, mask=mask)
    np.testing.assert_allclose(
        to_numpy(values)[mask == 1],
        to_numpy(info_nce(t[mask == 1], s[mask == 1])),
        rtol=1e-4,
    )
    with pytest.raises(ValueError, match="labels"):
        InfoNCE()(t, s, labels=mask)


def test_errors():
    with pytest.raises(ValueError, match="temperature"):
        InfoNCE(temperature=0)
    with pytest.raises(ValueError, match="pool other axes"):
        info_nce(np.ones((2, 3, 4)), np.ones((2, 3, 4)))
    with pytest.raises(ValueError, match=r"direction.*\(4, 1\)"):
        info_nce(np.ones((4, 1)), np.ones((4, 1)))


@given(st.integers(1, 6), st.integers(2, 4), st.floats(0.01, 1e4))
@settings(max_examples=8, deadline=None)
def test_not_negative_and_blind_to_scale(batch, width, scale):
    t, s = RNG.normal(size=(2, batch, width))
    values = to_numpy(info_nce(t, s, 0.5))
    assert values.shape == (batch,)
    assert np.all(values > -1e-5)
    scaled = to_numpy(info_nce(t * scale, s / scale, 0.5))
    np.testing.assert_allclose(values, scaled, rtol=1e-3, atol=1e-5)
