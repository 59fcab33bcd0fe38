import numpy as np
import pytest
from scipy import stats

from keras_xkd.diagnostics import compare_seeds

RNG = np.random.default_rng(0)
SCORES = {
    "alone": list(RNG.normal(70, 3, 6)),
    "student": list(RNG.normal(74, 3, 6)),
    "harmed": list(RNG.normal(40, 3, 6)),
}


@pytest.mark.parametrize("baseline", [None, "student"])
def test_against_scipy(baseline):
    result = compare_seeds(SCORES, baseline, confidence=0.9)
    first = baseline or "alone"
    assert list(result) == list(SCORES)
    for name, values in SCORES.items():
        row = result[name]
        mean, error = np.mean(values), stats.sem(values)
        low, high = stats.t.interval(0.9, 5, mean, error)
        np.testing.assert_allclose(
            [row["mean"], row["low"], row["high"]], [mean, low, high]
        )
        if name == first:
            assert row["difference"] is None
            continue
        test = stats.ttest_rel(values, SCORES[first])
        interval = test.confidence_interval(0.9)
        gap = row["difference"]
        np.testing.assert_allclose([gap["low"], gap["high"]], interval)
        assert (gap["verdict"] == "unclear") == (test.pvalue > 0.1)


def test_prints_and_plots():
    result = compare_seeds(SCORES)
    lines = str(result).splitlines()
    assert "- alone" in lines[0] and "baseline" in lines[2]
    assert "worse" in lines[4] and "-" in lines[4]
    axes = result.plot(metric="accuracy (%)")
    assert result.plot(axes) is axes
    result.plot(axes, metric="accuracy (%)")
    assert axes.get_xlabel().startswith("accuracy (%)")
    single = compare_seeds({"a": [1.0], "b": [2.0]})
    assert single["b"]["difference"]["verdict"] == "unclear"
    assert "| - " in str(single).replace("  ", " ")


@pytest.mark.parametrize(
    "scores, options, message",
    [
        ({"a": [1.0, 2.0], "b": [1.0]}, {}, "same seeds.*'b'"),
        ({}, {}, "rows with one score per seed"),
        ({"a": [1.0, np.nan]}, {}, "finite.*scores\\['a'\\]"),
        ({"a": []}, {}, "at least one"),
        ({"a": [[1.0]]}, {}, "one finite score"),
        ({"a": [1.0]}, {"baseline": "b"}, "one of \\['a'\\].*'b'"),
        ({"a": [1.0]}, {"confidence": 1.5}, "confidence"),
        ([[1.0, 2.0], [3.0, 4.0]], {}, "`scores` must be a dict"),
    ],
)
def test_bad_arguments(scores, options, message):
    with pytest.raises(ValueError, match=message):
        compare_seeds(scores, **options)
