"""What a method returns by mistake, and what is said about it."""

import numpy as np
import pytest

from keras_xkd.distillers import Distiller
from keras_xkd.models import tap
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
