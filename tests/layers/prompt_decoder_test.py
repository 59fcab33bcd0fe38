import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_xkd.layers import PromptDecoder
from tests.distiller_case import set_weights
from tests.layers import attention
from tests.test_case import assert_golden
from tests.test_case import to_numpy

RNG = np.random.default_rng(0)
PROMPTS = RNG.normal(size=(3, 4)).astype("float32")
TOKENS = RNG.normal(size=(2, 5, 6)).astype("float32")


def make(prompts_shape=(3, 4), **arguments):
    decoder = PromptDecoder(**{"num_heads": 2, **arguments})
    decoder.build(prompts_shape, (None, None, 6))
    set_weights(decoder, 1)
    return decoder


def test_values():
    decoder = make(depth=2)
    found = to_numpy(decoder(PROMPTS, TOKENS))
    scale = to_numpy(decoder.scale)
    for i in range(2):
        seen = PROMPTS.astype("float64")
        for block in decoder.blocks:
            seen = attention.block(block, seen, TOKENS[i])
        np.testing.assert_allclose(found[i], PROMPTS + scale * seen, rtol=1e-4)
    assert_golden("prompt_decoder/values", found)


def test_starts_near_the_prompts():
    decoder = PromptDecoder(num_heads=2)
    decoder.build((3, 4), (None, None, 6))
    np.testing.assert_allclose(to_numpy(decoder.scale), 0.1, rtol=1e-6)
    off = PromptDecoder(num_heads=2, scale=0.0)
    found = to_numpy(off(PROMPTS, TOKENS))
    np.testing.assert_array_equal(found, np.stack([PROMPTS, PROMPTS]))


def test_prompts_may_differ_by_sample():
    decoder = make()
    shared = to_numpy(decoder(PROMPTS, TOKENS))
    own = np.stack([PROMPTS, 2 * PROMPTS])
    found = to_numpy(decoder(own, TOKENS))
    np.testing.assert_allclose(found[0], shared[0], rtol=1e-5)
    doubled = to_numpy(decoder(2 * PROMPTS, TOKENS))
    np.testing.assert_allclose(found[1], doubled[1], rtol=1e-5)


DECODER = make()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.booleans(), min_size=10, max_size=10), st.integers(0, 99))
def test_padding_changes_nothing(mask, seed):
    mask = np.array(mask).reshape(2, 5)
    junk = 9 * np.random.default_rng(seed).normal(size=TOKENS.shape)
    other = np.where(mask[..., None], TOKENS, junk).astype("float32")
    one, two = (
        to_numpy(DECODER(PROMPTS, t, mask=mask)) for t in (TOKENS, other)
    )
    assert np.all(np.isfinite(two))
    there = mask.any(1)  # Without any token all are attended to.
    np.testing.assert_allclose(one[there], two[there], rtol=1e-4, atol=1e-6)


def test_mask_leaves_tokens_out():
    mask = np.array([[1, 0, 1, 1, 0], [1, 1, 1, 1, 1]])
    found = to_numpy(DECODER(PROMPTS, TOKENS, mask=mask))[0]
    seen = attention.block(
        DECODER.blocks[0],
        PROMPTS.astype("float64"),
        TOKENS[0],
        there=mask[0] > 0,
    )
    expected = PROMPTS + to_numpy(DECODER.scale) * seen
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_config_and_precision():
    decoder = make(depth=2, scale=0.3)
    config = decoder.get_config()
    assert [config[k] for k in ("depth", "num_heads", "scale")] == [2, 2, 0.3]
    clone = PromptDecoder.from_config(config)
    clone.build((3, 4), (None, None, 6))
    clone.set_weights(decoder.get_weights())
    np.testing.assert_array_equal(
        to_numpy(clone(PROMPTS, TOKENS)), to_numpy(decoder(PROMPTS, TOKENS))
    )
    mixed = make(dtype="mixed_bfloat16")
    found = mixed(PROMPTS, TOKENS)
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    assert {v.dtype for v in mixed.weights} == {"float32"}
    np.testing.assert_allclose(
        to_numpy(keras.ops.cast(found, "float32")),
        to_numpy(make()(PROMPTS, TOKENS)),
        atol=0.1,
    )


def test_errors():
    with pytest.raises(ValueError, match="num_heads=3, features of width 4"):
        make(num_heads=3)
    with pytest.raises(ValueError, match="Expected prompts of shape"):
        make(prompts_shape=(4,))
