import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_xkd.layers import TokenPooling
from tests.distiller_case import set_weights
from tests.layers import attention
from tests.test_case import to_numpy

KINDS = ("first", "last", "mean", "max", "attention")
TOKENS = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
MASK = np.array([[0, 1, 1, 1, 0], [1, 1, 1, 1, 1]])


def make(kind, **arguments):
    layer = TokenPooling(kind, **arguments)
    layer.build((None, None, 4))
    set_weights(layer, 1)
    return layer


LAYERS = {kind: make(kind) for kind in KINDS}


def expected(layer, tokens, there):
    """The result for one sample, as a loop."""
    index = [i for i, here in enumerate(there) if here]
    if layer.kind in ("first", "last"):
        index = index[:1] if layer.kind == "first" else index[-1:]
    else:
        index = [i for i in index if i >= layer.skip]
    if not index:
        return np.zeros(tokens.shape[1])
    rows = np.array([tokens[i] for i in index], "float64")
    if layer.kind == "max":
        return rows.max(axis=0)
    weights = np.full(len(rows), 1 / len(rows))
    if layer.kind == "attention":
        kernel = to_numpy(layer.score.kernel).astype("float64")
        weights = attention.softmax(rows @ kernel[:, 0])
    return weights @ rows


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.integers(0, 2),
    st.lists(st.booleans(), min_size=10, max_size=10),
)
def test_values(kind, skip, mask):
    """Padding changes nothing, whatever it holds; no token at all is zeros."""
    mask = np.array(mask).reshape(2, 5)
    layer = LAYERS[kind]
    layer.skip = skip
    tokens = np.where(mask[..., None], TOKENS, np.nan).astype("float32")
    np.testing.assert_allclose(
        to_numpy(layer(tokens, mask=mask)),
        [expected(layer, t, m) for t, m in zip(TOKENS, mask)],
        rtol=1e-4,
        atol=1e-6,
    )


def test_without_mask_and_with_that_of_keras():
    layer = make("mean")
    np.testing.assert_allclose(
        to_numpy(layer(TOKENS)), TOKENS.mean(axis=1), rtol=1e-5
    )
    masked = keras.layers.Masking(0.0)(TOKENS * MASK[..., None])
    np.testing.assert_allclose(
        to_numpy(layer(masked)), to_numpy(layer(TOKENS, mask=MASK)), rtol=1e-5
    )


@pytest.mark.parametrize("kind", KINDS)
def test_config_and_precision(kind):
    layer = make(kind, skip=1)
    clone = TokenPooling.from_config(layer.get_config())
    clone.build((None, None, 4))
    clone.set_weights(layer.get_weights())
    found = to_numpy(layer(TOKENS, mask=MASK))
    np.testing.assert_array_equal(to_numpy(clone(TOKENS, mask=MASK)), found)
    half = make(kind, skip=1, dtype="mixed_float16")
    pooled = half(TOKENS, mask=MASK)
    assert keras.backend.standardize_dtype(pooled.dtype) == "float16"
    np.testing.assert_allclose(to_numpy(pooled), found, atol=0.01)
    empty = to_numpy(half(TOKENS, mask=0 * MASK))
    np.testing.assert_array_equal(empty, 0)


def test_errors():
    with pytest.raises(ValueError, match="Received: kind='cls'"):
        TokenPooling("cls")
    with pytest.raises(ValueError, match="Received: skip=-1"):
        TokenPooling("mean", skip=-1)
    with pytest.raises(ValueError, match="tokens of shape"):
        TokenPooling("mean")(np.zeros((2, 3)))
