import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import layers
from keras import ops

from keras_xkd import losses
from keras_xkd.distillers import UME
from keras_xkd.distillers import CrossModalDistiller
from keras_xkd.utils.averaging import average
from tests.distiller_case import classifier
from tests.distiller_case import make_data
from tests.distiller_case import same
from tests.distiller_case import set_weights
from tests.distiller_case import snapshot
from tests.test_case import assert_golden
from tests.test_case import to_numpy

WIDTHS = {"audio": 4, "image": 6}


def make(seed=1, units=3, **kwargs):
    models = {}
    for name in ("image", "audio"):
        models[name] = classifier(
            name, WIDTHS[name], units=units, batch_norm=True, dropout=0.5
        )
        set_weights(models[name], seed)
        seed += 1
    return UME(models=models, **kwargs)


def softmax(z):
    p = np.exp(z - z.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def logits_of(ensemble, x):
    return {
        name: model.predict(x[name], verbose=0).astype("float64")
        for name, model in ensemble.models.items()
        if name in x
    }


def test_softmax_of_the_output_is_the_average():
    x, y = make_data(16)
    ensemble = make()
    found = ensemble.predict({**x, "text": np.zeros((16, 1))}, verbose=0)
    expected = np.mean([softmax(z) for z in logits_of(ensemble, x).values()], 0)
    np.testing.assert_allclose(found, np.log(expected), atol=1e-5)
    assert_golden("ume/log_probabilities", found[:2])
    # So a loss and a metric that read logits are right.
    ensemble.compile(
        loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    before = snapshot(ensemble)
    logs = ensemble.evaluate(x, y, verbose=0, return_dict=True)
    np.testing.assert_allclose(
        logs["loss"], -np.log(expected[np.arange(16), y]).mean(), rtol=1e-4
    )
    assert logs["accuracy"] == np.mean(expected.argmax(1) == y)
    assert same(before, ensemble)


def test_weights():
    x, _ = make_data(8)
    ensemble = make(weights={"image": 3.0})
    p = {n: softmax(z) for n, z in logits_of(ensemble, x).items()}
    expected = (p["audio"] + 3 * p["image"]) / 4
    found = ensemble.predict(x, verbose=0)
    np.testing.assert_allclose(softmax(found), expected, atol=1e-5)


@pytest.mark.parametrize("units", [1, 4])
def test_independent_labels(units):
    x, _ = make_data(8)
    ensemble = make(units=units, kind="sigmoid")
    expected = np.mean([sigmoid(z) for z in logits_of(ensemble, x).values()], 0)
    found = sigmoid(ensemble.predict(x, verbose=0))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_missing_modalities():
    x, _ = make_data(8)
    ensemble = make()
    p = {n: softmax(z) for n, z in logits_of(ensemble, x).items()}
    alone = ensemble.predict({"audio": x["audio"]}, verbose=0)
    np.testing.assert_allclose(softmax(alone), p["audio"], atol=1e-5)
    # Two samples have audio, two both, two images, and two nothing.
    audio = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    image = np.array([0, 0, 1, 1, 1, 1, 0, 0])
    x["audio"][4:] = np.nan
    x["present"] = {"audio": audio, "image": image}
    found = softmax(ensemble.predict(x, verbose=0))
    np.testing.assert_allclose(found[:2], p["audio"][:2], atol=1e-5)
    both = (p["audio"] + p["image"])[2:4] / 2
    np.testing.assert_allclose(found[2:4], both, atol=1e-5)
    np.testing.assert_allclose(found[4:6], p["image"][4:6], atol=1e-5)
    np.testing.assert_allclose(found[6:], 1 / 3, atol=1e-5)
    with pytest.raises(ValueError, match="one of .'audio', 'image'.*'text'"):
        ensemble.predict({"text": x["audio"]}, verbose=0)
    with pytest.raises(ValueError, match="dict with some of .'audio', 'image'"):
        ensemble(x["audio"])
    np.testing.assert_array_equal(
        softmax(ensemble.predict(x, verbose=0)), found
    )


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from([1, 3]),
    st.sampled_from([2, 5]),
    st.sampled_from([1.0, 30.0, 1e4]),
    st.integers(0, 999),
)
def test_any_average_is_a_distribution(networks, classes, scale, seed):
    rng = np.random.default_rng(seed)
    logits = scale * rng.normal(size=(networks, 6, classes))
    weights = rng.integers(0, 3, (networks, 6, 1)).astype("float64")
    found = to_numpy(
        average(
            ops.cast(logits, "float32"), ops.cast(weights, "float32"), "softmax"
        )
    )
    assert np.all(np.isfinite(found) | (found < -1e3))
    total = weights.sum(0)
    expected = (weights * softmax(logits)).sum(0) / np.maximum(total, 1e-30)
    expected = np.where(total > 0, expected, 1 / classes)
    np.testing.assert_allclose(np.exp(found), expected, atol=1e-4)


def test_saves_and_loads(tmp_path):
    x, y = make_data(8)
    ensemble = make(weights={"audio": 0.5})
    ensemble.compile(
        loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    ensemble.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0), ensemble.predict(x, verbose=0), atol=1e-6
    )
    assert loaded.evaluate(x, y, verbose=0) == pytest.approx(
        ensemble.evaluate(x, y, verbose=0)
    )


