"""Means over seeds with their uncertainty, and paired comparisons."""

import math

import numpy as np


def summarise(values, confidence=0.95):
    """Mean, spread and Student's t interval of the mean.

    Args:
        values: One number per seed.
        confidence: Coverage of the interval.

    Returns:
        A dict: `mean`; `sd`, the standard deviation of the values; `low` and
        `high`, the interval of the mean; `n`. With a single value `sd`, `low`
        and `high` are None.

    Example:

    >>> {k: round(v, 2) for k, v in summarise([1.0, 2.0, 3.0]).items()}
    {'mean': 2.0, 'sd': 1.0, 'low': -0.48, 'high': 4.48, 'n': 3}
    """
    values = np.asarray(values, "float64")
    if values.ndim != 1 or not len(values):
        raise ValueError(
            "Expected one number per seed, at least one. "
            f"Received: an array of shape {values.shape}"
        )
    mean, n = float(values.mean()), len(values)
    if n == 1:
        return {"mean": mean, "sd": None, "low": None, "high": None, "n": 1}
    sd = float(values.std(ddof=1))
    half = t_quantile(confidence, n - 1) * sd / math.sqrt(n)
    low, high = mean - half, mean + half
    return {"mean": mean, "sd": sd, "low": low, "high": high, "n": n}


def compare(values, baseline, confidence=0.95):
    """Summary of the differences `values - baseline`, seed by seed.

    Adds `verdict` to what `summarise` returns: `"better"` or `"worse"` if the
    interval leaves out zero, else `"unclear"`.

    Example:

    >>> compare([2.0, 3.1, 4.0], [1.0, 2.0, 3.0])["verdict"]
    'better'
    """
    values, baseline = _pairs(values, baseline)
    result = summarise(values - baseline, confidence)
    verdict = "unclear"
    if result["sd"] is not None and result["low"] > 0:
        verdict = "better"
    elif result["sd"] is not None and result["high"] < 0:
        verdict = "worse"
    return {**result, "verdict": verdict}


def ratio(values, baseline, confidence=0.95, seed=0, draws=10_000):
    """Ratio of the medians of paired times, with a bootstrap interval.

    Pairs are drawn together, so that what slowed both down cancels.

    Args:
        values: One number per pair.
        baseline: As many, measured next to them.
        confidence: Coverage of the interval.
        seed: Of the draws.
        draws: Number of them.

    Example:

    >>> ratio([2.0, 2.0, 2.0], [1.0, 1.0, 1.0])
    {'ratio': 2.0, 'low': 2.0, 'high': 2.0}
    """
    pairs = _pairs(values, baseline)
    if not pairs.shape[1]:
        raise ValueError("A ratio needs at least one pair. Received: none")
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, pairs.shape[1], (draws, pairs.shape[1]))
    above, below = np.median(pairs[:, rows], axis=-1)
    outside = (1 - confidence) / 2
    low, high = np.quantile(above / below, [outside, 1 - outside])
    above, below = np.median(pairs, axis=-1)
    return {
        "ratio": float(above / below),
        "low": float(low),
        "high": float(high),
    }


def _pairs(values, baseline):
    values = np.asarray(values, "float64")
    baseline = np.asarray(baseline, "float64")
    if values.shape != baseline.shape:
        raise ValueError(
            "A paired comparison needs the same seeds on both sides. "
            f"Received: shapes {values.shape} and {baseline.shape}"
        )
    return np.stack([values, baseline])


def t_probability(t, df):
    """Probability that Student's t lies between `-t` and `t`.

    The finite series for whole degrees of freedom, Abramowitz and Stegun,
    26.7.3 and 26.7.4.
    """
    angle = math.atan(t / math.sqrt(df))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = df % 2
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for k in range(df // 2):
        total += term
        term *= cosine**2 * (2 * k + 1 + odd) / (2 * k + 2 + odd)
    if not odd:
        return sine * total
    return 2 / math.pi * (angle + sine * total)


def t_quantile(confidence, df):
    """The `t` with `t_probability(t, df) == confidence`.

    Example:

    >>> round(t_quantile(0.95, 2), 3)
    4.303
    """
    if not 0 < confidence < 1 or df < 1:
        raise ValueError(
            "`confidence` must lie between 0 and 1 and `df` be positive. "
            f"Received: confidence={confidence}, df={df}"
        )
    low, high = 0.0, 1.0
    while t_probability(high, df) < confidence:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        if t_probability(middle, df) < confidence:
            low = middle
        else:
            high = middle
    return (low + high) / 2
