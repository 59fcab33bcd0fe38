import keras
import numpy as np
import pytest
from keras import ops

from keras_xkd.utils.role_metrics import RoleMetrics
from keras_xkd.utils.role_metrics import resolve_metric

YES = np.array([0.0, 1, 1, 1])[:, None]
LOGITS = np.array([-1.0, 0.2, 0.3, -0.4])[:, None]
CLASSES = np.array([[2.0, -1, 0], [0, -3, -2], [-1, 1, 4]])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accuracy", 3 / 4),
        ("acc", 3 / 4),
        ("binary_accuracy", 3 / 4),
        ("BinaryAccuracy", 3 / 4),
        ("auc", 1.0),
        ("AUC", 1.0),
        ("Precision", 1.0),
        ("recall", 2 / 3),
        (
            "binary_crossentropy",
            np.log1p(np.exp(LOGITS * (1 - 2 * YES))).mean(),
        ),
        ("mae", np.abs(LOGITS - YES).mean()),
        ("MeanSquaredError", np.square(LOGITS - YES).mean()),
    ],
)
def test_names_read_logits_and_are_the_names_of_the_logs(name, value):
    metric = resolve_metric(name)
    assert metric.name == name
    metric.update_state(YES, LOGITS)
    assert float(metric.result()) == pytest.approx(value, rel=1e-3)


def test_accuracy_by_shape():
    for labels in (np.array([0, 1, 2]), np.eye(3)):
        metric = resolve_metric("accuracy")
        metric.update_state(labels, CLASSES)
        assert float(metric.result()) == pytest.approx(2 / 3)


def test_what_is_no_name_stays_as_it_is():
    metric = keras.metrics.BinaryAccuracy(name="probabilities")
    assert resolve_metric(metric) is metric
    assert metric.threshold == 0.5
    square = resolve_metric(keras.losses.mean_squared_error)
    assert square.name == "mean_squared_error"


def test_names_of_roles():
    given = {
        "teacher": keras.metrics.AUC(from_logits=True, name="auc"),
        "student": ["mae"],
    }
    roles = ["student", "teacher"]
    for _ in range(2):  # Compiled again, or loaded.
        metrics = RoleMetrics(given, ["acc"], roles)
        assert metrics.names == ["teacher_auc", "student_mae", "acc"]
    assert given["teacher"].name == "auc"
    shared = keras.metrics.MeanSquaredError(name="top_mse")
    metrics = RoleMetrics(
        {"top": shared, "student": shared}, None, ["top", *roles]
    )
    assert metrics.names == ["top_top_mse", "student_top_mse"]
    assert metrics.metrics[0] is not metrics.metrics[1]
    metrics = RoleMetrics(["mae"], ["mae"], roles)
    assert metrics.names == ["mae", "weighted_mae"]
    with pytest.raises(ValueError, match=r"the roles \['judge'\]"):
        RoleMetrics({"judge": "mae"}, None, roles)


@pytest.mark.parametrize(
    "metric",
    [
        keras.metrics.BinaryIoU(target_class_ids=[1], threshold=0.0),
        keras.metrics.Precision(thresholds=0.0),
        keras.metrics.AUC(from_logits=True),
        keras.metrics.BinaryAccuracy(threshold=0.0),
        keras.metrics.F1Score(average="micro"),
        keras.metrics.MeanSquaredError(),
    ],
    ids=lambda metric: metric.name,
)
# Of weights in Keras' metrics of overlap, on JAX.
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64")
def test_absent_samples_leave_metrics_of_positions(metric):
    # As many samples as positions: the mask must not be taken for theirs.
    rng = np.random.default_rng(0)
    y = (rng.random((3, 3)) > 0.5).astype("float32")
    p = y + rng.normal(size=y.shape).astype("float32") - 0.5
    metrics = RoleMetrics({"student": metric}, None, ["student"])
    present = np.array([1, 0, 1], "float32")
    (found,) = metrics.update(
        ops.array(y),
        {"student": ops.array(p)},
        None,
        present={"student": ops.array(present)},
    ).values()
    expected = type(metric).from_config(metric.get_config())
    expected.update_state(y[present > 0], p[present > 0])
    assert float(found) == pytest.approx(float(expected.result()))


def test_only_samples_with_a_label_that_a_role_can_answer():
    metrics = RoleMetrics(
        {"student": "mae", "teacher": "mae"},
        {"student": "mse"},
        ["student", "teacher"],
    )
    y, p = np.zeros((4, 1)), np.array([[1.0], [2], [4], [8]])
    labelled, present, weight = (
        np.array(v, "float32")
        for v in ([1, 1, 1, 0], [0, 1, 1, 1], [5, 3, 1, 1])
    )
    logs = metrics.update(
        ops.array(y),
        {"student": ops.array(p), "teacher": ops.array(p)},
        ops.array(weight),
        ops.array(labelled),
        {"student": ops.array(present), "teacher": None},
    )
    assert {name: float(value) for name, value in logs.items()} == {
        "student_mae": (2 + 4) / 2,
        "teacher_mae": pytest.approx((1 + 2 + 4) / 3),
        "student_mse": (3 * 4 + 16) / 4,
    }
