"""The student alone, in the formats in which it is deployed."""

import keras
import numpy as np
import pytest

from keras_xkd import losses
from keras_xkd.distillers import CrossModalDistiller
from tests.distiller_case import classifier
from tests.distiller_case import make_data


@pytest.fixture
def trained():
    x, y = make_data(16)
    distiller = CrossModalDistiller(
        student=classifier("audio", 4), teacher=classifier("image", 6, hidden=8)
    )
    distiller.compile(
        "adam",
        "sparse_categorical_crossentropy",
        distillation_loss={
            "kd": losses.SoftTargets(),
            "features": losses.FeatureMatching(),
        },
    )
    distiller.fit(x, y, verbose=0)
    return distiller, x


def test_keras_file_needs_neither_teacher_nor_projection(trained, tmp_path):
    distiller, x = trained
    distiller.student.save(tmp_path / "student.keras")
    student = keras.models.load_model(tmp_path / "student.keras")
    assert len(student.weights) == 4
    np.testing.assert_allclose(
        student.predict(x["audio"], verbose=0),
        distiller.predict(x, verbose=0),
        rtol=1e-5,
    )


@pytest.mark.filterwarnings("ignore")  # Of the exporters themselves.
def test_onnx(trained, tmp_path):
    import onnxruntime

    distiller, x = trained
    path = str(tmp_path / "student.onnx")
    distiller.student.export(path, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(path)
    name = session.get_inputs()[0].name
    (logits,) = session.run(None, {name: x["audio"]})
    np.testing.assert_allclose(
        logits, distiller.predict(x, verbose=0), atol=1e-5
    )


@pytest.mark.filterwarnings("ignore")
def test_saved_model(trained, tmp_path):
    import tensorflow as tf

    distiller, x = trained
    path = str(tmp_path / "saved_model")
    if keras.backend.backend() == "torch":
        # Keras cannot do this on PyTorch: the README says so.
        with pytest.raises(Exception, match="torch"):
            distiller.student.export(path, verbose=False)
        return
    distiller.student.export(path, verbose=False)
    loaded = tf.saved_model.load(path)
    logits = loaded.serve(x["audio"])
    np.testing.assert_allclose(
        np.array(logits), distiller.predict(x, verbose=0), atol=1e-5
    )
