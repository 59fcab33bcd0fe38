import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import ops

from keras_xkd.layers import ProjectionHead
from tests.test_case import gradient
from tests.test_case import to_numpy

RNG = np.random.default_rng(3)


def test_linear_head():
    head = ProjectionHead(4)
    x = RNG.normal(size=(3, 5)).astype("float32")
    rows = to_numpy(head(x))
    expected = x @ to_numpy(head.outer.kernel)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(rows, expected, rtol=1e-5)
    assert len(head.weights) == 2


def test_hidden_layer_without_norm():
    head = ProjectionHead(4, hidden=6, normalize=False)
    x = RNG.normal(size=(3, 2, 5)).astype("float32")
    rows = to_numpy(head(x))
    expected = np.maximum(x @ to_numpy(head.inner.kernel), 0)
    expected = expected @ to_numpy(head.outer.kernel)
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-6)


def test_zero_rows_are_finite():
    head = ProjectionHead(4, hidden=3)
    x = np.zeros((2, 5), "float32")
    np.testing.assert_array_equal(to_numpy(head(x)), np.zeros((2, 4)))
    (grad,) = gradient(lambda x: ops.sum(head(x)), x)
    assert np.all(np.isfinite(grad))


def test_the_length_is_computed_in_float32():
    head = ProjectionHead(2, dtype="float16")
    head.build((None, 2))
    head.outer.kernel.assign(np.eye(2))
    # The squares of these exceed the largest float16, 65504.
    rows = head(np.array([[3e4, 4e4]], "float16"))
    assert keras.backend.standardize_dtype(rows.dtype) == "float16"
    np.testing.assert_allclose(to_numpy(rows), [[0.6, 0.8]], rtol=1e-3)


def test_saved_and_exact_config(tmp_path):
    inputs = keras.Input((5,), name="audio")
    model = keras.Model(inputs, ProjectionHead(4, 3, name="head")(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    config = again.get_layer("head").get_config()
    assert (config["units"], config["hidden"]) == (4, 3)
    assert config["normalize"] is True
    x = RNG.normal(size=(3, 5)).astype("float32")
    np.testing.assert_array_equal(to_numpy(model(x)), to_numpy(again(x)))
    mixed = ProjectionHead(4, 3, dtype="mixed_bfloat16")
    assert mixed.inner.compute_dtype == "bfloat16"


@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=3),
    st.integers(1, 4),
    st.sampled_from([None, 1, 3]),
)
@settings(max_examples=4, deadline=None)
def test_shapes_and_lengths(shape, units, hidden):
    head = ProjectionHead(units, hidden)
    x = RNG.normal(size=(*shape, 3)).astype("float32")
    rows = to_numpy(head(x))
    assert rows.shape == head.compute_output_shape(x.shape) == (*shape, units)
    lengths = np.linalg.norm(rows, axis=-1)
    # One, or zero where ReLU let nothing through.
    np.testing.assert_allclose(lengths, lengths > 0.5, atol=1e-5)


def test_errors():
    for widths in ({"units": 0}, {"hidden": 0}):
        with pytest.raises(ValueError, match="must be positive. Received"):
            ProjectionHead(**widths)
