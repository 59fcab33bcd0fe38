import keras
import numpy as np
import pytest
from keras import layers

from keras_xkd.models import LinearProbe
from tests.distiller_case import make_data
from tests.distiller_case import same
from tests.distiller_case import set_weights
from tests.distiller_case import snapshot
from tests.distiller_case import squares
from tests.test_case import to_numpy

CE = "sparse_categorical_crossentropy"


def encoder(outputs=lambda x: x, dropout=0.0):
    inputs = keras.Input((4,), name="audio")
    x = layers.Dense(7, activation="relu")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.Dropout(dropout)(x)
    return keras.Model(inputs, outputs(layers.Dense(5)(x)))


def test_the_frozen_encoder_stays_bit_for_bit():
    x, y = make_data(16, audio=4)
    network = encoder(dropout=0.5)
    probe = LinearProbe(network, 3)
    probe.compile(keras.optimizers.Adam(0.1), CE, metrics=["accuracy"])
    before, head = snapshot(network), snapshot(probe.head)
    history = probe.fit(x, y, epochs=3, verbose=0).history
    assert sorted(history) == ["accuracy", "loss"]
    assert history["loss"][-1] < history["loss"][0]
    assert same(before, network)
    assert not same(head, probe.head)
    assert all(layer.trainable for layer in network.layers)
    assert [v.path for v in probe.trainable_variables] == [
        v.path for v in probe.head.trainable_variables
    ]


def test_trains_like_a_dense_layer_on_the_features():
    # The features are constant: inference mode, whatever `fit` says.
    x, y = make_data(16, audio=4)
    network = encoder(dropout=0.5)
    set_weights(network)
    probe = LinearProbe(network, 3)
    alone = keras.Sequential([keras.Input((5,)), layers.Dense(3)])
    alone.set_weights(probe.head.get_weights())
    how = {"epochs": 2, "batch_size": 16, "verbose": 0}
    probe.compile(keras.optimizers.SGD(0.1), CE)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    alone.compile(keras.optimizers.SGD(0.1), loss)
    one = probe.fit(x, y, **how).history["loss"]
    features = network.predict(x["audio"], verbose=0)
    two = alone.fit(features, y, **how).history["loss"]
    np.testing.assert_allclose(one, two, rtol=1e-4)
    for a, b in zip(probe.head.weights, alone.weights, strict=True):
        np.testing.assert_allclose(
            to_numpy(a.value), to_numpy(b.value), rtol=1e-4, atol=1e-6
        )


def test_fine_tuning_trains_the_encoder_too():
    x, y = make_data(16, audio=4)
    network = encoder(lambda x: {"features": x, "tokens": x[:, None]})
    probe = LinearProbe(network, 3, fine_tune=True)
    probe.compile(keras.optimizers.Adam(0.01), CE)
    before = snapshot(network)
    probe.fit(x, y, verbose=0)
    after = snapshot(network)
    assert not any(map(np.array_equal, before, after))


def test_saved_and_goes_on(tmp_path):
    x, y = make_data(16, audio=4)
    one = LinearProbe(encoder(), 3)
    one.compile("adam", CE)
    how = {"shuffle": False, "verbose": 0}
    one.fit(x, y, **how)
    one.save(tmp_path / "probe.keras")
    two = keras.models.load_model(tmp_path / "probe.keras")
    assert two.compiled
    assert two.fine_tune is False
    # Other modalities are ignored.
    wide = {**x, "aaa": np.zeros((16, 2))}
    np.testing.assert_array_equal(
        one.predict(x["audio"], verbose=0), two.predict(wide, verbose=0)
    )
    for model in (one, two):
        model.fit(x["audio"], y, **how)
    for a, b in zip(one.variables, two.variables, strict=True):
        np.testing.assert_array_equal(to_numpy(a.value), to_numpy(b.value))


