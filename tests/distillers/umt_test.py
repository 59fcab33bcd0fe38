import keras
import numpy as np
import pytest
from keras import layers

from keras_xkd import losses
from keras_xkd.distillers import UMT
from keras_xkd.models import LateFusion
from tests.distiller_case import classifier
from tests.distiller_case import make_data
from tests.distiller_case import moved_by
from tests.distiller_case import run_distiller_test
from tests.distiller_case import same
from tests.distiller_case import set_weights
from tests.distiller_case import snapshot
from tests.test_case import assert_golden
from tests.test_case import to_numpy

CE = "sparse_categorical_crossentropy"
WIDTHS = {"audio": 4, "image": 6}
LOGS = ["audio_distillation_loss", "image_distillation_loss", "loss"]


def encoder(modality, units=5, batch_norm=False, dropout=0.0):
    inputs = keras.Input((WIDTHS[modality],), name=modality)
    x = layers.Dense(units, activation="relu")(inputs)
    if batch_norm:
        x = layers.BatchNormalization()(x)
    if dropout:
        x = layers.Dropout(dropout, seed=3)(x)
    return keras.Model(inputs, x, name=f"{modality}_encoder")


def make_student(**kwargs):
    return LateFusion({n: encoder(n, **kwargs) for n in ("image", "audio")}, 3)


def make(teachers=("audio", "image"), batch_norm=True, **kwargs):
    networks = {
        name: classifier(name, WIDTHS[name], batch_norm=batch_norm)
        for name in teachers
    }
    student = make_student(batch_norm=batch_norm)
    return UMT(student=student, teachers=networks, **kwargs)


def evaluate(distiller, x, y=None, **kwargs):
    return distiller.evaluate(x, y, verbose=0, return_dict=True, **kwargs)


def test_all_checks(tmp_path):
    x, y = make_data()
    distiller = run_distiller_test(
        make,
        lambda: dict(optimizer="adam", loss=CE, metrics=["accuracy"]),
        x,
        y,
        ["accuracy", *LOGS, "task_loss"],
        tmp_path,
    )
    # Without labels only the distillation terms remain.
    with pytest.warns(UserWarning, match="head/kernel"):
        history = distiller.fit(x, verbose=0).history
    assert sorted(history) == LOGS


def test_weight_zero_equals_joint_training():
    x, y = make_data(64)
    student = make_student(batch_norm=True, dropout=0.3)
    set_weights(student, 1)
    joint = LateFusion.from_config(student.get_config())
    joint.set_weights(student.get_weights())
    distiller = UMT(
        student=student,
        teachers={n: classifier(n, w) for n, w in WIDTHS.items()},
    )
    zero = {"audio_distillation": 0, "image_distillation": 0}
    distiller.compile(keras.optimizers.Adam(0.01), CE, loss_weights=zero)
    joint.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    arguments = dict(batch_size=16, epochs=3, shuffle=False, verbose=0)
    ours = distiller.fit(x, y, **arguments).history
    theirs = joint.fit(x, y, **arguments).history
    np.testing.assert_allclose(ours["loss"], theirs["loss"], rtol=1e-6)
    for a, b in zip(student.get_weights(), joint.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_each_term_moves_its_encoder_and_the_head_learns_from_labels():
    x, y = make_data()
    distiller = make()
    set_weights(distiller, 2)
    distiller.compile("adam", CE)
    assert distiller.loss_weights == {
        "task": 1.0,
        "audio_distillation": 10.0,
        "image_distillation": 10.0,
    }
    parts = {
        **distiller.student.encoders,
        "head": distiller.student.head,
    }
    moved = {
        term: moved_by(distiller, term, x, y, parts)
        for term in distiller.loss_weights
    }
    assert moved == {
        "task": {"audio", "image", "head"},
        "audio_distillation": {"audio"},
        "image_distillation": {"image"},
    }
    assert moved_by(distiller, "task", x, y) == {"student"}
    assert moved_by(distiller, "audio_distillation", x, y) == {"student"}


def test_zero_when_encoders_equal_teachers_and_warm_start():
    x, y = make_data()
    distiller = make(warm_start=True)
    distiller.compile("adam", CE)
    logs = evaluate(distiller, x, y)
    assert logs["audio_distillation_loss"] == 0
    assert logs["image_distillation_loss"] == 0
    assert logs["task_loss"] > 0
    fresh = make()
    fresh.compile("adam", CE)
    assert evaluate(fresh, x, y)["audio_distillation_loss"] > 0


def test_teachers_and_their_statistics_stay():
    x, y = make_data()
    distiller = make()
    before = [snapshot(t) for t in distiller.teachers.values()]
    student = snapshot(distiller.student)
    distiller.compile("adam", CE)
    distiller.fit(x, y, batch_size=8, epochs=2, verbose=0)
    for old, teacher in zip(before, distiller.teachers.values(), strict=True):
        assert any("moving" in v.path for v in teacher.variables)
        assert same(old, teacher)
    # The student's own statistics do move.
    moved = [
        v.name
        for old, v in zip(student, distiller.student.weights, strict=True)
        if not np.array_equal(old, to_numpy(v.value))
    ]
    assert moved.count("moving_mean") == 2


def test_values():
    x, y = make_data(8)
    distiller = make(batch_norm=False)
    set_weights(distiller, 3)
    distiller.compile("adam", CE)
    logs = evaluate(distiller, x, y)
    features = distiller.student.encode(x)
    for name, teacher in distiller.teachers.items():
        kernel, bias = teacher.get_layer("hidden").get_weights()
        target = np.maximum(x[name] @ kernel + bias, 0)
        total = 0.0
        for row, wanted in zip(to_numpy(features[name]), target, strict=True):
            for one, other in zip(row, wanted, strict=True):
                total += (one - other) ** 2 / target.size
        log = f"{name}_distillation_loss"
        np.testing.assert_allclose(logs[log], total, rtol=1e-5)
        assert_golden(f"umt/{log}", logs[log])
    assert_golden("umt/task_loss", logs["task_loss"])
    expected = logs["task_loss"]
    for name in WIDTHS:
        expected += 10 * logs[f"{name}_distillation_loss"]
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)


