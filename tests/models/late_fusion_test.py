import keras
import numpy as np
import pytest
from keras import layers

from keras_xkd.layers import Fusion
from keras_xkd.layers import ModalityDropout
from keras_xkd.models import LateFusion
from tests.distiller_case import make_data
from tests.distiller_case import set_weights
from tests.test_case import to_numpy


def encoder(modality, width, units=5):
    inputs = keras.Input((width,), name=modality)
    # Two encoders may well use the same names.
    outputs = layers.Dense(units, activation="relu", name="hidden")(inputs)
    return keras.Model(inputs, outputs, name=f"{modality}_encoder")


def make(order=("image", "audio"), **kwargs):
    widths = {"audio": 4, "image": 6}
    kwargs = {"units": 3} if not kwargs else kwargs
    return LateFusion({n: encoder(n, widths[n]) for n in order}, **kwargs)


def test_encode_and_decide_make_the_prediction():
    x, _ = make_data(8)
    model = make()
    set_weights(model, 1)
    features = model.encode(x)
    assert list(features) == ["audio", "image"]
    expected = np.concatenate(
        [to_numpy(model.encoders[n](x[n])) for n in features], axis=1
    )
    kernel, bias = model.head.get_weights()
    found = model.predict({"text": np.zeros((8, 1)), **x}, verbose=0)
    np.testing.assert_allclose(found, expected @ kernel + bias, atol=1e-5)
    np.testing.assert_allclose(
        to_numpy(model.decide(features)), found, atol=1e-5
    )


def test_the_order_of_the_dict_does_not_matter():
    x, _ = make_data(8)
    one, two = make(), make(("audio", "image"))
    for model in (one, two):
        set_weights(model, 1)
    np.testing.assert_array_equal(
        one.predict(x, verbose=0), two.predict(x, verbose=0)
    )
    assert one.modalities == two.modalities == ("audio", "image")


