"""Estimates on samples that were not trained on, and their uncertainty."""

import functools
import math
import statistics

import numpy as np

from keras_xkd.diagnostics.classifier import classify
from keras_xkd.utils.arrays import to_array

CLASSIFIERS = {
    "auto": classify,
    "linear": functools.partial(classify, linear=True),
}
FEWEST = 20


def check_features(**arrays):
    """The arrays as float64, each of shape `(N, features)` with the same N."""
    result = []
    for name, array in arrays.items():
        array = to_array(array)
        if array.dtype.kind in "US":
            raise ValueError(
                f"`{name}` must hold numbers. Received: type {array.dtype}"
            )
        array = array.astype("float64")
        if array.ndim != 2 or len(array) < FEWEST:
            raise ValueError(
                f"Expected `{name}` of shape `(N, features)` with {FEWEST} or "
                f"more samples. Received: shape {array.shape}"
            )
        if not np.all(np.isfinite(array)):
            raise ValueError(f"`{name}` must be finite. Received: NaN or inf.")
        result.append(array)
    shapes = {name: a.shape for name, a in zip(arrays, result)}
    if len({len(array) for array in result}) > 1:
        raise ValueError(
            f"Row i of each array is the same sample. Received: shapes {shapes}"
        )
    return result


def check_labels(labels, count):
    """The labels as integers from 0, and the number of classes."""
    labels = to_array(labels)
    if labels.shape == (count, 1):
        labels = labels[:, 0]
    if labels.shape != (count,):
        raise ValueError(
            f"Expected one label per sample, shape `({count},)`. "
            f"Received: shape {labels.shape}"
        )
    classes, labels = np.unique(labels, return_inverse=True)
    if len(classes) < 2 or np.bincount(labels).min() < 2:
        raise ValueError(
            "Expected two or more classes with two or more samples each. "
            f"Received: {len(classes)} classes, the smallest with "
            f"{np.bincount(labels).min()} samples."
        )
    return labels, len(classes)


def split(labels, seed):
    """Two random halves, 0 or 1 for each sample, that share every class."""
    chance = np.random.default_rng(seed).random(len(labels))
    half = np.zeros(len(labels), "int64")
    half[np.lexsort((chance, labels))] = np.arange(len(labels)) % 2
    return half


def resolve(classifier):
    """The function that a `classifier` argument stands for."""
    if callable(classifier):

        def checked(x, labels, x_new, num_classes):
            p = to_array(classifier(x, labels, x_new)).astype("float64")
            shape = (len(x_new), num_classes)
            if p.shape != shape or not np.all(np.isfinite(p)):
                raise ValueError(
                    f"Expected finite probabilities of shape {shape} from "
                    f"`classifier`. Received: shape {p.shape}, with "
                    f"{np.sum(~np.isfinite(p))} values that are NaN or inf"
                )
            return p

        return checked
    if classifier not in CLASSIFIERS:
        raise ValueError(
            f"`classifier` must be one of {list(CLASSIFIERS)} or a function "
            f"`(x, labels, x_new) -> probabilities`. Received: {classifier!r}"
        )
    return CLASSIFIERS[classifier]


def probabilities(classify, x, labels, half, num_classes):
    """For each sample those of the classifier trained on the other half."""
    result = np.zeros((len(x), num_classes))
    for new in (0, 1):
        train, test = half != new, half == new
        result[test] = classify(x[train], labels[train], x[test], num_classes)
    return np.maximum(result, 1e-12)


def mean_interval(values, confidence, low=-math.inf, high=math.inf):
    """Mean and normal interval, both moved into `[low, high]`."""
    mean, count = values.mean(), len(values)
    z = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    # All values may be the same: the next one need not be.
    error = z * math.hypot(values.std(ddof=1) / math.sqrt(count), 1 / count)
    moved = np.clip([mean, mean - error, mean + error], low, high)
    return float(moved[0]), (float(moved[1]), float(moved[2]))


def check_confidence(confidence):
    """Raises unless it is a probability between 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(
            f"`confidence` must lie between 0 and 1. Received: {confidence}"
        )


def contrast(scores):
    """The InfoNCE bound of a matrix of scores, as one value for each pair.

    Its mean is the mean of `log(exp(s_ii) / mean_j exp(s_ij))`, at most the
    mutual information on average, whatever the scores, and at most `log(N)`.
    Each value also holds what its pair does to the others as a candidate, so
    that the spread of the values gives the standard error.
    """
    count = len(scores)
    values = np.zeros(count)
    for matrix in (scores, scores.T):
        matrix = matrix - matrix.max(1, keepdims=True)
        weight = np.exp(matrix)
        mean = weight.mean(1, keepdims=True)
        influence = 1 - (weight / mean).mean(0)
        values += (np.diag(matrix) - np.log(mean[:, 0]) + influence) / 2
    return values
