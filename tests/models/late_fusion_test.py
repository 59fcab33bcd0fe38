import keras
import numpy as np
import pytest
from keras import layers

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


@pytest.mark.parametrize("how", ["units", "head", "sum"])
def test_saves_trained_and_loads(how, tmp_path):
    x, y = make_data(16)
    arguments = {
        "units": {"units": 3},
        "head": {"head": keras.Sequential([layers.Dense(4), layers.Dense(3)])},
        "sum": {"units": 3, "fusion": "sum"},
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
