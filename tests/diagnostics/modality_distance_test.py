import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_xkd.diagnostics import modality_distance
from tests.test_case import assert_golden

WIDTH = 16


def shifted(distance, count=2000, seed=0):
    a, b = np.random.default_rng(seed).normal(size=(2, count, WIDTH))
    b[:, :4] += distance / 2  # A shift of this norm.
    return a, b


# Distance of the means: total variation and Jensen-Shannon divergence.
KNOWN = {
    0.0: (0.0, 0.0),
    0.5: (0.1974, 0.0303),
    1.0: (0.3829, 0.1114),
    2.0: (0.6827, 0.3368),
    3.0: (0.8664, 0.5268),
}


@pytest.mark.parametrize("distance", KNOWN)
def test_gaussians_of_known_distance(distance):
    total_variation, jensen_shannon = KNOWN[distance]
    found = modality_distance(*shifted(distance))
    # The standard error of a difference of two frequencies is at most 0.016.
    assert found.total_variation == pytest.approx(total_variation, abs=0.04)
    assert found.jensen_shannon == pytest.approx(jensen_shannon, abs=0.025)
    low, high = found.total_variation_interval
    assert low <= found.total_variation <= high
    assert 0.01 < high - low < 0.07
    low, high = found.jensen_shannon_interval
    assert low <= found.jensen_shannon <= high
    assert found.joint_total_variation is None
    assert_golden(
        f"modality_distance/{distance:g}",
        [found.total_variation, found.jensen_shannon, found.cosine],
        rtol=1e-3,
        atol=2e-3,
    )


def test_bound_is_not_badly_above():
    # Little data in many dimensions: what the classifier learns by heart does
    # not count.
    rng = np.random.default_rng(1)
    for seed in range(2):
        a, b = rng.normal(size=(2, 100, 64))
        found = modality_distance(a, b, rng.integers(0, 3, 100), seed=seed)
        assert found.total_variation < 0.25
        assert found.jensen_shannon < 0.02
        assert found.joint_total_variation < 0.25


def test_intervals_cover_the_bound():
    # With a classifier that is given, the bound is known: 0.3829.
    def known(x, labels, x_new):
        p = 1 / (1 + np.exp(0.5 - x_new[:, :1]))
        return np.concatenate([1 - p, p], axis=1)

    covered = 0
    for seed in range(100):
        a, b = np.random.default_rng(seed).normal(size=(2, 200, 1))
        found = modality_distance(a, b + 1, classifier=known, confidence=0.9)
        low, high = found.total_variation_interval
        covered += low < 0.3829 < high
    assert 0.84 < covered / 100 < 0.97


def clusters(rng, labels):
    """Both modalities are in the same places, with the classes exchanged."""
    places = np.eye(2, WIDTH)[labels] * 6
    return places + rng.normal(size=(len(labels), WIDTH))


def test_joint_with_labels():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, 600)
    a, same = clusters(rng, labels), clusters(rng, labels)
    exchanged = clusters(rng, 1 - labels)
    found = modality_distance(a, same, labels)
    assert found.total_variation < 0.1
    assert found.joint_total_variation < 0.1
    found = modality_distance(a, exchanged, labels)
    assert found.total_variation < 0.1
    assert found.joint_total_variation > 0.99
    assert found.joint_total_variation_interval[0] > 0.98
    assert found.cosine < modality_distance(a, same).cosine - 0.3
    low, high = found.joint_total_variation_interval
    words = f"together: at least {found.joint_total_variation:.3f}"
    assert f"{words} ({low:.3f} to {high:.3f})." in str(found)


def test_rare_classes_count_as_nothing():
    a, b = shifted(9.0, 200)
    labels = np.arange(200) % 2
    labels[:10] = 2  # Too few to train on.
    found = modality_distance(a, b, labels)
    assert found.joint_total_variation == pytest.approx(0.95, abs=0.001)


@pytest.mark.parametrize("kind", ["spread", "correlation"])
def test_differences_that_are_not_linear(kind):
    a, b = np.random.default_rng(3).normal(size=(2, 1000, WIDTH))
    if kind == "spread":
        b *= 1.3
    else:
        b[:, 0] = 0.9 * b[:, 1] + np.sqrt(0.19) * b[:, 0]
    assert modality_distance(a, b).total_variation > 0.2
    assert modality_distance(a, b, classifier="linear").total_variation < 0.06


def test_tensors_and_a_classifier_of_keras():
    a, b = shifted(2.0, 400)
    # With a gradient, and of a type that NumPy does not have.
    gain = keras.Variable(np.ones(WIDTH), dtype="bfloat16")
    a, b = (gain * keras.ops.cast(x, "bfloat16") for x in (a, b))

    def network(x, labels, x_new):
        model = keras.Sequential([keras.layers.Dense(2, "softmax")])
        loss = "sparse_categorical_crossentropy"
        model.compile(keras.optimizers.Adam(0.01), loss)
        model.fit(x, labels, epochs=10, verbose=0)
        return model(x_new)

    found = modality_distance(a, b, classifier=network)
    assert found.total_variation == pytest.approx(0.68, abs=0.09)


@given(st.floats(1e-3, 1e3), st.floats(-1e2, 1e2), st.integers(0, 5))
@settings(max_examples=4, deadline=None)
def test_blind_to_scale_and_origin(scale, origin, seed):
    a, b = shifted(1.5, 100, seed)
    one = modality_distance(a, b)
    other = modality_distance(scale * a + origin, scale * b + origin)
    assert other.jensen_shannon == pytest.approx(one.jensen_shannon, abs=5e-3)
    assert other.total_variation == pytest.approx(one.total_variation, abs=0.05)


def test_constant_features_and_cosine():
    a = np.random.default_rng(4).normal(size=(50, 3))
    a[:, 0], a[7] = 5, 0
    found = modality_distance(a, 2 * a)
    assert found.cosine == pytest.approx(49 / 50)  # A row of zeros has none.
    same = np.ones((50, 3))
    assert modality_distance(same, same).total_variation == 0


def test_says_it_in_words():
    words = str(modality_distance(*shifted(1.0, 500), confidence=0.9))
    assert words.startswith("Total variation: at least 0.")
    assert "(90 % interval 0." in words
    assert "of at most 0.693" in words
    assert "Mean cosine of the pairs: " in words
    assert "label" not in words


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": np.ones(40)}, r"`a` of shape `\(N, features\)`.*\(40,\)"),
        ({"a": np.ones((12, 3)), "b": np.ones((12, 3))}, "20 or more samples"),
        ({"b": np.ones((39, 3))}, r"Row i.*\(40, 3\).*\(39, 3\)"),
        ({"b": np.ones((40, 4))}, "same number of features"),
        ({"a": np.full((40, 3), np.nan)}, "`a` must be finite"),
        ({"labels": np.ones(39)}, r"one label per sample.*\(39,\)"),
        ({"labels": np.ones(40)}, "two or more classes"),
        ({"labels": np.arange(40) == 3}, "the smallest with 1"),
        ({"classifier": "forest"}, "`classifier` must be one of.*'forest'"),
        ({"classifier": lambda *_: np.ones((3, 2))}, r"\(40, 2\).*\(3, 2\)"),
        ({"confidence": 95}, "`confidence`.*95"),
    ],
)
def test_errors(change, message):
    good = {"a": np.eye(40, 3), "b": np.ones((40, 3))}
    with pytest.raises(ValueError, match=message):
        modality_distance(**{**good, **change})
