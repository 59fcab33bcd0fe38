import numpy as np
import pytest

from keras_xkd.datasets import correlated_gaussians
from keras_xkd.diagnostics import complementarity
from keras_xkd.diagnostics import mutual_information
from tests.test_case import assert_golden


def scores(rho, noise, count=2500, seed=0):
    """Two logits with correlation rho, and labels that the student sees."""
    rng = np.random.default_rng(seed)
    student, other, error = rng.normal(size=(3, count, 1))
    teacher = rho * student + np.sqrt(1 - rho**2) * other
    labels = (student + noise * error > 0).astype("int32")[:, 0]
    return teacher, student, labels


@pytest.mark.parametrize(
    ("rho", "verdict"), [(0.1, "not"), (0.7, "help"), (0.95, "help")]
)
def test_both_sides_and_their_difference(rho, verdict):
    teacher, student, labels = scores(rho, noise=1.5)
    found = complementarity(teacher, student, labels)
    known = -np.log(1 - rho**2) / 2
    assert found.teacher_student == pytest.approx(known, abs=0.07)
    direct = mutual_information(student, labels, classifier="linear")
    assert found.student_labels == pytest.approx(direct.estimate, abs=1e-6)
    assert found.student_labels_interval == pytest.approx(
        direct.interval, abs=1e-6
    )
    assert found.difference == pytest.approx(
        found.teacher_student - found.student_labels, abs=1e-3
    )
    assert found.verdict == verdict
    sign = {"not": "<", "help": ">"}[verdict]
    assert (
        f"to help: {found.teacher_student:.2f} {sign} "
        f"{found.student_labels:.2f} nats"
    ) in str(found)
    assert ("not expected" in str(found)) == (verdict == "not")


def test_unclear_where_both_sides_are_close():
    teacher, student, labels = scores(0.5, noise=1.3, count=300)
    found = complementarity(teacher, student, labels)
    low, high = found.difference_interval
    assert low < 0 < high
    assert found.verdict == "unclear"
    assert str(found).startswith("unclear whether distillation helps: ")


# The gain is significantly negative up to 0.25, positive from 0.43 on.
VERDICTS = {0.0: "not", 0.11: "not", 0.25: "not", 0.67: "help", 1.0: "help"}


@pytest.mark.parametrize("gamma", VERDICTS)
def test_gaussians_of_known_gain(gamma):
    _, (x, labels) = correlated_gaussians.load_data(gamma, seed=1)
    found = complementarity(x["teacher"], x["student"], labels)
    assert found.verdict == VERDICTS[gamma]
    literal = complementarity(
        x["teacher"], x["student"], labels, compare="features"
    )
    # One shared dimension is enough for the inequality as it stands.
    assert literal.verdict == ("not" if gamma == 0 else "help")
    assert literal.student_labels == found.student_labels
    assert "relevant or not" in str(literal)
    assert "relevant or not" not in str(found)
    assert_golden(
        f"complementarity/{gamma}",
        [found.teacher_student, found.student_labels],
        rtol=1e-3,
        atol=2e-3,
    )


def test_what_does_not_decide_counts_for_nothing():
    teacher, student, labels = scores(0.2, noise=1.0, count=2000)
    common = np.random.default_rng(9).normal(size=(2000, 3))
    wide = [np.concatenate([x, common], 1) for x in (teacher, student)]
    assert complementarity(*wide, labels).verdict == "not"
    literal = complementarity(*wide, labels, compare="features")
    assert literal.verdict == "help"


def test_several_classes():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 1500)
    student = 1.5 * np.eye(3)[labels] + rng.normal(size=(1500, 3))
    teacher = student + 0.3 * rng.normal(size=(1500, 3))
    other = 1.5 * np.eye(3)[labels] + 3 * rng.normal(size=(1500, 3))
    assert complementarity(teacher, student, labels).verdict == "help"
    assert complementarity(other, student, labels).verdict == "not"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"teacher": np.ones(40)}, r"`teacher` of shape"),
        ({"student": np.ones((30, 2))}, r"Row i.*\(30, 2\)"),
        ({"labels": np.zeros(40)}, "two or more classes"),
        ({"compare": "logits"}, "`compare`.*'logits'"),
        ({"critic": "best"}, "`critic`"),
        ({"confidence": 2}, "`confidence`"),
    ],
)
def test_errors(change, message):
    good = {"teacher": np.eye(40, 3), "student": np.eye(40, 3)}
    good["labels"] = np.arange(40) % 2
    with pytest.raises(ValueError, match=message):
        complementarity(**{**good, **change})