def test_absent_samples_have_nothing_to_imitate():
    x, y = make_data(16)
    there = np.arange(16) < 10
    mask = {"image": there.astype("float32")}
    broken = {
        **x,
        "image": np.where(there[:, None], x["image"], np.nan),
        "present": mask,
    }
    distiller = make()
    set_weights(distiller, 4)
    distiller.compile("adam", CE)
    logs = evaluate(distiller, broken, y, batch_size=16)
    part = {name: value[:10] for name, value in x.items()}
    few = evaluate(distiller, part, y[:10], batch_size=16)
    every = evaluate(distiller, x, y, batch_size=16)
    name = "image_distillation_loss"
    np.testing.assert_allclose(logs[name], few[name], rtol=1e-4)
    name = "audio_distillation_loss"
    np.testing.assert_allclose(logs[name], every[name], rtol=1e-4)
    # Audio alone is enough for the task: all samples count there.
    logits = to_numpy(distiller.student(broken)).astype("float64")
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(16), y]
    np.testing.assert_allclose(logs["task_loss"], losses.mean(), rtol=1e-4)
    history = distiller.fit(broken, y, batch_size=8, verbose=0).history
    assert np.all(np.isfinite(list(history.values())))


def test_other_losses_and_a_teacher_for_some():
    x, y = make_data()
    distiller = make(teachers=("audio",))
    distiller.compile(
        "adam",
        CE,
        distillation_loss={
            "contrast": losses.ContrastiveRepresentation(queue=32),
            "distance": losses.RelationalDistance(),
        },
        metrics={"student": ["accuracy"], "audio": ["accuracy"]},
    )
    assert distiller.loss_weights == {
        "task": 1.0,
        "audio_contrast": 5.0,
        "audio_distance": 5.0,
    }
    history = distiller.fit(x, y, batch_size=8, verbose=0).history
    assert {"audio_contrast_loss", "audio_accuracy"} < set(history)
    assert np.all(np.isfinite(list(history.values())))


class LogitsOnly(keras.Model):
    """A subclassed network without features."""

    modalities = ("audio",)

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(3)

    def call(self, x):
        return self.dense(x["audio"])


def test_refuses_teachers_that_do_not_fit():
    audio = classifier("audio", 4)
    for teachers, message in [
        ({"video": audio}, "teacher of 'video', but no such encoder"),
        ({"image": audio}, r"encoder reads, \['image'\].*reads \['audio'\]"),
        (
            {"audio": classifier("audio", 4, hidden=7, name="wide")},
            r"'audio_encoder', has 5 features.*'wide'.*\(None, 7\)",
        ),
        ({"audio": encoder("audio")}, "'audio_encoder'"),
        (audio, "must be a dict"),
        ({}, "at least 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            UMT(student=make_student(), teachers=teachers)
    with pytest.raises(ValueError, match="must be a `.*LateFusion`"):
        UMT(student=audio, teachers={"audio": audio})
    teacher = LogitsOnly(name="plain")
    teacher({"audio": np.zeros((1, 4))})
    with pytest.raises(ValueError, match=r"'features' of 'plain'.*\['logits'"):
        UMT(student=make_student(), teachers={"audio": teacher})


def test_refuses_a_warm_start_of_another_structure():
    inputs = keras.Input((4,), name="audio")
    x = layers.Dense(5)(layers.Dense(2)(inputs))
    deeper = keras.Model(inputs, layers.Dense(3)(x))
    student = make_student()
    before = snapshot(student)
    with pytest.raises(ValueError, match="must have the structure"):
        UMT(student=student, teachers={"audio": deeper}, warm_start=True)
    assert same(before, student)


def test_refuses_losses_of_other_outputs_and_shared_encoders():
    distiller = make()
    with pytest.raises(
        ValueError, match="SoftTargets, which compares 'logits'"
    ):
        distiller.compile("adam", CE, distillation_loss=losses.SoftTargets())
    own = encoder("audio")
    teacher = keras.Model(own.input, layers.Dense(3)(own.output))
    student = LateFusion({"audio": own, "image": encoder("image")}, 3)
    distiller = UMT(student=student, teachers={"audio": teacher})
    with pytest.raises(ValueError, match="frozen role 'teachers'"):
        distiller.compile("adam", CE)
