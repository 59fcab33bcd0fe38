import keras
import numpy as np
import pytest

from keras_xkd.layers import SimilarityQueue
from keras_xkd.losses import SimilarityDistribution
from tests.losses import reference
from tests.test_case import to_numpy

RNG = np.random.default_rng(19)
BATCHES = RNG.normal(size=(3, 2, 4, 3)).astype("float32")


def new(length=6):
    return SimilarityQueue(length, 0.2, 0.5)


def test_candidates_are_the_batch_and_the_past():
    layer = new()
    past = np.zeros((0, 3))
    for t, s in BATCHES:
        values = to_numpy(layer(t, s, training=True))
        expected = reference.similarity_distribution(t, s, 0.2, 0.5, past)
        np.testing.assert_allclose(values, expected, rtol=1e-4)
        past = np.concatenate([past, reference.unit(t)])[-6:]
        np.testing.assert_allclose(
            to_numpy(layer.rows.value)[6 - len(past) :], past, rtol=1e-5
        )


def test_only_training_moves_the_queue():
    layer = new()
    layer(*BATCHES[0], training=True)
    before = to_numpy(layer.rows.value)
    layer(*BATCHES[1])
    layer(*BATCHES[1], training=False)
    np.testing.assert_array_equal(to_numpy(layer.rows.value), before)


@pytest.mark.parametrize("length", [6, 2], ids=["long", "short"])
def test_absent_samples_do_not_enter(length):
    """The last rows that are there enter, the oldest first."""
    layer, past = new(length), np.zeros((0, 3))
    presents = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 1]])
    for (t, s), present in zip(BATCHES.copy(), presents):
        kept = present == 1
        t[~kept], s[~kept] = np.nan, 0
        expected = reference.similarity_distribution(
            t[kept], s[kept], 0.2, 0.5, past
        )
        outside = to_numpy(layer(t, s, present=present))
        values = to_numpy(layer(t, s, present=present, training=True))
        np.testing.assert_array_equal(outside, values)
        np.testing.assert_allclose(values[kept], expected, rtol=1e-4)
        np.testing.assert_array_equal(values[~kept], 0)
        past = np.concatenate([past, reference.unit(t[kept])])[-length:]
        rows = to_numpy(layer.rows.value)
        np.testing.assert_array_equal(rows[: length - len(past)], 0)
        np.testing.assert_allclose(rows[length - len(past) :], past, rtol=1e-5)


def test_saved_with_its_rows(tmp_path):
    inputs = [keras.Input((3,)), keras.Input((3,))]
    model = keras.Model(inputs, new()(*inputs))
    model.layers[-1].rows.assign(RNG.normal(size=(6, 3)))
    model.save(tmp_path / "queue.keras")
    again = keras.models.load_model(tmp_path / "queue.keras")
    assert again.layers[-1].length == 6
    np.testing.assert_array_equal(
        to_numpy(again(list(BATCHES[0]))), to_numpy(model(list(BATCHES[0])))
    )


def test_mixed_precision_keeps_rows_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    layer = new()
    half = [keras.ops.convert_to_tensor(x, "float16") for x in BATCHES[0]]
    values = to_numpy(layer(*half, training=True))
    assert values.dtype == layer.rows.dtype == "float32"
    expected = reference.similarity_distribution(
        *(to_numpy(x).astype("d") for x in half), 0.2, 0.5
    )
    np.testing.assert_allclose(values, expected, rtol=1e-3)


def test_companion_of_the_loss():
    assert SimilarityDistribution().companion((None, 3), (None, 3)) is None
    loss = SimilarityDistribution(0.2, 0.5, queue=6)
    layer = loss.companion((None, 3), (None, 3))
    assert layer.built
    config = layer.get_config() | {"name": ""}
    assert config == new().get_config() | {"name": ""}


def test_errors():
    with pytest.raises(ValueError, match=r"one width.*\(None, 4\)"):
        new().build((None, 3), (None, 4))
    for length in (0, 2.5):
        with pytest.raises(ValueError, match=f"`length`.*: {length}"):
            new(length)
    with pytest.raises(ValueError, match="`temperature`.*: 0"):
        SimilarityQueue(6, 0)