def test_metrics_by_name_read_logits(tmp_path):
    inputs = keras.Input((1,), name="audio")
    probe = LinearProbe(keras.Model(inputs, inputs * 1.0), 1)
    probe.head.set_weights([np.ones((1, 1)), np.zeros(1)])
    accuracy = keras.metrics.BinaryAccuracy(name="acc", threshold=0.0)
    metrics = {"metrics": [accuracy, "AUC"], "weighted_metrics": ["acc", "mae"]}
    probe.compile("sgd", "binary_crossentropy", **metrics)
    probe.save(tmp_path / "probe.keras")
    logits, y = np.array([[-1.0], [0.2], [0.3], [-0.4]]), np.array([0, 1, 1, 1])
    for model in (probe, keras.models.load_model(tmp_path / "probe.keras")):
        logs = model.evaluate(
            logits,
            y,
            sample_weight=np.array([1, 1, 0, 2]),
            verbose=0,
            return_dict=True,
        )
        assert logs.pop("loss") > 0
        expected = {"acc": 3 / 4, "AUC": 1, "weighted_acc": 1 / 2}
        expected["mae"] = (1 + 0.8 + 2 * 1.4) / 4
        assert logs == pytest.approx(expected, rel=1e-3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Of the exporter itself.
def test_export(tmp_path):
    import onnxruntime

    tokens = keras.Input((5,), dtype="int32", name="tokens")
    pooled = layers.GlobalAveragePooling1D()(layers.Embedding(40, 3)(tokens))
    probe = LinearProbe(keras.Model(tokens, pooled), 3)
    x = {"tokens": np.arange(40, dtype="int32").reshape(8, 5)}
    path = str(tmp_path / "probe.onnx")
    probe.export(path, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(path)
    types = {node.name: node.type for node in session.get_inputs()}
    assert types == {"tokens": "tensor(int32)"}
    (logits,) = session.run(None, x)
    np.testing.assert_allclose(logits, probe.predict(x, verbose=0), atol=1e-5)


def test_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    x, y = make_data(16, audio=4)
    probe = LinearProbe(encoder(), 3)
    probe.compile("adam", CE)
    assert np.all(np.isfinite(probe.fit(x, y, verbose=0).history["loss"]))
    assert probe.head.kernel.dtype == "float32"


def test_segmentation():
    # A square on a dark image: the features are the brightness of blocks of
    # two by two pixels, the mask is that of the pixels.
    rng = np.random.default_rng(0)
    masks = squares(rng, 24)
    images = (masks + 0.1 * rng.normal(size=masks.shape))[..., None]
    inputs = keras.Input((8, 8, 1), name="image")
    network = keras.Model(inputs, layers.AveragePooling2D(2)(inputs))
    probe = LinearProbe(network, 2, output_size=(8, 8))
    probe.compile(keras.optimizers.Adam(0.3), CE, metrics=["accuracy"])
    probe.fit(images, masks, epochs=25, batch_size=24, verbose=0)
    logits = probe.predict(images, verbose=0)
    assert logits.shape == (24, 8, 8, 2)
    assert np.mean(logits.argmax(-1) == masks) > 0.95
    # Without a size the logits lie where the features do.
    small = LinearProbe(network, 2)
    assert small.predict(images, verbose=0).shape == (24, 4, 4, 2)


def test_weights_weigh_whole_masks():
    batch = 4  # As many as columns.
    inputs = keras.Input((4, 4, 2), name="image")
    probe = LinearProbe(keras.Model(inputs, inputs * 1.0), 3)
    probe.compile("sgd", CE, weighted_metrics=["accuracy"])
    rng = np.random.default_rng(1)
    x = rng.normal(size=(batch, 4, 4, 2)).astype("float32")
    masks = rng.integers(0, 3, (batch, 4, 4))
    weight = rng.uniform(size=batch).astype("float32")
    logits = to_numpy(probe(x))
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    values = -np.take_along_axis(log_p, masks[..., None], -1)
    right = (logits.argmax(-1) == masks).mean((1, 2))
    expected = [
        np.mean(weight * values.mean((1, 2, 3))),
        np.average(right, weights=weight),
    ]
    found = probe.evaluate(x, masks, sample_weight=weight, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_features_of_a_sequence_are_averaged():
    ids = keras.Input((5,), dtype="int32", name="text")
    tokens = layers.Embedding(9, 4, mask_zero=True)(ids)
    network = keras.Model(ids, tokens)
    x = np.array([[1, 2, 0, 0, 0], [3, 3, 4, 5, 6]])
    table = to_numpy(network.layers[-1].embeddings)
    means = np.stack([table[x[0, :2]].mean(0), table[x[1]].mean(0)])
    for fine_tune in (False, True):
        probe = LinearProbe(network, 3, fine_tune=fine_tune)
        kernel, bias = probe.head.get_weights()
        logits = to_numpy(probe({"text": x}))
        np.testing.assert_allclose(logits, means @ kernel + bias, atol=1e-5)


def test_errors():
    x, y = make_data(16, audio=4)
    with pytest.raises(ValueError, match=r"output_size=\(8, 8\).*\(None, 5\)"):
        LinearProbe(encoder(), 3, output_size=(8, 8))
    with pytest.raises(ValueError, match="logits here"):
        LinearProbe(encoder(), 3).compile(
            "sgd", keras.losses.SparseCategoricalCrossentropy()
        )
    probe = LinearProbe(encoder(), 3)
    probe.compile("sgd", CE)
    with pytest.raises(ValueError, match="'audio' is missing"):
        probe.fit({"image": x["audio"]}, y, verbose=0)
    heads = encoder(lambda x: {"a": x, "b": x})
    with pytest.raises(ValueError, match="width of the features.*not known"):
        LinearProbe(heads, 3)
    with pytest.raises(ValueError, match="is not built"):
        LinearProbe(keras.Sequential([layers.Dense(2)]), 3)