@pytest.mark.filterwarnings("ignore")  # Of the exporters themselves.
def test_export(tmp_path):
    import onnxruntime

    ids = keras.Input((5,), dtype="int32", name="ids")
    pooled = layers.GlobalAveragePooling1D()(layers.Embedding(40, 3)(ids))
    text = keras.Model({"text": {"ids": ids}}, layers.Dense(3)(pooled))
    ensemble = UME(models={"audio": classifier("audio", 4), "text": text})
    x = {"audio": make_data(8)[0]["audio"]}
    x["text"] = {"ids": np.arange(40, dtype="int32").reshape(8, 5)}
    expected = ensemble.predict(x, verbose=0)
    path = str(tmp_path / "m.onnx")
    ensemble.export(path, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(path)
    (found,) = session.run(
        None, {"audio": x["audio"], "text_ids": x["text"]["ids"]}
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)
    if keras.backend.backend() != "torch":  # Keras cannot: see the README.
        import tensorflow as tf

        path = str(tmp_path / "saved_model")
        ensemble.export(path, verbose=False)
        loaded = tf.saved_model.load(path)
        found = loaded.serve(x)
        np.testing.assert_allclose(np.array(found), expected, atol=1e-5)


def test_there_is_nothing_to_train():
    x, y = make_data(8)
    ensemble = make()
    ensemble.compile("adam", "mse")
    for train in (ensemble.fit, ensemble.train_on_batch):
        with pytest.raises(ValueError, match="nothing to train"):
            train(x, y)


def test_as_a_teacher():
    x, y = make_data(16)
    ensemble = make()
    student = classifier("audio", 4)
    distiller = CrossModalDistiller(
        student=student, teacher=ensemble, projections=None
    )
    distiller.compile("adam", distillation_loss=losses.SoftTargets())
    x["present"] = {"image": np.arange(16) % 2}
    before = snapshot(ensemble)
    value = distiller.evaluate(x, verbose=0, return_dict=True)["loss"]
    t = softmax(ensemble.predict(x, verbose=0) / 4.0)
    s = softmax(student.predict(x["audio"], verbose=0) / 4.0)
    expected = 16 * np.sum(t * np.log(t / s), axis=1).mean()
    np.testing.assert_allclose(value, 0.9 * expected, rtol=1e-4)
    distiller.fit(x, y, verbose=0)
    assert same(before, ensemble)


def test_refuses():
    audio, image = classifier("audio", 4), classifier("image", 6)
    models = {"audio": audio, "image": image}
    for changes, message in [
        ({"models": {}}, "at least 1"),
        ({"models": {"audio": "audio.keras"}}, "=.audio.keras."),
        ({"weights": {"text": 1.0}}, "by the names .'audio', 'image'"),
        ({"weights": {"audio": -1.0}}, "not negative"),
        ({"weights": [1.0, 2.0]}, r"dict of .*weights=\[1.0, 2.0\]"),
        ({"weights": {"audio": None}}, "finite numbers"),
        ({"weights": {"audio": np.inf}}, "finite numbers"),
        ({"weights": {"audio": 0, "image": 0}}, "not all 0"),
        ({"kind": "tanh"}, "'softmax' or 'sigmoid'"),
        (
            {"models": {**models, "text": classifier("text", 2, units=4)}},
            "same classes.*'text': 4",
        ),
        ({"models": {"audio": classifier("audio", 4, units=1)}}, "always 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            UME(**{"models": models, **changes})
    inputs = keras.Input((4,), name="audio")
    ended = keras.Model(inputs, layers.Dense(3, activation="softmax")(inputs))
    with pytest.raises(ValueError, match="ends in a softmax"):
        UME(models={"audio": ended, "image": image})
