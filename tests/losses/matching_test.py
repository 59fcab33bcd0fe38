import keras
import numpy as np
import pytest

from keras_xkd.losses import FeatureMatching
from keras_xkd.losses import Matching
from tests.test_case import to_numpy

RNG = np.random.default_rng(5)
T, S = RNG.normal(size=(2, 3, 4)).astype("float32")


@keras.saving.register_keras_serializable(package="tests")
def largest(y_true, y_pred):
    return keras.ops.max(keras.ops.absolute(y_true - y_pred), axis=-1)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("mse", np.mean((T - S) ** 2, axis=1)),
        ("MeanSquaredError", np.mean((T - S) ** 2, axis=1)),
        (keras.losses.mean_squared_error, np.mean((T - S) ** 2, axis=1)),
        (keras.losses.MeanSquaredError("sum"), np.mean((T - S) ** 2, axis=1)),
        (largest, np.max(abs(T - S), axis=1)),
        (
            keras.losses.CosineSimilarity(),
            -np.sum(T * S, axis=1)
            / np.sqrt(np.sum(T**2, axis=1) * np.sum(S**2, axis=1)),
        ),
    ],
    ids=["alias", "class_name", "function", "instance", "own", "cosine"],
)
def test_any_keras_loss(loss, expected):
    matching = Matching(loss, output="tokens", reduction="none")
    np.testing.assert_allclose(to_numpy(matching(T, S)), expected, rtol=1e-5)
    config = keras.saving.serialize_keras_object(matching)
    again = keras.saving.deserialize_keras_object(config)
    assert keras.saving.serialize_keras_object(again) == config
    assert again.output == "tokens"
    np.testing.assert_array_equal(
        to_numpy(again(T, S)), to_numpy(matching(T, S))
    )


def test_arguments_of_the_loss_survive():
    smooth = keras.losses.BinaryCrossentropy(True, label_smoothing=0.5)
    loss = Matching(smooth)
    config = keras.saving.serialize_keras_object(loss)
    again = keras.saving.deserialize_keras_object(config)
    np.testing.assert_allclose(
        to_numpy(again(T, S)), to_numpy(smooth(T, S)), rtol=1e-5
    )
    plain = Matching(keras.losses.BinaryCrossentropy(True))
    assert abs(float(again(T, S)) - float(plain(T, S))) > 0.01


def test_probabilities_are_the_loss_own_affair():
    loss = Matching(
        keras.losses.CategoricalCrossentropy(from_logits=True), "logits"
    )
    p = np.eye(4, dtype="float32")[:3]
    expected = np.log(np.exp(S).sum(axis=1)) - S[range(3), range(3)]
    np.testing.assert_allclose(to_numpy(loss.call(p, S)), expected, rtol=1e-4)


def test_scores_of_rank_one():
    values = Matching("mse", reduction="none")(T[:, 0], S[:, 0])
    np.testing.assert_allclose(
        to_numpy(values), (T[:, 0] - S[:, 0]) ** 2, rtol=1e-5
    )


def test_positions_and_padding():
    t, s = RNG.normal(size=(2, 2, 3, 4)).astype("float32")
    rows = np.mean((t - s) ** 2, axis=-1)
    loss = Matching("mse", reduction="none")
    np.testing.assert_allclose(
        to_numpy(loss(t, s)), rows.mean(axis=1), rtol=1e-5
    )
    student = keras.ops.convert_to_tensor(s)
    padding = np.array([[1, 1, 0], [0, 0, 1]], "bool")
    student._keras_mask = keras.ops.convert_to_tensor(padding)
    np.testing.assert_allclose(
        to_numpy(loss(t, student)),
        [rows[0, :2].mean(), rows[1, 2]],
        rtol=1e-5,
    )


def test_default_name():
    assert Matching("mse").name == "mean_squared_error"
    assert Matching(keras.losses.Huber()).name == "huber_loss"
    assert Matching("mse", name="mine").name == "mine"


def test_errors():
    with pytest.raises(ValueError, match="without `Matching`"):
        Matching(FeatureMatching())
    with pytest.raises(ValueError, match="needs a loss"):
        Matching(None)
    with pytest.raises(ValueError, match="nonsense"):
        Matching("nonsense")
    with pytest.raises(ValueError, match="not a scalar"):
        Matching(lambda t, s: keras.ops.mean(t - s)).call(T, S)
    with pytest.raises(ValueError, match="same shape"):
        Matching("mse").call(T[:, :1], S)
