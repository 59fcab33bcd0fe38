import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_xkd.losses import SoftTargets
from keras_xkd.losses import soft_targets
from tests.losses import reference
from tests.test_case import gradient
from tests.test_case import to_numpy

RNG = np.random.default_rng(1)
LOGITS = hnp.arrays("float32", (2, 3, 4), elements=st.floats(-20, 20, width=32))


def test_known_values():
    # 0.25 log(0.25/0.5) + 0.75 log(0.75/0.5)
    teacher, student = np.array([[0.0, np.log(3.0)]]), np.zeros((1, 2))
    values = soft_targets(teacher, student, temperature=1.0)
    np.testing.assert_allclose(to_numpy(values), [0.1308120], rtol=1e-5)
    # T^2 KL of logits that are T times as large is T^2 times the above.
    values = soft_targets(4 * teacher, 4 * student, temperature=4.0)
    np.testing.assert_allclose(to_numpy(values), [16 * 0.1308120], rtol=1e-5)


def test_gradient_is_t_times_the_difference_of_probabilities():
    t, s = RNG.normal(size=(2, 1, 5))
    _, by_student = gradient(lambda t, s: soft_targets(t, s, 3.0)[0], t, s)
    expected = 3 * (reference.softmax(s[0] / 3) - reference.softmax(t[0] / 3))
    np.testing.assert_allclose(by_student[0], expected, rtol=1e-4, atol=1e-6)


def test_one_binary_logit_is_softmax_of_zero_and_it():
    t, s = RNG.normal(size=(2, 6, 1)) * 5

    def pair(z):
        return np.concatenate([np.zeros_like(z), z], axis=1)

    np.testing.assert_allclose(
        to_numpy(soft_targets(t, s, 2.0, "sigmoid")),
        to_numpy(soft_targets(pair(t), pair(s), 2.0)),
        rtol=1e-4,
        atol=1e-6,
    )


def test_labels_are_summed():
    t, s = RNG.normal(size=(2, 3, 4))
    single = [
        to_numpy(soft_targets(t[:, k, None], s[:, k, None], kind="sigmoid"))
        for k in range(4)
    ]
    np.testing.assert_allclose(
        to_numpy(soft_targets(t, s, kind="sigmoid")), sum(single), rtol=1e-4
    )


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_extreme_logits(kind):
    teacher = np.array([[6e4, -6e4, 0.0], [-6e4, 6e4, 6e4]])
    student = np.array([[-6e4, 6e4, 0.0], [6e4, -6e4, 0.0]])
    values = to_numpy(soft_targets(teacher, student, 4.0, kind))
    # The log-probability of what the teacher is sure of, times T^2.
    expected = {"softmax": [4 * 12e4, 4 * 12e4 - 4 * 3e4 - 16 * np.log(2)]}
    expected["sigmoid"] = [4 * 12e4, 4 * 12e4 + 16 * np.log(2)]
    np.testing.assert_allclose(values, expected[kind], rtol=1e-5)
    grads = gradient(
        lambda t, s: keras.ops.sum(soft_targets(t, s, 4.0, kind)),
        teacher,
        student,
    )
    assert np.all(np.isfinite(grads))
    # T (softmax(s/T) - softmax(t/T)), or the same of sigmoids.
    if kind == "softmax":
        np.testing.assert_allclose(
            grads[1], [[-4, 4, 0], [4, -2, -2]], atol=1e-5
        )


def test_positions_are_averaged_and_padding_left_out():
    t, s = RNG.normal(size=(2, 2, 3, 4)).astype("float32")
    rows = np.array([reference.soft_targets(a, b) for a, b in zip(t, s)])
    np.testing.assert_allclose(
        to_numpy(soft_targets(t, s)), rows.mean(axis=1), rtol=1e-4
    )
    padding = np.array([[True, True, False], [False, False, False]])
    s[~padding] = np.nan
    expected = [rows[0, :2].mean(), 0.0]
    np.testing.assert_allclose(
        to_numpy(soft_targets(t, s, padding=padding)), expected, rtol=1e-4
    )
    # The same mask, as Keras carries it on a model's output.
    student = keras.ops.convert_to_tensor(s)
    student._keras_mask = keras.ops.convert_to_tensor(padding)
    loss = SoftTargets(reduction="none")
    np.testing.assert_allclose(to_numpy(loss(t, student)), expected, rtol=1e-4)


def test_segmentation_grid():
    t, s = RNG.normal(size=(2, 2, 3, 2, 4))
    flat = [x.reshape(2, 6, 4) for x in (t, s)]
    np.testing.assert_allclose(
        to_numpy(soft_targets(t, s)), to_numpy(soft_targets(*flat)), rtol=1e-5
    )


def test_bad_arguments():
    with pytest.raises(ValueError, match="kind='sigmoid'"):
        soft_targets(np.ones((3, 1)), np.ones((3, 1)))
    with pytest.raises(ValueError, match="temperature"):
        SoftTargets(temperature=0.0)
    with pytest.raises(ValueError, match="tanh"):
        SoftTargets(kind="tanh")


@given(LOGITS, LOGITS, st.floats(0.5, 10), st.floats(-50, 50))
@settings(max_examples=8, deadline=None)
def test_not_negative_and_blind_to_a_shift(t, s, temperature, shift):
    values = to_numpy(soft_targets(t, s, temperature))
    assert values.shape == (2,)
    assert np.all(values > -1e-4)
    shifted = to_numpy(soft_targets(t + shift, s - shift, temperature))
    np.testing.assert_allclose(values, shifted, rtol=1e-2, atol=1e-2)
