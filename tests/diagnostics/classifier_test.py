import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from keras_xkd.diagnostics import classifier


def test_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 400)
    x = np.eye(3, 5)[labels] + rng.normal(size=(400, 5))
    x = classifier._with_constant(x - x.mean(0)).astype("float32")
    targets = np.eye(3, dtype="float32")[labels]
    for penalty in (0.01, 1.0):
        (weights,) = classifier._fit(x, targets, [penalty])
        expected = LogisticRegression(
            C=1 / (400 * penalty), fit_intercept=False, tol=1e-8
        ).fit(x, labels)
        np.testing.assert_allclose(weights.T, expected.coef_, atol=2e-3)


@pytest.mark.parametrize("linear", [False, True])
def test_probabilities(linear):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(600, 2))
    labels = (x[:, 0] * x[:, 1] > 0).astype(int)  # Nothing linear about it.
    p = classifier.classify(x[:400], labels[:400], x[400:], 2, linear)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    accuracy = np.mean(p.argmax(1) == labels[400:])
    assert accuracy < 0.65 if linear else accuracy > 0.9
