"""What a method returns by mistake, and what is said about it."""

import keras
import numpy as np
import pytest

from keras_xkd.distillers import Distiller
from keras_xkd.models import tap
from keras_xkd.utils.step_result import checked_labels
from tests.distiller_case import classifier
from tests.distiller_case import make_data
from tests.distiller_case import same
from tests.distiller_case import snapshot

CE = "sparse_categorical_crossentropy"


class Returns(Distiller):
    """Returns what `mistake` makes of the right thing."""

    def compute_losses(self, x, y, sample_weight, training):
        student = self.run("student", x, training)
        terms = self.task_terms(y, student, sample_weight)
        return self.mistake({"student": student}, terms)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda o, t: None, "three dicts.*NoneType"),
        (lambda o, t: t, "three dicts.*dict"),
        (lambda o, t: (o, t), "a tuple of 2: dict, dict"),
        (lambda o, t: (o, t, None), "The logs .* a dict.*NoneType"),
        (lambda o, t: (o, [t["task"]], {}), "The terms .* a list of 1"),
        (lambda o, t: (o["student"]["logits"], t, {}), "The outputs .* dict"),
        (
            lambda o, t: ({"student": o["student"]["logits"]}, t, {}),
            "outputs of 'student' must be a dict of tensors",
        ),
        (lambda o, t: (o, {"task": None}, {}), "term 'task'.*NoneType"),
        (lambda o, t: (o, t, {"note": "text"}), "log 'note'.*str"),
        (lambda o, t: ({}, t, {}), "metrics of \\['student'\\].*return"),
    ],
)
def test_mistakes_are_named_and_nothing_changes(mistake, message):
    distiller = Returns(student=classifier("audio", 4))
    distiller.mistake = mistake
    distiller.compile("sgd", CE, metrics=["accuracy"])
    x, y = make_data(audio=4)
    before = snapshot(distiller)
    with pytest.raises(ValueError, match=message):
        distiller.fit(x, y, verbose=0)
    assert same(before, distiller)


def test_metrics_of_a_role_need_its_outputs():
    given = {"student": classifier("audio", 4), "teacher": classifier("a", 4)}
    distiller = Returns(**given)
    distiller.mistake = lambda o, t: (o, t, {})
    distiller.compile("sgd", CE, metrics={"teacher": ["accuracy"]})
    x, y = make_data(audio=4)
    with pytest.raises(ValueError, match="metrics of \\['teacher'\\]"):
        distiller.fit(x, y, verbose=0)


def test_numbers_and_other_mappings_are_fine():
    distiller = Returns(student=classifier("audio", 4))
    distiller.mistake = lambda o, t: [o, {**t, "const": 0.5}, {"log": 2}]
    distiller.compile("sgd", CE, metrics=["accuracy"])
    x, y = make_data(audio=4)
    logs = distiller.train_on_batch(x, y, return_dict=True)
    np.testing.assert_allclose(logs["loss"], logs["task_loss"] + 0.5, 1e-6)
    assert logs["const_loss"] == 0.5 and logs["log"] == 2


def test_evaluate_asks_for_compile():
    distiller = Returns(student=classifier("audio", 4))
    x, y = make_data(audio=4)
    with pytest.raises(ValueError, match="`compile`"):
        distiller.evaluate(x, y, verbose=0)


def test_a_tapped_student_predicts_all_its_outputs():
    student = classifier("audio", 4)
    student = tap(student, {"hidden": student.layers[-2].name})
    distiller = Returns(student=student)
    x, _ = make_data(audio=4)
    predicted = distiller.predict(x, verbose=0)
    assert set(predicted) == {"logits", "hidden"}


@pytest.mark.parametrize("role", ["labels", "run", "fit", "frozen", "call"])
def test_roles_do_not_replace_methods(role):
    with pytest.raises(ValueError, match=f"attributes.*{role}"):
        Returns(student=classifier("audio", 4), **{role: classifier("a", 4)})


def test_terms_of_a_player_are_a_tuple():
    class Comma(Returns):
        players = {"student": None, "critic": ("critic")}

    distiller = Comma(student=classifier("a", 4), critic=classifier("b", 4))
    with pytest.raises(ValueError, match="a tuple is \\('critic',\\)"):
        distiller.compile("sgd", CE)


def test_probabilities_are_refused():
    inputs = keras.Input((4,), name="audio")
    outputs = keras.layers.Dense(3, activation="softmax")(inputs)
    distiller = Returns(student=keras.Model(inputs, outputs))
    with pytest.raises(ValueError, match="ends in a softmax"):
        distiller.compile("sgd", CE)


