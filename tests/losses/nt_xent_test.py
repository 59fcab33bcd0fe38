import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_xkd.losses import NTXent
from keras_xkd.losses import info_nce
from keras_xkd.losses import nt_xent
from tests.losses import reference
from tests.test_case import to_numpy

RNG = np.random.default_rng(17)


def test_orthogonal_pairs():
    # The partner has similarity 1, each of the 4 others 0.
    expected = np.log(1 + 4 * np.exp(-1 / 0.5))
    values = to_numpy(nt_xent(np.eye(3), 7 * np.eye(3), temperature=0.5))
    np.testing.assert_allclose(values, np.full(3, expected), rtol=1e-5)


def test_more_candidates_than_info_nce():
    one, two = RNG.normal(size=(2, 5, 3))
    np.testing.assert_array_less(
        to_numpy(info_nce(one, two, 0.5)), to_numpy(nt_xent(one, two, 0.5))
    )
    views = np.ones((2, 5, 3))
    np.testing.assert_allclose(to_numpy(nt_xent(*views)), np.log(9), rtol=1e-5)


def test_batch_of_one_is_zero():
    one, two = RNG.normal(size=(2, 1, 3))
    np.testing.assert_allclose(to_numpy(nt_xent(one, two)), [0], atol=1e-6)


def test_errors():
    with pytest.raises(ValueError, match="temperature.*positive. Received: 0"):
        NTXent(temperature=0)
    with pytest.raises(ValueError, match="pool other axes"):
        nt_xent(np.ones((2, 3, 4)), np.ones((2, 3, 4)))


@given(st.lists(st.booleans(), min_size=5, max_size=5))
@settings(max_examples=8, deadline=None)
def test_any_mask(mask):
    mask = np.array(mask)
    one, two = RNG.normal(size=(2, 5, 3))
    values = to_numpy(nt_xent(one, two, 0.5, mask))
    expected = reference.nt_xent(one[mask], two[mask], 0.5)
    np.testing.assert_allclose(values[mask], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(values[~mask], 0)
    # The two views are alike.
    other = to_numpy(nt_xent(two, one, 0.5, mask))
    np.testing.assert_allclose(values, other, rtol=1e-4, atol=1e-5)