def test_absent_features_are_zeros():
    x, _ = make_data(4)
    model = make()
    set_weights(model, 1)
    features = {n: to_numpy(v).copy() for n, v in model.encode(x).items()}
    features["image"][:2] = 0
    expected = to_numpy(model.decide(features))
    broken = {**x, "image": x["image"].copy()}
    broken["image"][:2] = np.nan
    broken["present"] = {"image": np.array([0, 0, 1, 1])}
    found = model.predict(broken, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert sorted(model.present(broken)) == ["image"]
    assert model.present(x) == {}


FUSIONS = {
    "attention": {"fusion": "attention"},
    "placeholder": {"fusion": Fusion("concat", placeholder=True)},
}


@pytest.mark.parametrize("how", FUSIONS)
def test_fusions_with_weights(how, tmp_path):
    x, y = make_data(8)
    model = make(units=3, **FUSIONS[how])
    model.compile("adam", "sparse_categorical_crossentropy")
    broken = {**x, "image": x["image"].copy()}
    broken["image"][:3] = np.nan
    broken["present"] = {"image": (np.arange(8) >= 3).astype("float32")}
    before = [np.array(v) for v in model.fusion.get_weights()]
    model.train_on_batch(broken, y)
    after = model.fusion.get_weights()
    moved = [not np.array_equal(a, b) for a, b in zip(before, after)]
    # Nothing stood in for the audio, which is always there.
    assert moved == ([False, True] if how == "placeholder" else [True, True])
    expected = model.predict(broken, verbose=0)
    assert np.all(np.isfinite(expected))
    features = {n: to_numpy(v) for n, v in model.encode(broken).items()}
    fused = to_numpy(model.fusion(features, model.present(broken)))
    if how == "placeholder":
        stands = np.tile(after[1], (3, 1))
        np.testing.assert_array_equal(fused[:3, 5:], stands)
    else:
        np.testing.assert_allclose(fused[:3], features["audio"][:3], rtol=1e-6)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(
        loaded.predict(broken, verbose=0), expected, atol=1e-6
    )


def test_dropout_makes_encoders_absent_in_training_only():
    x, _ = make_data(64)
    x["present"] = {"image": (np.arange(64) % 4 > 0).astype("float32")}
    model = make(units=3, dropout=ModalityDropout({"audio": 1.0}))
    set_weights(model, 1)
    plain = make(units=3)
    plain.set_weights(model.get_weights())
    expected = plain.predict(x, verbose=0)
    np.testing.assert_array_equal(model.predict(x, verbose=0), expected)
    # Audio stays where there is nothing else.
    absent = {
        **x,
        "present": {**x["present"], "audio": 1 - x["present"]["image"]},
    }
    np.testing.assert_allclose(
        to_numpy(model(x, training=True)),
        plain.predict(absent, verbose=0),
        atol=1e-6,
    )
    features = to_numpy(model.encode(x, training=True)["audio"])
    np.testing.assert_array_equal(features, to_numpy(model.encode(x)["audio"]))


def batches(x, y, size):
    """A pipeline of dict batches, of the kind that the backend likes."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices((x, y)).batch(size)

    class Data(keras.utils.PyDataset):
        def __len__(self):
            return -(-len(y) // size)

        def __getitem__(self, index):
            rows = slice(index * size, (index + 1) * size)
            cut = keras.tree.map_structure(lambda v: v[rows], x)
            return cut, y[rows]

    return Data()


@pytest.mark.parametrize("marked", [False, True])
def test_trains_with_dropout_from_a_pipeline(marked):
    """Without the image there is the audio, if one learned to use it."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 96)
    image = 6 * np.eye(6)[y] + rng.normal(size=(96, 6))
    audio = np.eye(4)[y] + 0.1 * rng.normal(size=(96, 4))
    x = {"audio": audio.astype("float32"), "image": image.astype("float32")}
    if marked:
        x["present"] = {n: np.ones(96, "float32") for n in ("audio", "image")}
        x["present"]["audio"][:9] = 0
    model = make(
        units=3, fusion="mean", dropout=ModalityDropout({"image": 0.7}, seed=1)
    )
    set_weights(model, 1)
    drawn = to_numpy(model.dropout.seed_generator.state.value).copy()
    model.compile(
        keras.optimizers.Adam(0.03), "sparse_categorical_crossentropy"
    )
    history = model.fit(
        batches(x, y, 24), epochs=12, shuffle=False, verbose=0
    ).history
    assert np.all(np.isfinite(history["loss"]))
    state = to_numpy(model.dropout.seed_generator.state.value)
    assert not np.array_equal(drawn, state)
    lost = {**x, "image": np.full_like(x["image"], np.nan)}
    lost["present"] = {"image": np.zeros(96, "float32")}
    found = model.predict(lost, verbose=0).argmax(1)
    assert np.mean(found == y) > 0.9


@pytest.mark.parametrize("how", ["units", "head", "sum"])
def test_saves_trained_and_loads(how, tmp_path):
    x, y = make_data(16)
    arguments = {
        "units": {"units": 3},
        "head": {"head": keras.Sequential([layers.Dense(4), layers.Dense(3)])},
        "sum": {"units": 3, "fusion": "sum", "dropout": {"audio": 0.5}},
    }[how]
    model = make(**arguments)
    model.compile("adam", "sparse_categorical_crossentropy")
    logits = model.predict(x, verbose=0)
    of_label = logits[np.arange(16), y]
    expected = np.mean(np.log(np.exp(logits).sum(1)) - of_label)
    found = model.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    before = model.get_weights()
    model.fit(x, y, verbose=0)
    assert not any(map(np.array_equal, before, model.get_weights()))
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6
    )
    assert loaded.fusion.mode == model.fusion.mode
    assert loaded.units == model.units
    if how == "sum":
        assert loaded.dropout.rate == {"audio": 0.5}
        config = {**model.get_config(), "fusion": "sum", "dropout": None}
        assert LateFusion.from_config(config).fusion.mode == "sum"


