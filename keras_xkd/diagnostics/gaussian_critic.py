"""Which rows of two arrays belong together, if they are jointly Gaussian."""

import numpy as np

RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
PARTS = 4


def gaussian_critic(a, b, seed=0):
    """The logarithm of the density ratio, if `a` and `b` were jointly Gaussian.

    It is made of the canonical correlations. How large they are, and how much
    the covariances are pulled towards a sphere before, is cross-validated.
    """
    part = np.random.default_rng(seed).permutation(len(a)) % PARTS
    found = []
    for ridge in RIDGES:
        correlation = 0
        for k in range(PARTS):
            of_a, of_b = _canonical(a[part != k], b[part != k], ridge)
            u, v = of_a(a[part == k]), of_b(b[part == k])
            size = np.sqrt(np.mean(u**2, 0) * np.mean(v**2, 0))
            correlation += np.mean(u * v, 0) / np.maximum(size, 1e-12) / PARTS
        # What chance could have made counts as nothing.
        chance = 2 / np.sqrt(len(a))
        correlation = np.where(correlation > chance, correlation, 0)
        correlation = np.minimum(correlation, 0.9999)
        found.append((np.log(1 - correlation**2).sum(), ridge, correlation))
    _, ridge, correlation = min(found, key=lambda entry: entry[0])
    of_a, of_b = _canonical(a, b, ridge)
    shared = correlation / (1 - correlation**2)

    def score(a, b):
        u, v = of_a(a), of_b(b)
        own = [np.sum(x**2 * correlation * shared, axis=1) / 2 for x in (u, v)]
        return (u * shared) @ v.T - own[0][:, None] - own[1][None]

    return score


def _canonical(a, b, ridge):
    """Functions to the canonical variates, of variance one, of `a` and `b`."""
    (mean_a, white_a), (mean_b, white_b) = _whiten(a, ridge), _whiten(b, ridge)
    cross = ((a - mean_a) @ white_a).T @ ((b - mean_b) @ white_b)
    left, _, right = np.linalg.svd(cross, full_matrices=False)
    return (
        _standardized(a, mean_a, white_a @ left),
        _standardized(b, mean_b, white_b @ right.T),
    )


def _standardized(x, mean, axes):
    """A function to the coordinates along some axes, of variance one.

    It stays in the range of `x`: a column that is constant there, but for a few
    rows, would put another such row hundreds of deviations away.
    """
    known = (x - mean) @ axes
    size = np.maximum(known.std(0), 1e-12)
    low, high = known.min(0), known.max(0)
    return lambda x: np.clip((x - mean) @ axes, low, high) / size


def _whiten(x, ridge):
    """Mean, and matrix that makes the covariance (nearly) the identity."""
    mean = x.mean(0)
    covariance = (x - mean).T @ (x - mean) / len(x)
    size = np.trace(covariance) / len(covariance) or 1.0
    spread, axes = np.linalg.eigh(covariance)
    return mean, axes / np.sqrt(np.maximum(spread, 0) + ridge * size)
