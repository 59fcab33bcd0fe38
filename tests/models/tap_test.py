import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from keras_xkd import losses
from keras_xkd.distillers import CrossModalDistiller
from keras_xkd.models import tap
from keras_xkd.utils.graph import features_before_head
from tests.distiller_case import classifier
from tests.distiller_case import make_data


def test_tap_shares_weights_and_reads_the_same_pass(tmp_path):
    model = classifier("audio", 4)
    tapped = tap(model, {"features": "hidden"})
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    outputs = tapped.predict(x, verbose=0)
    kernel, bias, head, shift = model.get_weights()
    hidden = np.maximum(x @ kernel + bias, 0)
    np.testing.assert_allclose(outputs["features"], hidden, atol=1e-6)
    np.testing.assert_allclose(outputs["logits"], hidden @ head + shift, 1e-4)
    model.layers[1].bias.assign(np.ones(5))
    np.testing.assert_array_equal(tapped.get_weights()[1], np.ones(5))
    tapped.save(tmp_path / "tapped.keras")
    loaded = keras.models.load_model(tmp_path / "tapped.keras")
    assert sorted(loaded.predict(x, verbose=0)) == ["features", "logits"]


def test_tap_of_a_dict_model():
    inputs = keras.Input((4,), name="audio")
    hidden = layers.Dense(5, name="hidden")(inputs)
    model = keras.Model(inputs, {"score": layers.Dense(1)(hidden)})
    tapped = tap(model, {"features": "hidden"})
    assert sorted(tapped.output) == ["features", "score"]
    with pytest.raises(ValueError, match="already has outputs"):
        tap(model, {"score": "hidden"})


def test_tap_refuses():
    model = classifier("audio", 4)
    with pytest.raises(ValueError, match="no layer named 'nope'.*'hidden'"):
        tap(model, {"features": "nope"})
    inputs = keras.Input((4,), name="audio")
    nested = keras.Model(inputs, layers.Dense(3)(model(inputs)))
    with pytest.raises(ValueError, match="inside the nested model"):
        tap(nested, {"features": "hidden"})
    shared = layers.Dense(4, name="shared")
    twice = keras.Model(inputs, shared(shared(inputs)))
    with pytest.raises(ValueError, match="called 2 times"):
        tap(twice, {"features": "shared"})
    several = keras.Model(inputs, [inputs, layers.Dense(1)(inputs)])
    with pytest.raises(ValueError, match="give its outputs names"):
        tap(several, {"features": "dense"})

    class Sub(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="type Sub"):
        tap(Sub(), {"features": "hidden"})


def functional(make):
    inputs = keras.Input((4,), name="audio")
    hidden = layers.Dense(5, activation="relu", name="hidden")(inputs)
    return keras.Model(inputs, make(hidden)), hidden


@pytest.mark.parametrize(
    "make",
    [
        lambda h: layers.Dense(3)(h),
        lambda h: layers.Dense(3)(layers.Dropout(0.2)(h)),
        lambda h: layers.Dropout(0.1)(layers.Dense(3)(h)),
        lambda h: layers.Activation("linear")(layers.Dense(3)(h)),
        lambda h: layers.Dense(3)(layers.Dropout(0.1)(layers.Dropout(0.2)(h))),
    ],
)
def test_features_are_found_before_the_head(make):
    model, hidden = functional(make)
    assert features_before_head(model) is hidden


def test_sequential_grown_layer_by_layer():
    model = keras.Sequential([keras.Input((4,), name="audio")])
    for layer in (layers.Dense(5), layers.Dropout(0.5), layers.Dense(3)):
        model.add(layer)
    assert features_before_head(model).shape == (None, 5)


def several_heads(h):
    return {"logits": layers.Dense(3)(h), "other": layers.Dense(2)(h)}


def shared_head(h):
    head = layers.Dense(5)
    return head(head(h))


class Subclassed(keras.Model):
    modalities = ("audio",)

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x):
        return self.dense(x["audio"])


def nested(h):
    inner_input = keras.Input((5,))
    inner = keras.Model(inner_input, layers.Dense(3)(inner_input))
    return inner(h)


@pytest.mark.parametrize(
    "make, why",
    [
        (nested, "nested model"),
        (shared_head, "more than once"),
        (lambda h: ops.matmul(h, np.ones((5, 3), "float32")), "operation"),
        (lambda h: ops.multiply(layers.Dense(3)(h), 2.0), "operation"),
        (lambda h: layers.BatchNormalization()(h), "not in a `Dense`"),
        (
            lambda h: layers.Add()([layers.Dense(3)(h), layers.Dense(3)(h)]),
            "merges several tensors",
        ),
        (
            lambda h: layers.GlobalAveragePooling1D()(
                layers.Conv1D(3, 1)(layers.Reshape((5, 1))(h))
            ),
            "not in a `Dense`",
        ),
    ],
)
def test_wrong_taps_ask_for_a_dict_or_tap(make, why):
    model, _ = functional(make)
    distiller = CrossModalDistiller(
        student=model, teacher=classifier("image", 6)
    )
    with pytest.raises(ValueError, match=why) as error:
        distiller.compile("adam", distillation_loss=losses.FeatureMatching())
    assert "keras_xkd.models.tap" in str(error.value)
    assert '"features"' in str(error.value)


def test_no_head_and_several_heads():
    inputs = keras.Input((4,), name="audio")
    headless = keras.Model(inputs, layers.Activation("relu")(inputs))
    with pytest.raises(ValueError, match="no `Dense` head"):
        features_before_head(headless)
    model, _ = functional(several_heads)
    distiller = CrossModalDistiller(
        student=model, teacher=classifier("image", 6)
    )
    with pytest.raises(ValueError, match="'features'.*returns.*other"):
        distiller.compile("adam", distillation_loss=losses.FeatureMatching())
    distiller.compile("adam")  # Its logits are known.


@pytest.mark.filterwarnings("ignore:No loss term depends on")
def test_subclassed_network_without_features():
    student = Subclassed()
    x, y = make_data(8)
    student({"audio": x["audio"]})
    distiller = CrossModalDistiller(
        student=student, teacher=classifier("image", 6)
    )
    with pytest.raises(ValueError, match="'features' of .*'logits'"):
        distiller.compile("adam", distillation_loss=losses.FeatureMatching())
    distiller.compile("adam", "sparse_categorical_crossentropy")
    assert np.isfinite(distiller.fit(x, y, verbose=0).history["loss"][0])


def test_tapped_student_trains():
    student = tap(classifier("audio", 4, hidden=6), {"features": "hidden"})
    teacher = tap(classifier("image", 6, hidden=6), {"features": "hidden"})
    distiller = CrossModalDistiller(student=student, teacher=teacher)
    distiller.compile(
        "adam",
        "sparse_categorical_crossentropy",
        distillation_loss=losses.FeatureMatching(),
        metrics=["accuracy"],
    )
    x, y = make_data(8)
    history = distiller.fit(x, y, verbose=0).history
    assert "accuracy" in history
    assert sorted(distiller.predict(x, verbose=0)) == ["features", "logits"]
