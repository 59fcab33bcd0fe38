import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import ops

from keras_xkd.utils.score_scale import ScoreScale
from tests.layers.attention import softmax
from tests.test_case import to_numpy


def classes(values, y):
    y = ops.array(np.asarray(y, "float32")[:, None])
    return to_numpy(ScoreScale(values, None).classes(y)).tolist()


def test_whole_numbers_are_rounded_as_acc7_rounds_them():
    """Clipped, and half to even: 0.5 and -0.5 to 0, 1.5 to 2."""
    y = [-9, -2.5, -1.5, -0.5, 0.5, 1.4, 1.5, 2.5, 2.6, 9]
    expected = np.round(np.clip(y, -3, 3)) + 3
    assert classes(range(-3, 4), y) == expected.tolist()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(-40, 40), min_size=4, max_size=4, unique=True),
    st.lists(st.integers(-500, 500), min_size=5, max_size=5),
)
def test_other_values_by_distance(values, y):
    """Values at odd tenths are never a whole number, labels never half-way."""
    values, y = np.sort(values) / 5 + 0.1, np.array(y) / 50 + 0.003
    for found, label in zip(classes(values, y), y, strict=True):
        distances = np.abs(values - label)
        assert distances[found] == pytest.approx(distances.min(), abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.floats(-3, 3, width=32) | st.just(np.nan), min_size=6, max_size=6
    )
)
def test_labels_without_gaps(y):
    y = np.array(y, "float32")
    for shaped in (y, y[:, None]):
        found, labelled = map(
            to_numpy, ScoreScale(range(7), None).labels(shaped)
        )
        assert labelled.tolist() == (~np.isnan(y)).tolist()
        assert found[:, 0].tolist() == np.nan_to_num(y).tolist()


def test_categories():
    scale = ScoreScale(None, None)
    for labels in ([2, -1, 0], [2.0, np.nan, 0.0]):
        y, labelled = scale.labels(ops.array(labels))
        assert to_numpy(labelled).tolist() == [1, 0, 1]
        assert to_numpy(scale.classes(y)).tolist() == [2, 0, 0]
    logits = np.ones((2, 3))
    assert scale.expected(logits)["score"] is logits
    assert scale.labels(None) == (None, None)


def test_expected_value():
    logits = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    values = [-1, 0.5, 4]
    found = ScoreScale(values, None).expected(ops.array(logits))["score"]
    expected = [[softmax(row) @ np.array(values)] for row in logits]
    np.testing.assert_allclose(to_numpy(found), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "values", [7, [1, 1, 2], range(3, -4, -1), [0, np.nan], [0, np.inf]]
)
def test_class_values_rise(values):
    with pytest.raises(ValueError, match="`class_values` must be finite"):
        ScoreScale(values, None)


def test_what_is_no_score_and_no_label():
    scale = ScoreScale(range(3), None)
    with pytest.raises(ValueError, match=r"student must .* \['features'\]"):
        scale.score({"features": np.ones((2, 1))}, "student")
    with pytest.raises(ValueError, match="teacher must return .*'score'"):
        scale.score({"logits": np.ones((2, 1))}, "teacher")
    with pytest.raises(ValueError, match="one label .*Received: a dict"):
        scale.labels({"score": np.ones(2)})
