"""Mutual information of jointly Gaussian views, in closed form."""

import math
import statistics

import numpy as np
from numpy.typing import ArrayLike

from keras_xkd.api_export import keras_xkd_export

SHARED = "shared"


@keras_xkd_export(
    "keras_xkd.datasets.gaussian_information.gaussian_mutual_information"
)
def gaussian_mutual_information(covariance: ArrayLike, split: int) -> float:
    """Mutual information of two parts of a Gaussian vector, in nats.

    `(log det C_11 + log det C_22 - log det C) / 2`.

    Args:
        covariance: Covariance matrix C, shape `(d, d)`.
        split: Length of the first part.

    Example:

    >>> round(gaussian_mutual_information([[1.0, 0.5], [0.5, 1.0]], 1), 4)
    0.1438
    """
    covariance = np.asarray(covariance, "float64")

    def log_det(matrix):
        return np.linalg.slogdet(matrix)[1]

    total = log_det(covariance[:split, :split])
    total += log_det(covariance[split:, split:])
    return float(max(0.0, (total - log_det(covariance)) / 2))


def mutual_information(
    mixing, noise, columns, direction, label_noise, num_classes
):
    names = list(mixing)
    result = {}
    for i, m in enumerate(names):
        for other in names[i + 1 :]:
            result[f"{m};{other}"] = _between(mixing, noise, [m], [other])
        own = columns[SHARED]
        basis = np.eye(len(direction))[own]
        result[f"{m};{SHARED}"] = _with_factors(mixing, noise, [m], basis)
    for group in [[m] for m in names] + [names] * (len(names) > 1):
        explained = _explained(mixing, noise, group, direction)
        result[f"{','.join(group)};y"] = _label_information(
            explained, label_noise, num_classes
        )
    return result


def _joint(mixing, noise, names):
    """Matrix and covariance of several views side by side."""
    matrix = np.concatenate([mixing[m] for m in names])
    variance = [np.full(len(mixing[m]), noise[m] ** 2) for m in names]
    return matrix, matrix @ matrix.T + np.diag(np.concatenate(variance))


def _between(mixing, noise, first, second):
    _, covariance = _joint(mixing, noise, first + second)
    split = sum(len(mixing[m]) for m in first)
    return gaussian_mutual_information(covariance, split)


def _with_factors(mixing, noise, names, basis):
    """Information about the factors that the rows of `basis` pick."""
    matrix, covariance = _joint(mixing, noise, names)
    cross = matrix @ basis.T
    joint = np.block([[covariance, cross], [cross.T, np.eye(len(basis))]])
    return gaussian_mutual_information(joint, len(covariance))


def _explained(mixing, noise, names, direction):
    """Share of the noiseless score's variance that the views determine."""
    matrix, covariance = _joint(mixing, noise, names)
    cross = matrix @ direction
    return float(cross @ np.linalg.solve(covariance, cross))


def _label_information(explained, label_noise, num_classes):
    """I(x; y), by an integral over the best estimate of the score given x.

    The estimate is Gaussian with variance `explained`, and the score given x
    is Gaussian around it with what is left of its variance.
    """
    if explained < 1e-12:
        return 0.0
    grid = np.linspace(-9.0, 9.0, 20001)
    weight = np.exp(-(grid**2) / 2)
    weight /= weight.sum()
    left = math.sqrt(2 * (1 + label_noise**2 - explained))
    below = np.zeros_like(grid)
    entropy = np.zeros_like(grid)
    erf = np.vectorize(math.erf)
    for threshold in [*thresholds(num_classes, label_noise), math.inf]:
        gap = (threshold - math.sqrt(explained) * grid) / left
        up_to = 0.5 * (1 + erf(gap))
        p = np.maximum(up_to - below, 1e-300)
        entropy -= p * np.log(p)
        below = up_to
    return float(max(0.0, math.log(num_classes) - weight @ entropy))


def thresholds(num_classes, label_noise):
    normal = statistics.NormalDist(0, math.sqrt(1 + label_noise**2))
    return np.array(
        [normal.inv_cdf(k / num_classes) for k in range(1, num_classes)]
    )
