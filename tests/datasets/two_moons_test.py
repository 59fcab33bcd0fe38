import sys

import numpy as np
import pytest

from keras_xkd.datasets import two_moons


def test_counts_shapes_and_dtypes():
    parts = two_moons.load_data()
    for (x, y), size in zip(parts, (30, 270, 200)):
        assert list(x) == ["alpha", "beta"]
        for values in x.values():
            assert values.shape == (size, 1)
            assert values.dtype == np.float32
        assert y.shape == (size,)
        assert y.dtype == np.int32
        assert set(y) == {0, 1}
    assert [int(y.sum()) for _, y in parts] == [14, 134, 102]


def test_golden_values():
    labelled, unlabelled, test = two_moons.load_data()
    for (x, y), alpha, beta, labels in (
        (labelled, [1.450324, -1.039758], [-1.051107, 1.354469], [1, 0, 1, 1]),
        (
            unlabelled,
            [-0.333045, 1.818529],
            [-0.566319, 0.333522],
            [1, 1, 0, 0],
        ),
        (test, [-0.286365, -0.400435], [-0.362017, -0.088674], [1, 1, 1, 1]),
    ):
        np.testing.assert_allclose(x["alpha"][:2, 0], alpha, atol=1e-5)
        np.testing.assert_allclose(x["beta"][:2, 0], beta, atol=1e-5)
        assert y[:4].tolist() == labels


@pytest.mark.parametrize("seed", [42, 3])
def test_standardised_over_all_points(seed):
    parts = two_moons.load_data(seed)
    for name in ("alpha", "beta"):
        values = np.concatenate([x[name] for x, _ in parts])
        assert len(np.unique(values)) == 500
        np.testing.assert_allclose(values.mean(), 0, atol=1e-5)
        np.testing.assert_allclose(values.std(), 1, atol=1e-5)
    assert sum(y.sum() for _, y in parts) == 250


def test_seed():
    (one, _), _, _ = two_moons.load_data(1)
    (same, _), _, _ = two_moons.load_data(1)
    (other, _), _, _ = two_moons.load_data(2)
    np.testing.assert_array_equal(one["alpha"], same["alpha"])
    assert not np.array_equal(one["alpha"], other["alpha"])


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"keras-xkd\[viz\]"):
        two_moons.load_data()
