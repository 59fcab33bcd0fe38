"""Metrics of one score per sample."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import ops
from sklearn.metrics import accuracy_score
from sklearn.metrics import f1_score

from keras_xkd import metrics
from tests.test_case import assert_golden

RNG = np.random.default_rng(3)
Y = np.round(RNG.normal(scale=1.6, size=40) * 5) / 5
P = np.round((Y + RNG.normal(scale=1.2, size=40)) * 5) / 5
Y[:6], P[:6] = [0, 0, 0, 1.2, -0.8, 0], [0, -0.4, 0.6, 0, 0, -0.2]
W = RNG.integers(0, 4, size=40).astype("float64")


def correlation(y, p, w):
    centred = [v - np.average(v, weights=w) for v in (y, p)]
    (a, c), (_, b) = [[np.sum(w * s * t) for s in centred] for t in centred]
    return c / np.sqrt(a * b)


def binned(y, p, w):
    y, p = (np.round(np.clip(v, -3, 3)) for v in (y, p))
    return np.average(y == p, weights=w)


def included(function, **kwargs):
    return lambda y, p, w: function(y >= 0, p >= 0, sample_weight=w, **kwargs)


def excluded(function, **kwargs):
    def value(y, p, w):
        kept = y != 0
        return function(
            y[kept] > 0, p[kept] > 0, sample_weight=w[kept], **kwargs
        )

    return value


CASES = {
    "pearson": (metrics.PearsonCorrelation, {}, correlation),
    "binned": (metrics.BinnedAccuracy, {}, binned),
    "accuracy": (metrics.SignAccuracy, {}, included(accuracy_score)),
    "accuracy_without_zero": (
        metrics.SignAccuracy,
        {"zero": "excluded"},
        excluded(accuracy_score),
    ),
    "f1": (metrics.SignF1, {}, included(f1_score, average="weighted")),
    "f1_without_zero": (
        metrics.SignF1,
        {"zero": "excluded"},
        excluded(f1_score, average="weighted"),
    ),
}
for_all = pytest.mark.parametrize("name", CASES)


def stream(metric, y, p, w=None, size=8):
    for start in range(0, len(y), size):
        rows = slice(start, start + size)
        metric.update_state(y[rows], p[rows], None if w is None else w[rows])
    return float(metric.result())


@for_all
def test_value_over_batches(name):
    kind, arguments, expected = CASES[name]
    metric = kind(**arguments)
    value = stream(metric, Y, P)
    assert value == pytest.approx(expected(Y, P, np.ones(40)), rel=1e-5)
    assert_golden(f"metrics.{name}", value)
    metric.reset_state()
    assert float(metric.result()) == 0
    weighted = stream(metric, Y[:, None], P[:, None], W)
    assert weighted == pytest.approx(expected(Y, P, W), rel=1e-5)
    assert abs(weighted - value) > 1e-4
    metric.reset_state()
    bad = np.where(W > 0, P, np.nan)  # A weight of 0 leaves a sample out.
    assert stream(metric, Y, bad, W, size=40) == pytest.approx(weighted)


@for_all
def test_variables_config_and_shapes(name):
    kind, arguments, _ = CASES[name]
    metric = kind(**arguments)
    assert metric.variables
    one = stream(metric, Y, P)
    other = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert other.get_config() == metric.get_config()
    assert stream(other, Y.astype("float16"), P[:, None]) == pytest.approx(
        one, abs=1e-3
    )
    with pytest.raises(ValueError, match=r"one score per sample.*\(40, 2\)"):
        metric.update_state(Y, np.stack([P, P], 1))
    with pytest.raises(ValueError, match="40 true scores, 1 predicted"):
        metric.update_state(Y, P[:1])
    with pytest.raises(ValueError, match="39 weights"):
        metric.update_state(Y, P, W[:39])


def test_in_fit_and_evaluate():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    parts = {n: k(**a, name=n) for n, (k, a, _) in CASES.items()}
    model.compile("sgd", "mae", metrics=list(parts.values()))
    x = RNG.normal(size=(40, 3))
    model.fit(x, Y, epochs=1, batch_size=16, verbose=0)
    logs = model.evaluate(x, Y, batch_size=16, verbose=0, return_dict=True)
    p = model.predict(x, verbose=0)[:, 0]
    for name, (_, _, expected) in CASES.items():
        assert logs[name] == pytest.approx(
            expected(Y, p, np.ones(40)), rel=1e-4
        )


@pytest.mark.parametrize("offset", [0.0, 1e3, -1e6])
def test_offsets_do_not_matter(offset):
    y, p = RNG.integers(0, 9, size=(2, 500)) / 4  # Exact in float32.
    metric = metrics.PearsonCorrelation()
    value = stream(metric, y + offset, p - 2 * offset, size=50)
    assert value == pytest.approx(np.corrcoef(y, p)[0, 1], abs=1e-5)


@pytest.mark.parametrize("constant", [0.1, 1e7, 1e-20])
def test_constant_has_no_correlation(constant):
    metric = metrics.PearsonCorrelation()
    assert stream(metric, np.full(40, constant), P) == 0
    metric.reset_state()
    assert stream(metric, Y, np.full(40, constant)) == 0


def test_first_batch_without_weight():
    metric = metrics.PearsonCorrelation()
    metric.update_state([1e8, 2e8], [0.0, 5.0], [0.0, 0.0])
    assert stream(metric, Y, P) == pytest.approx(np.corrcoef(Y, P)[0, 1])


@given(st.sampled_from([1, 8, 40]), st.permutations(range(40)))
@settings(max_examples=4, deadline=None)
def test_correlation_is_blind_to_order_and_batches(size, order):
    metric = metrics.PearsonCorrelation()
    value = stream(metric, Y[order], P[order], W[order], size)
    assert value == pytest.approx(correlation(Y, P, W), abs=1e-5)


def test_halves_round_to_even():
    halves = np.arange(-6, 7) / 2
    expected = np.round(np.clip(halves, -3, 3))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(ops.round(halves)), np.round(halves)
    )
    for half, bin in zip(halves, expected):
        metric = metrics.BinnedAccuracy()
        metric.update_state(np.arange(-3, 4), np.full(7, half))
        matches = np.arange(-3, 4) == bin
        assert float(metric.result()) == pytest.approx(matches.mean())
        metric.reset_state()
        metric.update_state([bin], [half])
        assert float(metric.result()) == 1


def test_range_of_bins():
    metric = metrics.BinnedAccuracy(low=-2, high=2)
    metric.update_state([3.0, -2.4], [1.6, -1.4])
    assert float(metric.result()) == 0.5
    with pytest.raises(ValueError, match="low=1, high=1"):
        metrics.BinnedAccuracy(1, 1)
    with pytest.raises(ValueError, match="integers"):
        metrics.BinnedAccuracy(-0.5, 1)


@pytest.mark.parametrize("kind", [metrics.SignAccuracy, metrics.SignF1])
def test_zero_is_a_convention(kind):
    with pytest.raises(ValueError, match="'included' or 'excluded'"):
        kind(zero="both")
    nothing = kind(zero="excluded")
    nothing.update_state([0.0, 0.0], [1.0, -1.0])
    assert float(nothing.result()) == 0