class Labelled(Returns):
    """Says which samples have a label."""

    mistake = staticmethod(lambda o, t: (o, t, {}))

    def labels(self, y):
        return keras.ops.maximum(y, 0), y >= 0


def test_labels_are_not_asked_for_where_there_are_none():
    class Free(Labelled):
        def compute_losses(self, x, y, sample_weight, training):
            outputs, terms, _ = super().compute_losses(
                x, y, sample_weight, training
            )
            logits = outputs["student"]["logits"]
            terms["size"] = keras.ops.mean(keras.ops.square(logits), axis=-1)
            return outputs, terms, {}

    distiller = Free(student=classifier("audio", 4))
    distiller.compile("sgd", CE, metrics=["accuracy"])
    x, y = make_data(audio=4)
    history = distiller.fit(x, validation_data=(x,), verbose=0).history
    assert set(history) == {"loss", "size_loss", "val_loss", "val_size_loss"}
    assert "accuracy" in distiller.fit(x, y, verbose=0).history


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda y: y, "`labels` must return two things"),
        (lambda y: (y >= 0, y), "the labels first.*a mask first"),
        (lambda y: (y, y >= 0, y), "Received: a tuple of 3"),
    ],
)
def test_what_labels_must_return(wrong, message):
    class Wrong(Labelled):
        labels = staticmethod(wrong)

    distiller = Wrong(student=classifier("audio", 4))
    distiller.compile("sgd", CE, metrics=["accuracy"])
    before = snapshot(distiller)
    x, y = make_data(audio=4)
    with pytest.raises(ValueError, match=message):
        distiller.fit(x, y, verbose=0)
    assert same(before, distiller)


@pytest.mark.parametrize("y", [{"a": np.zeros(2)}, np.zeros(2), [1, 2]])
def test_labels_may_be_of_any_kind(y):
    mask = np.array([True, False])
    for given in (mask, np.float32(mask), None):
        assert checked_labels((y, given)) == (y, given)


@pytest.mark.parametrize("where", ["labels", "metric"])
def test_errors_of_the_users_are_shown(where):
    class Fails(Labelled):
        def labels(self, y):
            if where == "labels":
                raise RuntimeError("my own mistake")
            return super().labels(y)

    class Wrong(keras.metrics.Mean):
        def update_state(self, *args, **kwargs):
            raise RuntimeError("my own mistake")

    distiller = Fails(student=classifier("audio", 4))
    metric = Wrong() if where == "metric" else "accuracy"
    distiller.compile("sgd", CE, metrics=[metric])
    x, y = make_data(audio=4)
    with pytest.raises(RuntimeError, match="my own mistake"):
        distiller.fit(x, y, verbose=0)


def test_a_fit_that_failed_can_be_repeated():
    distiller = Labelled(student=classifier("audio", 4))
    distiller.compile("sgd", CE, metrics=["accuracy"])
    x, y = make_data(audio=4)
    with pytest.raises(Exception):  # noqa: B017  # Of the backend.
        distiller.fit({"audio": x["audio"][:, :2]}, y, verbose=0)
    assert "accuracy" in distiller.fit(x, y, verbose=0).history


def test_a_wrong_term_in_set_loss_weight_can_be_corrected():
    distiller = Labelled(student=classifier("audio", 4))
    distiller.compile("sgd", CE)
    distiller.set_loss_weight("tsk", 2.0)
    x, y = make_data(audio=4)
    for _ in range(2):
        with pytest.raises(ValueError, match="`set_loss_weight`.*'tsk'"):
            distiller.fit(x, y, verbose=0)
    distiller.set_loss_weight("task", 3.0)
    logs = distiller.fit(x, y, verbose=0).history
    np.testing.assert_allclose(logs["loss"], 3 * logs["task_loss"][0], 1e-5)
    assert distiller.loss_weights == {"task": 3.0}


def test_a_missing_modality_names_the_role():
    distiller = Labelled(student=classifier("audio", 4))
    distiller.compile("sgd", CE)
    with pytest.raises(ValueError, match="The student: .*'audio' is missing"):
        distiller.fit({"image": np.ones((4, 4))}, np.zeros(4), verbose=0)


def test_frozen_roles_must_be_there():
    class Typing(Returns):
        frozen = ("teachers",)

    given = {"student": classifier("a", 4), "teacher": classifier("b", 4)}
    with pytest.raises(ValueError, match=r"\['teachers'\].*'teacher'"):
        Typing(**given)
