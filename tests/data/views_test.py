import numpy as np
import pytest

from keras_xkd.data import views


def data(size=40):
    rng = np.random.default_rng(0)
    x = {
        "audio": rng.standard_normal((size, 6, 4)).astype("float32"),
        "image": rng.random((size, 4, 4, 1)).astype("float32"),
        "sample_id": np.arange(size, dtype="int32"),
    }
    return x, np.arange(size, dtype="int32") % 4


def test_take_follows_nested_dicts():
    x = {"a": np.arange(3), "present": {"a": np.array([1, 0, 1])}}
    taken = views.take(x, np.array([True, False, True]))
    np.testing.assert_array_equal(taken["present"]["a"], [1, 1])
    np.testing.assert_array_equal(taken["a"], [0, 2])


def test_few_labels_are_nested_and_in_order():
    x, y = data()
    before = set()
    for per_class in (1, 3, 7, 10):
        few, labels = views.few_labels(x, y, per_class, seed=2)
        np.testing.assert_array_equal(np.bincount(labels), [per_class] * 4)
        np.testing.assert_array_equal(labels, y[few["sample_id"]])
        assert (np.diff(few["sample_id"]) > 0).all()
        assert before <= set(few["sample_id"])
        before = set(few["sample_id"])


def test_few_labels_depend_on_the_seed():
    x, y = data()
    one, two = (views.few_labels(x, y, 2, seed)[0] for seed in (0, 1))
    assert not np.array_equal(one["sample_id"], two["sample_id"])


def test_unlabelled_is_the_complement():
    x, y = data()
    few, _ = views.few_labels(x, y, 3, seed=5)
    rest = views.unlabelled(x, y, 3, seed=5)
    assert set(few["sample_id"]) & set(rest["sample_id"]) == set()
    assert len(few["sample_id"]) + len(rest["sample_id"]) == 40


def test_hide_labels_keeps_those_of_few_labels():
    x, y = data()
    hidden = views.hide_labels(y, 3, seed=5)
    few, _ = views.few_labels(x, y, 3, seed=5)
    np.testing.assert_array_equal(np.flatnonzero(hidden >= 0), few["sample_id"])
    assert hidden.dtype == y.dtype
    # Hidden labels are never chosen again.
    again, labels = views.few_labels(x, hidden, 3)
    np.testing.assert_array_equal(again["sample_id"], few["sample_id"])


@pytest.mark.parametrize("fraction", [0, 0.3, 1.0])
def test_missing_takes_the_exact_fraction(fraction):
    x, _ = data()
    result = views.missing(x, {"audio": fraction}, seed=1)
    mask = result["present"]["audio"]
    assert mask.shape == (40,)
    assert mask.dtype == np.float32
    assert (mask == 0).sum() == round(40 * fraction)
    expected = x["audio"] * mask[:, None, None]
    np.testing.assert_array_equal(result["audio"], expected)
    assert result["audio"].dtype == np.float32
    np.testing.assert_array_equal(result["image"], x["image"])
    assert list(result["present"]) == ["audio", "image"]


def test_missing_zeroes_what_is_not_finite():
    result = views.missing({"a": np.full((2, 2), np.nan)}, {"a": 1.0})
    np.testing.assert_array_equal(result["a"], 0)


def test_missing_modalities_are_independent_of_each_other():
    x, _ = data()
    alone = views.missing(x, {"audio": 0.5})
    both = views.missing(x, {"image": 0.5, "audio": 0.5})
    np.testing.assert_array_equal(
        alone["present"]["audio"], both["present"]["audio"]
    )
    assert not np.array_equal(
        both["present"]["image"], both["present"]["audio"]
    )


def test_missing_respects_what_is_absent_already():
    x, _ = data()
    first = views.missing(x, {"audio": 0.5}, seed=0)
    second = views.missing(first, {"audio": 0.5}, seed=1)
    lost = second["present"]["audio"] < first["present"]["audio"]
    assert lost.any()
    assert (second["present"]["audio"] <= first["present"]["audio"]).all()
    # The arrays that were given are not changed.
    assert first["present"]["audio"].sum() == 20
    assert "present" not in x


def test_resolution_averages_blocks():
    x, _ = data()
    result = views.degrade(x, {"audio": {"resolution": 2}})["audio"]
    assert result.shape == (40, 6, 4)
    assert result.dtype == np.float32
    block = x["audio"][7, 3:6, 2:4].mean()
    np.testing.assert_allclose(result[7, 3:6, 2:4], block, rtol=1e-5)


def test_resolution_per_axis():
    x, _ = data()
    result = views.degrade(x, {"audio": {"resolution": (6, 1)}})["audio"]
    expected = np.repeat(x["audio"].mean(2, keepdims=True), 4, 2)
    np.testing.assert_allclose(result, expected, rtol=1e-5)
    # The channel of an image is left alone.
    full = views.degrade(x, {"image": {"resolution": 4}})["image"]
    np.testing.assert_array_equal(full, x["image"])


def test_noise_is_in_units_of_the_standard_deviation():
    x = {"a": 5 * np.random.default_rng(0).standard_normal((2000, 3))}
    noisy = views.degrade(x, {"a": {"noise": 0.5}})["a"] - x["a"]
    np.testing.assert_allclose(noisy.std(), 2.5, rtol=0.03)
    noisy = views.degrade(x, {"a": {"noise": 0.5}}, scale={"a": 1.0})["a"]
    np.testing.assert_allclose((noisy - x["a"]).std(), 0.5, rtol=0.03)
    zero = views.degrade(x, {"a": {"noise": 0}})["a"]
    np.testing.assert_array_equal(zero, x["a"])


def test_noise_depends_on_seed_and_modality_only():
    x = {"a": np.zeros((5, 3)), "b": np.zeros((5, 3))}
    spec = {"a": {"noise": 1.0}, "b": {"noise": 1.0}}
    scale = {"a": 1.0, "b": 1.0}
    one, two = (views.degrade(x, spec, s, scale) for s in (0, 1))
    assert not np.array_equal(one["a"], one["b"])
    assert not np.array_equal(one["a"], two["a"])
    alone = views.degrade(x, {"b": {"noise": 1.0}}, 0, scale)
    np.testing.assert_array_equal(alone["b"], one["b"])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"sample_id": {"noise": 1}}, "Unknown modality"),
        ({"audio": 0.5}, "must be a dict with keys among"),
        ({"audio": {"noise": -1}}, "not negative"),
        ({"audio": {"noise": "much"}}, "not negative"),
        ({"audio": {"resolution": 0}}, "must divide"),
        ({"audio": {"resolution": (2, 2, 2)}}, "must divide"),
        ("noise", "must be a dict"),
    ],
)
def test_degrade_errors(spec, message):
    with pytest.raises(ValueError, match=message):
        views.degrade(data()[0], spec)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, "half", True, np.nan])
def test_missing_errors(fraction):
    with pytest.raises(ValueError, match="from 0 to 1"):
        views.missing(data()[0], {"audio": fraction})


def test_few_labels_errors():
    x, y = data()
    for per_class in (0, -1, 1.5):
        with pytest.raises(ValueError, match="positive integer"):
            views.few_labels(x, y, per_class)
    with pytest.raises(ValueError, match="Class 0 has only 10"):
        views.few_labels(x, y, 11)
    with pytest.raises(ValueError, match="no labels"):
        views.few_labels(x, np.full(40, -1), 1)
