"""Samples without modalities: a step as if they were not in the batch."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_xkd import losses
from keras_xkd.callbacks import StudentCheckpoint
from keras_xkd.distillers import AMID
from keras_xkd.distillers import CMCD
from keras_xkd.distillers import MKE
from keras_xkd.distillers import UMT
from keras_xkd.distillers import ContrastivePretraining
from keras_xkd.distillers import CrossModalDistiller
from keras_xkd.distillers import VideoAdviser
from keras_xkd.layers import ModalityDropout
from keras_xkd.models import LateFusion
from tests.distiller_case import classifier
from tests.distiller_case import make_data
from tests.distiller_case import set_weights
from tests.test_case import to_numpy

CE = "sparse_categorical_crossentropy"
WIDTHS = {"audio": 4, "image": 6}


def encoder(modality, units=5):
    inputs = keras.Input((WIDTHS[modality],), name=modality)
    return keras.Model(inputs, layers.Dense(units)(inputs))


def late_fusion(**kwargs):
    return LateFusion({m: encoder(m) for m in WIDTHS}, 3, **kwargs)


def both(units):
    inputs = [keras.Input((w,), name=m) for m, w in WIDTHS.items()]
    x = layers.Dense(5, activation="tanh")(layers.Concatenate()(inputs))
    return keras.Model(inputs, layers.Dense(units)(x))


def adviser():
    image = keras.Input((6,), name="image")
    hidden = layers.Dense(5, activation="tanh")(image)
    outputs = {
        "logits": layers.Dense(3)(hidden),
        "score": layers.Dense(1)(hidden),
    }
    return keras.Model(image, outputs)


SEVERAL = {
    "kd": losses.DecoupledSoftTargets(),
    "features": losses.FeatureMatching(),
    "nce": losses.InfoNCE(),
    "cmd": losses.SimilarityDistribution(),
    "cmc": losses.CrossModalContrast(),
}
METHODS = {
    "CrossModalDistiller": lambda: (
        CrossModalDistiller(
            student=classifier("audio", 4), teacher=classifier("image", 6)
        ),
        {"loss": CE, "distillation_loss": SEVERAL},
    ),
    "AMID": lambda: (
        AMID(
            student=classifier("audio", 4),
            teacher=both(3),
            auxiliary=classifier("image", 6),
            projection_dim=4,
        ),
        {"loss": CE},
    ),
    "UMT": lambda: (
        UMT(
            student=late_fusion(fusion="attention"),
            teachers={m: classifier(m, w) for m, w in WIDTHS.items()},
        ),
        {
            "loss": CE,
            "metrics": {"student": ["accuracy"], "audio": ["accuracy"]},
        },
    ),
    "MKE": lambda: (
        MKE(student=both(3), teacher=classifier("image", 6)),
        {"distillation_loss": "mse"},
    ),
    "VideoAdviser": lambda: (
        VideoAdviser(
            student=encoder("audio", 1),
            teacher=adviser(),
            class_values=range(-1, 2),
        ),
        {},
    ),
    "CMCD": lambda: (
        CMCD(student=encoder("audio"), teacher=encoder("image")),
        {
            "distillation_loss": {
                "cmd": losses.SimilarityDistribution(),
                "cmc": losses.CrossModalContrast(),
            }
        },
    ),
    "ContrastivePretraining": lambda: (
        ContrastivePretraining(
            encoder=encoder("audio"), augment=layers.Identity()
        ),
        {},
    ),
}


@pytest.mark.parametrize("method", METHODS)
def test_a_step_as_if_they_were_not_there(method):
    x, y = make_data(6, **WIDTHS)
    there = np.array([1, 0, 1, 1, 0, 1], "float32")
    broken = {
        name: np.where(there[:, None] > 0, value, np.nan)
        for name, value in x.items()
    }
    broken["present"] = dict.fromkeys(x, there)
    part = {name: value[there > 0] for name, value in x.items()}
    labels = None if method in ("MKE", "CMCD", "ContrastivePretraining") else y
    found = []
    for data, rows in [(broken, slice(None)), (part, there > 0)]:
        distiller, arguments = METHODS[method]()
        set_weights(distiller, 3)
        distiller.compile(optimizer="sgd", **arguments)
        own = () if labels is None else (labels[rows],)
        logs = distiller.train_on_batch(data, *own, return_dict=True)
        found.append((logs, distiller.get_weights()))
    (logs, weights), (expected, expected_weights) = found
    assert set(logs) == set(expected) and len(logs) > 1
    for name, value in expected.items():
        np.testing.assert_allclose(
            float(logs[name]), float(value), rtol=1e-4, err_msg=name
        )
    for one, two in zip(weights, expected_weights, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)


def test_metrics_by_role_count_what_a_role_can_answer():
    x, y = make_data(20)
    there = (np.arange(20) < 12).astype("float32")
    broken = {**x, "image": np.where(there[:, None] > 0, x["image"], np.nan)}
    broken["present"] = {"image": there, "audio": 1 - there}
    distiller, _ = METHODS["CrossModalDistiller"]()
    set_weights(distiller, 3)
    roles = dict.fromkeys(["student", "teacher"], ["accuracy"])
    distiller.compile("sgd", CE, metrics=roles)
    broken["audio"] = np.where(there[:, None] > 0, np.nan, x["audio"])
    logs = distiller.evaluate(broken, y, verbose=0, return_dict=True)
    for role, modality, rows in [
        ("student", "audio", there == 0),
        ("teacher", "image", there > 0),
    ]:
        logits = to_numpy(getattr(distiller, role)(x[modality][rows]))
        expected = np.mean(logits.argmax(1) == y[rows])
        assert logs[f"{role}_accuracy"] == pytest.approx(expected)


def test_dropout_in_a_student_leaves_its_teachers_lessons_whole(tmp_path):
    """UMT teaches every encoder of a batch, whatever the fusion drops."""
    x, y = make_data(8, **WIDTHS)
    found = []
    for dropout in (None, ModalityDropout({"audio": 1.0})):
        distiller = UMT(
            student=late_fusion(dropout=dropout),
            teachers={m: classifier(m, w) for m, w in WIDTHS.items()},
        )
        set_weights(distiller, 3)
        distiller.compile("sgd", CE)
        callback = StudentCheckpoint(tmp_path / "student.keras")
        history = distiller.fit(
            x, y, batch_size=8, verbose=0, callbacks=[callback]
        ).history
        found.append({name: value[0] for name, value in history.items()})
        loaded = keras.models.load_model(tmp_path / "student.keras")
        np.testing.assert_allclose(
            loaded.predict(x, verbose=0),
            distiller.predict(x, verbose=0),
            atol=1e-6,
        )
    plain, dropped = found
    for name in ("audio_distillation_loss", "image_distillation_loss"):
        assert dropped[name] == pytest.approx(plain[name])
    assert dropped["task_loss"] != pytest.approx(plain["task_loss"])
