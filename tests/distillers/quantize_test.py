"""A distilled student in int8, by Keras' own `quantize`."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_xkd import losses
from keras_xkd.diagnostics.storage import weight_bytes
from keras_xkd.distillers import CrossModalDistiller
from keras_xkd.models import LateFusion
from keras_xkd.models import LinearProbe
from keras_xkd.utils import select_modalities
from tests.distiller_case import classifier
from tests.distiller_case import make_data
from tests.distiller_case import set_weights
from tests.test_case import to_numpy

pytestmark = [
    # Keras names every layer that it leaves as it is.
    pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize`"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't"),
]


def encoder(modality, width):
    inputs = keras.Input((width,), name=modality)
    return keras.Model(inputs, layers.Dense(64, activation="relu")(inputs))


def late_fusion(fusion="attention"):
    encoders = {"audio": encoder("audio", 4), "image": encoder("image", 6)}
    head = keras.Sequential([layers.Dense(64), layers.Dense(3)])
    if fusion == "concat":
        return LateFusion(encoders, units=3, dropout=0.3)
    return LateFusion(encoders, head=head, fusion=fusion)


STUDENTS = {
    "dense": lambda: classifier("audio", 4, hidden=200),
    "LateFusion": late_fusion,
    "LateFusion with units": lambda: late_fusion("concat"),
}


@pytest.mark.parametrize("kind", STUDENTS)
def test_int8(kind, tmp_path):
    x, y = make_data(16)
    student = STUDENTS[kind]()
    set_weights(student, 1)
    distiller = CrossModalDistiller(
        student=student, teacher=classifier("image", 6)
    )
    distiller.compile(
        "sgd",
        "sparse_categorical_crossentropy",
        distillation_loss=losses.SoftTargets(),
    )
    distiller.train_on_batch(x, y)
    before = distiller.predict(x, verbose=0)
    size = weight_bytes(student)
    student.quantize("int8")
    own = select_modalities(x, student)
    found = student.predict(own, verbose=0)
    close = 0.03 * np.abs(before).max()
    np.testing.assert_allclose(found, before, atol=close)
    assert not np.array_equal(found, before)
    assert weight_bytes(student) < 0.6 * size
    student.save(tmp_path / "int8.keras")
    loaded = keras.models.load_model(tmp_path / "int8.keras")
    assert weight_bytes(loaded) == weight_bytes(student)
    np.testing.assert_allclose(loaded.predict(own, verbose=0), found, atol=1e-6)
    assert {"int8", "float32"} == {str(v.dtype) for v in loaded.weights}


def test_what_keras_leaves_as_it_is():
    inputs = keras.Input((6, 6, 2), name="image")
    x = layers.LayerNormalization()(layers.Conv2D(4, 3)(inputs))
    student = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    student.quantize("int8")
    quantized = {n.name for n in student.layers if n.quantization_mode}
    assert quantized == {student.layers[-1].name}


def test_attention_by_its_weights(tmp_path):
    """Keras saves quantized attention, but does not load it as a model."""
    x = np.random.default_rng(0).normal(size=(4, 5, 8)).astype("float32")
    inputs = keras.Input((5, 8), name="audio")
    tokens = layers.MultiHeadAttention(2, 4)(inputs, inputs)
    student = keras.Model(inputs, layers.Dense(3)(tokens[:, 0]))
    again = keras.models.clone_model(student)
    student.quantize("int8")
    student.save_weights(tmp_path / "int8.weights.h5")
    again.quantize("int8")
    again.load_weights(tmp_path / "int8.weights.h5")
    np.testing.assert_array_equal(
        again.predict(x, verbose=0), student.predict(x, verbose=0)
    )


def test_a_copy_is_quantized_and_the_student_is_not():
    x, _ = make_data(4)
    student = late_fusion("concat")
    copy = keras.models.clone_model(student)
    copy.set_weights(student.get_weights())
    expected = to_numpy(student(x))
    copy.quantize("int4")
    np.testing.assert_array_equal(to_numpy(student(x)), expected)
    np.testing.assert_allclose(
        to_numpy(copy(x)), expected, atol=0.4 * np.abs(expected).max()
    )


def test_a_linear_probe(tmp_path):
    x, _ = make_data(16)
    probe = LinearProbe(encoder("audio", 4), 3)
    expected = probe.predict(x["audio"], verbose=0)
    probe.quantize("int8")
    found = probe.predict(x["audio"], verbose=0)
    close = 0.03 * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, atol=close)
    probe.save(tmp_path / "int8.keras")
    loaded = keras.models.load_model(tmp_path / "int8.keras")
    np.testing.assert_allclose(
        loaded.predict(x["audio"], verbose=0), found, atol=1e-6
    )
    assert probe.head.quantization_mode == loaded.head.quantization_mode
