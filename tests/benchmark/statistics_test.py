import math

import numpy as np
import pytest
import scipy.stats

from keras_xkd.benchmark import statistics


@pytest.mark.parametrize("df", [1, 2, 3, 4, 5, 9, 10, 29, 99, 1000])
def test_t_quantile(df):
    for confidence in (0.5, 0.95, 0.999):
        np.testing.assert_allclose(
            statistics.t_quantile(confidence, df),
            scipy.stats.t.ppf((1 + confidence) / 2, df),
            rtol=1e-9,
        )


@pytest.mark.parametrize("df", [1, 2, 7, 8])
def test_t_probability(df):
    for t in (0.0, 0.3, 2.0, 50.0):
        np.testing.assert_allclose(
            statistics.t_probability(t, df),
            2 * scipy.stats.t.cdf(t, df) - 1,
            atol=1e-12,
        )


@pytest.mark.parametrize("arguments", [(0, 3), (1, 3), (0.95, 0)])
def test_t_quantile_errors(arguments):
    with pytest.raises(ValueError, match="`confidence` must lie between"):
        statistics.t_quantile(*arguments)


def test_summary():
    values = np.random.default_rng(0).normal(3, 2, 12)
    summary = statistics.summarise(values)
    low, high = scipy.stats.t.interval(
        0.95, 11, values.mean(), scipy.stats.sem(values)
    )
    expected = {
        "mean": values.mean(),
        "sd": values.std(ddof=1),
        "low": low,
        "high": high,
        "n": 12,
    }
    assert summary == pytest.approx(expected)


def test_summary_of_one_value():
    expected = {"mean": 2.0, "sd": None, "low": None, "high": None, "n": 1}
    assert statistics.summarise([2.0]) == expected
    assert statistics.compare([2.0], [1.0])["verdict"] == "unclear"


@pytest.mark.parametrize("values", [[], 3.0, [[1.0, 2.0]]])
def test_summary_errors(values):
    with pytest.raises(ValueError, match="one number per seed"):
        statistics.summarise(values)


def test_verdicts():
    base = np.arange(10.0)
    noise = np.array([1.0, -1.0] * 5)
    verdicts = [
        statistics.compare(base + shift + noise, base)["verdict"]
        for shift in (2, -2, 0)
    ]
    assert verdicts == ["better", "worse", "unclear"]


def test_comparison_is_paired():
    base = np.array([0.0, 100.0, 200.0])
    result = statistics.compare(base + [1.0, 1.1, 0.9], base)
    assert math.isclose(result["sd"], 0.1, rel_tol=1e-9)
    with pytest.raises(ValueError, match="same seeds on both sides"):
        statistics.compare([1.0, 2.0], [1.0])


def test_ratio():
    found = statistics.ratio([1.0, 3.0, 5.0], [1.0, 2.0, 3.0])
    assert found["ratio"] == 1.5
    assert found["low"] == 1 <= found["high"] == 5 / 3


def test_ratio_is_paired():
    rng = np.random.default_rng(0)
    base = rng.lognormal(0, 1, 30)
    found = statistics.ratio(1.2 * base, base)
    np.testing.assert_allclose(list(found.values()), 1.2, rtol=1e-12)
    unpaired = statistics.ratio(1.2 * rng.permutation(base), base)
    assert unpaired["high"] - unpaired["low"] > 0.1


@pytest.mark.parametrize(
    ("values", "baseline", "message"),
    [([], [], "at least one pair"), ([1.0], [1.0, 2.0], "same seeds")],
)
def test_ratio_errors(values, baseline, message):
    with pytest.raises(ValueError, match=message):
        statistics.ratio(values, baseline)