@pytest.mark.filterwarnings("ignore")  # Of the exporter itself.
def test_export_without_a_call_by_the_user(tmp_path):
    import onnxruntime

    x, _ = make_data(8)
    x["tokens"] = np.arange(40, dtype="int32").reshape(8, 5)
    inputs = keras.Input((5,), dtype="int32", name="tokens")
    pooled = layers.GlobalAveragePooling1D()(layers.Embedding(40, 3)(inputs))
    encoders = {
        "image": encoder("image", 6),
        "tokens": keras.Model(inputs, pooled),
    }
    model = LateFusion(encoders, 3)
    path = str(tmp_path / "m.onnx")
    model.export(path, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(path)
    # Keras alone would make the tokens floating.
    types = {node.name: node.type for node in session.get_inputs()}
    assert types == {"image": "tensor(float)", "tokens": "tensor(int32)"}
    (found,) = session.run(None, {name: x[name] for name in types})
    np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-5)


class Subclassed(keras.Model):
    modalities = ("audio",)

    def __init__(self, key="features"):
        super().__init__()
        self.dense = layers.Dense(5)
        self.key = key

    def call(self, x):
        return {self.key: self.dense(x["audio"])}


def test_encoders_of_other_kinds():
    x, _ = make_data(8)
    audio = Subclassed()
    audio({"audio": x["audio"]})
    inputs = [
        keras.Input((w,), name=n) for n, w in (("audio", 4), ("image", 6))
    ]
    both = keras.Model(inputs, layers.Concatenate()(inputs))
    model = LateFusion({"audio": audio, "both": both}, 3)
    assert model.widths == {"audio": 5, "both": 10}
    assert model.predict(x, verbose=0).shape == (8, 3)
    other = Subclassed(key="tokens")
    other({"audio": x["audio"]})
    with pytest.raises(ValueError, match="encoder of 'audio'.*NoneType"):
        LateFusion({"audio": other, "both": both}, 3)


def test_missing_modality_is_named_and_costs_nothing():
    x, _ = make_data(8)
    model = make()
    expected = to_numpy(model(x))
    with pytest.raises(ValueError, match="'image' is missing"):
        model.predict({"audio": x["audio"]}, verbose=0)
    with pytest.raises(ValueError, match="must be a dict"):
        model.predict(x["audio"], verbose=0)
    # Stock Keras loses the weights here, on JAX.
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 3, "head": layers.Dense(3)}, "Give either `units`"),
        ({"fusion": "sum"}, "Give either `units`"),
        ({"head": "x"}, "must be a Keras layer.*head='x'"),
        ({"head": layers.Dense(3, activation="softmax")}, "ends in a softmax"),
        ({"units": 3, "fusion": "product"}, "`mode` must be one of"),
        ({"units": 3, "dropout": "x"}, "`dropout` must be .*dropout='x'"),
        ({"units": 3, "dropout": 2}, "must lie between 0 and 1"),
        ({"units": 3, "dropout": {"text": 0.5}}, r"\['text'\].*\['audio'"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_refuses_encoders():
    audio = encoder("audio", 4)
    with pytest.raises(ValueError, match=r"at least 2.*\['audio'\]"):
        LateFusion({"audio": audio}, 3)
    with pytest.raises(ValueError, match="must be a dict"):
        LateFusion([audio, audio], 3)
    with pytest.raises(ValueError, match=r"encoders\['image'\]=<Sequential"):
        LateFusion({"audio": audio, "image": keras.Sequential()}, 3)
    inputs = keras.Input((7, 2), name="video")
    frames = keras.Model(inputs, layers.Dense(5)(inputs))
    with pytest.raises(ValueError, match="'video' must return pooled"):
        LateFusion({"audio": audio, "video": frames}, 3)
    with pytest.raises(ValueError, match="all of one width"):
        LateFusion(
            {"audio": audio, "image": encoder("image", 6, 4)}, 3, fusion="mean"
        )
