import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import ops

from keras_xkd.losses import CrossModalContrast
from keras_xkd.losses import SimilarityDistribution
from keras_xkd.losses import info_nce
from keras_xkd.losses import similarity_distribution
from tests.losses import reference
from tests.test_case import gradient
from tests.test_case import to_numpy

RNG = np.random.default_rng(16)
T, S = RNG.normal(size=(2, 6, 4)).astype("float32")


def test_a_cold_teacher_is_the_half_of_cmc_in_which_targets_query():
    half = to_numpy(info_nce(T, S, 0.2, symmetric=False))
    gaps = [
        np.abs(to_numpy(similarity_distribution(T, S, tau, 0.2)) - half).max()
        for tau in (0.5, 0.1, 0.03, 0.003)
    ]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 0.1
    assert gaps[-1] < 1e-5
    # And with the other half it is all of CMC.
    other = to_numpy(info_nce(S, T, 0.2, symmetric=False))
    cmc = to_numpy(CrossModalContrast(0.2, reduction="none")(T, S))
    cold = to_numpy(similarity_distribution(T, S, 0.003, 0.2))
    np.testing.assert_allclose((cold + other) / 2, cmc, atol=1e-5)


def test_least_where_the_student_has_the_teachers_similarities():
    # With equal temperatures the loss of s = t is the entropy of p, and any
    # other row has more.
    entropy = to_numpy(similarity_distribution(T, T, 0.3, 0.3))
    other = to_numpy(similarity_distribution(T, S, 0.3, 0.3))
    assert np.all(other > entropy + 1e-3)
    grads = gradient(
        lambda s: ops.sum(similarity_distribution(T, s, 0.3, 0.3)), T
    )
    np.testing.assert_allclose(grads, 0, atol=1e-5)


def test_further_keys_and_empty_places():
    keys = reference.unit(RNG.normal(size=(3, 4)))
    padded = np.concatenate([np.zeros((2, 4)), keys]).astype("float32")
    expected = reference.similarity_distribution(T, S, 0.2, 0.5, keys)
    for given_keys in (keys.astype("float32"), padded):
        values = similarity_distribution(T, S, 0.2, 0.5, keys=given_keys)
        np.testing.assert_allclose(to_numpy(values), expected, rtol=1e-4)


def test_a_mask_leaves_the_keys_in():
    keys = reference.unit(RNG.normal(size=(3, 4))).astype("float32")
    mask = np.array([1, 0, 1, 1, 0, 1])
    kept = mask == 1
    values = to_numpy(
        similarity_distribution(T, S, 0.2, 0.5, mask=mask, keys=keys)
    )
    expected = reference.similarity_distribution(
        T[kept], S[kept], 0.2, 0.5, keys
    )
    np.testing.assert_allclose(values[kept], expected, rtol=1e-4)
    assert np.all(values[~kept] == 0)


def test_cold_temperatures_are_finite_in_float16():
    half = [ops.convert_to_tensor(x, "float16") for x in (T, S)]
    values = to_numpy(similarity_distribution(*half, 1e-4, 1e-4))
    assert np.all(np.isfinite(values))
    grads = gradient(
        lambda s: ops.sum(similarity_distribution(T, s, 1e-4, 1e-4)), S
    )
    assert np.all(np.isfinite(grads))


def test_batch_of_one_is_zero():
    np.testing.assert_allclose(
        to_numpy(similarity_distribution(T[:1], S[:1])), [0], atol=1e-6
    )


def test_errors():
    for wrong in ({"teacher_temperature": 0}, {"student_temperature": -1}):
        with pytest.raises(ValueError, match="temperature.*positive. Received"):
            SimilarityDistribution(**wrong)
        with pytest.raises(ValueError, match="temperature.*positive. Received"):
            similarity_distribution(T, S, **wrong)
    with pytest.raises(
        ValueError, match="queue.*positive integer.*Received: queue=0"
    ):
        SimilarityDistribution(queue=0)


@given(st.integers(1, 6), st.integers(1, 4), st.floats(0.01, 1e4))
@settings(max_examples=4, deadline=None)
def test_no_less_than_the_entropy_and_blind_to_scale(batch, width, scale):
    t, s = RNG.normal(size=(2, batch, width))
    values = to_numpy(similarity_distribution(t, s, 0.3, 0.5))
    entropy = to_numpy(similarity_distribution(t, t, 0.3, 0.3))
    assert np.all(values > entropy - 1e-5)
    scaled = similarity_distribution(t * scale, s / scale, 0.3, 0.5)
    np.testing.assert_allclose(values, to_numpy(scaled), rtol=1e-3, atol=1e-5)
