import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import ops

from keras_xkd.losses import DecoupledSoftTargets
from keras_xkd.losses import decoupled_soft_targets
from keras_xkd.losses import soft_targets
from tests.losses import reference
from tests.test_case import gradient
from tests.test_case import to_numpy

RNG = np.random.default_rng(2)
T, S = RNG.normal(size=(2, 4, 5))
LABELS = np.array([0, 4, 2, 2])


@pytest.mark.parametrize(
    "labels",
    [
        LABELS,
        LABELS[:, None],
        LABELS.astype("float32"),
        LABELS[:, None].astype("float32"),
        np.eye(5)[LABELS],
        np.eye(5, dtype="int32")[LABELS],
    ],
    ids=["sparse", "column", "float", "float_column", "one_hot", "int_one_hot"],
)
def test_forms_of_labels(labels):
    values = DecoupledSoftTargets(reduction="none")(T, S, labels=labels)
    np.testing.assert_allclose(
        to_numpy(values), reference.decoupled(T, S, LABELS), rtol=1e-4
    )


def test_sum_of_the_parts_is_soft_targets():
    """KD = target + (1 - p_y) * others: the identity of the paper."""
    rest = [1 - reference.softmax(t / 4)[label] for t, label in zip(T, LABELS)]
    target = to_numpy(decoupled_soft_targets(T, S, LABELS, 1.0, 0.0))
    others = to_numpy(decoupled_soft_targets(T, S, LABELS, 0.0, 1.0))
    np.testing.assert_allclose(
        target + np.array(rest) * others,
        to_numpy(soft_targets(T, S)),
        rtol=1e-4,
    )


def test_others_do_not_see_the_target_logit():
    _, by_student = gradient(
        lambda t, s: ops.sum(decoupled_soft_targets(t, s, LABELS, 0.0)), T, S
    )
    assert np.all(by_student[np.arange(4), LABELS] == 0)
    assert np.all(by_student[0, 1:] != 0)


def test_two_classes_have_no_others():
    values = decoupled_soft_targets(T[:, :2], S[:, :2], LABELS % 2, alpha=0.0)
    np.testing.assert_allclose(to_numpy(values), 0, atol=1e-6)


def test_a_sure_teacher():
    """`log(1 - p)` where `p` rounds to one, with the target at +-6e4."""
    teacher = np.array([[6e4, 0.0, 0.0], [-6e4, 0.0, 0.0]])
    student = np.zeros((2, 3))
    labels = np.zeros(2)
    values = to_numpy(decoupled_soft_targets(teacher, student, labels))
    # KL([1, 0] || [1/3, 2/3]) and KL([0, 1] || [1/3, 2/3]), times 16.
    expected = [16 * np.log(3), 16 * np.log(1.5)]
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    grads = gradient(
        lambda t, s: ops.sum(decoupled_soft_targets(t, s, labels)),
        student,
        teacher,
    )
    assert np.all(np.isfinite(grads))


def test_labels_are_needed():
    with pytest.raises(ValueError, match="needs labels"):
        DecoupledSoftTargets()(T, S)
    with pytest.raises(ValueError, match=r"labels of shape \(4, 3\)"):
        decoupled_soft_targets(T, S, np.ones((4, 3)))
    with pytest.raises(ValueError, match="two or more classes"):
        decoupled_soft_targets(T[:, :1], S[:, :1], LABELS)


@given(st.integers(2, 6), st.integers(0, 2**16), st.floats(-30, 30))
@settings(max_examples=8, deadline=None)
def test_not_negative_and_blind_to_a_shift(classes, seed, shift):
    rng = np.random.default_rng(seed)
    t, s = rng.normal(size=(2, 3, classes)) * 5
    labels = rng.integers(0, classes, 3)
    values = to_numpy(decoupled_soft_targets(t, s, labels))
    assert values.shape == (3,)
    assert np.all(values > -1e-4)
    shifted = to_numpy(decoupled_soft_targets(t, s + shift, labels))
    np.testing.assert_allclose(values, shifted, rtol=1e-3, atol=1e-3)
