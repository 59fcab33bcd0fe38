import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import ops

from keras_xkd.losses import FeatureMatching
from keras_xkd.losses import feature_matching
from tests.losses.reference import softmax
from tests.test_case import assert_golden
from tests.test_case import gradient
from tests.test_case import to_numpy

RNG = np.random.default_rng(3)


def features(*shape):
    return RNG.normal(size=shape).astype("float32")


def mean_square(t, s):
    return np.mean((t - s) ** 2, axis=tuple(range(1, t.ndim)))


def test_mean_over_all_axes_but_the_batch():
    t, s = features(2, 3, 4, 5), features(2, 3, 4, 5)
    np.testing.assert_allclose(
        to_numpy(feature_matching(t, s)), mean_square(t, s), rtol=1e-5
    )


def test_padding():
    t, s = features(2, 3, 4), features(2, 3, 4)
    padding = np.array([[1, 1, 0], [0, 0, 0]], "bool")
    expected = [np.mean((t[0, :2] - s[0, :2]) ** 2), 0]
    s[~padding] = np.nan
    student = ops.convert_to_tensor(s)
    student._keras_mask = ops.convert_to_tensor(padding)
    loss = FeatureMatching(reduction="none")
    np.testing.assert_allclose(to_numpy(loss(t, student)), expected, rtol=1e-5)


@pytest.mark.parametrize(("old", "new"), [(3, 6), (6, 3), (5, 7), (4, 1)])
def test_interpolate_tokens(old, new):
    t, s = features(2, new, 3), features(2, old, 3)
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    moved = np.array(
        [
            [np.interp(centres, np.arange(old), row[:, k]) for k in range(3)]
            for row in s
        ]
    ).transpose(0, 2, 1)
    np.testing.assert_allclose(
        to_numpy(feature_matching(t, s, "interpolate")),
        mean_square(t, moved),
        rtol=1e-4,
    )


@pytest.mark.parametrize(("old", "new"), [((2, 3), (4, 5)), ((6, 4), (3, 4))])
def test_interpolate_grid_is_bilinear_resize(old, new):
    t, s = features(2, *new, 3), features(2, *old, 3)
    resized = to_numpy(
        ops.image.resize(s, new, "bilinear", data_format="channels_last")
    )
    np.testing.assert_allclose(
        to_numpy(feature_matching(t, s, "interpolate")),
        mean_square(t, resized),
        rtol=1e-4,
    )


def test_interpolate_equal_positions_is_plain():
    t, s = features(2, 4, 3), features(2, 4, 3)
    np.testing.assert_array_equal(
        to_numpy(feature_matching(t, s, "interpolate")),
        to_numpy(feature_matching(t, s)),
    )


def test_interpolate_padding_gives_its_weight_to_the_others():
    t, s = features(1, 2, 3), features(1, 4, 3)
    padding = np.array([[True, False, True, True]])
    # Four tokens to two: (0 + 1)/2 and (2 + 3)/2; token 1 is padding.
    moved = np.stack([s[0, 0], (s[0, 2] + s[0, 3]) / 2])
    weights = np.array([0.5, 1.0])
    rows = np.mean((t[0] - moved) ** 2, axis=1)
    s[0, 1] = np.nan
    np.testing.assert_allclose(
        to_numpy(feature_matching(t, s, "interpolate", padding)),
        [np.sum(rows * weights) / 1.5],
        rtol=1e-5,
    )


def test_attention():
    t, s = features(2, 3, 4), features(2, 5, 4)
    padding = np.array([[1, 1, 0, 1, 1], [0, 0, 0, 0, 0]], "bool")
    rows = []
    for token in t[0]:
        kept = s[0][padding[0]]
        scores = np.array([token @ row for row in kept]) / np.sqrt(4)
        gathered = sum(p * row for p, row in zip(softmax(scores), kept))
        rows.append(np.mean((token - gathered) ** 2))
    s[~padding] = np.nan
    values = to_numpy(feature_matching(t, s, "attention", padding))
    np.testing.assert_allclose(values, [np.mean(rows), 0], rtol=1e-4)
    grads = gradient(
        lambda t, s: ops.sum(feature_matching(t, s, "attention", padding)),
        t,
        s,
    )
    assert np.all(np.isfinite(grads[0]))
    assert np.all(np.isfinite(grads[1]))
    assert np.all(grads[1][~padding] == 0)


@pytest.mark.parametrize("align", ["interpolate", "attention"])
def test_golden_gradient(align):
    rng = np.random.default_rng(4)
    t, s = rng.normal(size=(2, 3, 2)), rng.normal(size=(2, 4, 2))
    grads = gradient(lambda t, s: ops.sum(feature_matching(t, s, align)), t, s)
    assert_golden(f"losses.feature_matching.{align}.gradient", grads[1])


def test_attention_does_not_see_the_order_of_the_student():
    t, s = features(2, 3, 4), features(2, 2, 3, 4)
    shuffled = s.reshape(2, 6, 4)[:, [3, 1, 0, 5, 4, 2]]
    np.testing.assert_allclose(
        to_numpy(feature_matching(t, s, "attention")),
        to_numpy(feature_matching(t, shuffled, "attention")),
        rtol=1e-4,
    )


@pytest.mark.parametrize("align", ["interpolate", "attention"])
def test_extreme_features(align):
    t, s = np.full((2, 3, 4), 6e4), np.full((2, 5, 4), -6e4)
    s[:, ::2, ::2] = 6e4
    half = [ops.convert_to_tensor(x, "float16") for x in (t, s)]
    assert np.all(np.isfinite(to_numpy(feature_matching(*half, align))))
    grads = gradient(lambda t, s: ops.sum(feature_matching(t, s, align)), t, s)
    assert all(np.all(np.isfinite(g)) for g in grads)


@pytest.mark.parametrize("align", ["interpolate", "attention"])
def test_unknown_numbers_of_tokens(align):
    class Compare(keras.layers.Layer):
        def call(self, t, s):
            return feature_matching(t, s, align)

    inputs = [keras.Input((None, 4)), keras.Input((None, 4))]
    model = keras.Model(inputs, Compare()(*inputs))
    t, s = features(2, 3, 4), features(2, 5, 4)
    np.testing.assert_allclose(
        model.predict([t, s], verbose=0),
        to_numpy(feature_matching(t, s, align)),
        rtol=1e-4,
    )


def test_errors():
    t, s = np.ones((2, 3, 4)), np.ones((2, 5, 4))
    with pytest.raises(ValueError, match="align='interpolate'") as error:
        feature_matching(t, s)
    assert "(2, 3, 4)" in str(error.value)
    assert "(2, 5, 4)" in str(error.value)
    for align in (None, "interpolate", "attention"):
        with pytest.raises(ValueError, match="projections"):
            feature_matching(t, np.ones((2, 3, 7)), align)
    with pytest.raises(ValueError, match="same number of axes"):
        feature_matching(t, np.ones((2, 5, 5, 4)), "interpolate")
    with pytest.raises(ValueError, match="nearest"):
        FeatureMatching(align="nearest")
    with pytest.raises(ValueError, match="nearest"):
        feature_matching(t, t, "nearest")


@given(
    st.sampled_from([None, "interpolate", "attention"]),
    st.integers(1, 5),
    st.integers(1, 5),
)
@settings(max_examples=8, deadline=None)
def test_shape_and_sign(align, old, new):
    t, s = features(3, new, 2), features(3, new if align is None else old, 2)
    values = to_numpy(feature_matching(t, s, align))
    assert values.shape == (3,)
    assert np.all(values >= 0)
