import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_xkd.layers import TemporalPooling
from tests.distiller_case import set_weights
from tests.layers import attention
from tests.test_case import assert_golden
from tests.test_case import to_numpy

KINDS = ("mean", "attention", "transformer")
FRAMES = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
MASK = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])


def make(kind, **arguments):
    layer = TemporalPooling(kind, **{"num_heads": 2, **arguments})
    layer.build((None, None, 4))
    set_weights(layer, 1)
    return layer


LAYERS = {kind: make(kind) for kind in KINDS}


def sinusoid(time, width=4):
    row = []
    for i in range(0, width, 2):
        angle = time / 1e4 ** (i / width)
        row += [np.sin(angle), np.cos(angle)]
    return row


def expected(layer, frames):
    """The result for one sample, all of whose frames are there."""
    frames = frames.astype("float64")
    weights = np.full(len(frames), 1 / len(frames))
    if layer.score is not None:
        kernel = to_numpy(layer.score.kernel).astype("float64")
        weights = attention.softmax(frames @ kernel[:, 0])
    if layer.blocks:
        positions = np.array([sinusoid(t) for t in range(len(frames))])
        seen = frames
        for block in layer.blocks:
            seen = attention.block(block, seen, positions=positions)
        frames = frames + to_numpy(layer.scale) * seen
    return weights @ frames


@pytest.mark.parametrize("kind", KINDS)
def test_values(kind):
    layer = LAYERS[kind]
    found = to_numpy(layer(FRAMES, mask=MASK))
    np.testing.assert_allclose(
        found,
        [expected(layer, FRAMES[0, :3]), expected(layer, FRAMES[1])],
        rtol=1e-4,
    )
    assert_golden(f"temporal_pooling/{kind}", found)


def test_only_the_transformer_knows_the_order():
    for kind, layer in LAYERS.items():
        there, back = (to_numpy(layer(f)) for f in (FRAMES, FRAMES[:, ::-1]))
        same = np.allclose(there, back, atol=1e-5)
        assert same == (kind != "transformer")


def test_starts_near_the_mean():
    layer = TemporalPooling(num_heads=2)
    layer.build((None, None, 4))
    np.testing.assert_allclose(to_numpy(layer.scale), 0.1, rtol=1e-6)
    layer.scale.assign(np.zeros(4))
    np.testing.assert_allclose(
        to_numpy(layer(FRAMES)), FRAMES.mean(1), rtol=1e-5
    )


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(KINDS), st.lists(st.booleans(), min_size=10, max_size=10)
)
def test_padding_changes_nothing(kind, mask):
    """Whatever it holds, NaN included."""
    mask = np.array(mask).reshape(2, 5)
    other = np.where(mask[..., None], FRAMES, np.nan).astype("float32")
    found = to_numpy(LAYERS[kind](other, mask=mask))
    np.testing.assert_array_equal(
        found, to_numpy(LAYERS[kind](FRAMES, mask=mask))
    )


@pytest.mark.parametrize("kind", KINDS)
def test_no_frame_at_all(kind):
    mask = np.array([[0] * 5, [1] * 5])
    found = to_numpy(LAYERS[kind](FRAMES, mask=mask))
    np.testing.assert_array_equal(found[0], 0)
    assert np.all(np.isfinite(found))


def test_config_and_precision():
    layer = make("transformer", depth=2)
    clone = TemporalPooling.from_config(layer.get_config())
    clone.build((None, None, 4))
    clone.set_weights(layer.get_weights())
    np.testing.assert_array_equal(
        to_numpy(clone(FRAMES)), to_numpy(layer(FRAMES))
    )
    for kind in KINDS:
        mixed = make(kind, dtype="mixed_bfloat16")
        found = mixed(FRAMES, mask=MASK)
        assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
        np.testing.assert_allclose(
            to_numpy(keras.ops.cast(found, "float32")),
            to_numpy(LAYERS[kind](FRAMES, mask=MASK)),
            atol=0.1,
        )


def test_errors():
    with pytest.raises(ValueError, match="Received: kind='max'"):
        TemporalPooling("max")
    with pytest.raises(ValueError, match="frames of shape"):
        TemporalPooling("mean")(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="num_heads=3"):
        make("transformer", num_heads=3)
