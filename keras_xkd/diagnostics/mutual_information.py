import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.diagnostics import halves
from keras_xkd.diagnostics.gaussian_critic import gaussian_critic
from keras_xkd.diagnostics.network_critic import network_critic
from keras_xkd.typing import Classifier, Critic, Interval
from keras_xkd.utils.arrays import to_array

CRITICS = {"gaussian": gaussian_critic, "network": network_critic}


@dataclasses.dataclass(frozen=True)
class MutualInformation:
    """The result of `mutual_information`; `print` says it in words."""

    estimate: float
    interval: Interval
    ceiling: float
    confidence: float
    of_labels: bool = False

    def __str__(self) -> str:
        low, high = self.interval
        text = (
            f"Mutual information: at least {self.estimate:.3f} nats "
            f"({100 * self.confidence:g} % interval {low:.3f} to {high:.3f}). "
        )
        if self.of_labels:
            return f"{text}The labels hold {self.ceiling:.3f}."
        text += f"The estimate cannot exceed {self.ceiling:.3f}"
        if self.estimate > 0.8 * self.ceiling:
            return f"{text} and is close to it: there may be much more."
        return f"{text}."

    __repr__ = __str__


@keras_xkd_export("keras_xkd.diagnostics.mutual_information")
def mutual_information(
    a: ArrayLike,
    b: ArrayLike,
    critic: Critic = "gaussian",
    classifier: Classifier = "auto",
    confidence: float = 0.95,
    seed: int = 0,
) -> MutualInformation:
    """A lower bound of the mutual information of paired samples, in nats.

    A critic learns on one half of the pairs which rows belong together, and is
    tested on the other half, and the reverse; what it has not seen gives

    - for arrays, the InfoNCE bound, in which each row has to find its partner
      among all of its half, in both directions. It cannot exceed `log(N / 2)`:
      to see 6 nats takes more than 800 pairs;
    - for labels, `H(b) - cross-entropy` of a classifier that predicts them. It
      cannot exceed the entropy of the labels, `H(b)`.

    The bound holds on average over samples, for any critic; how close it comes
    depends on the critic. The pairs must be independent.

    Args:
        a: Features, shape `(N, features)`.
        b: Features, shape `(N, features)` or, floating, `(N,)`; or labels,
            integers, Booleans or strings, shape `(N,)` or `(N, 1)`.
        critic: `"gaussian"`, the density ratio of canonical correlations, best
            for what is Gaussian and blind to all but linear dependence;
            `"network"`, two networks trained with `InfoNCE`, which takes
            seconds and more pairs; or a function `(a, b) -> score`, where
            `score(a, b)` gives the matrix of scores of all rows of `a` with all
            rows of `b`.
        classifier: For labels, see `modality_distance`.
        confidence: Coverage of the interval.
        seed: Seed of the halves.

    Returns:
        An object with the fields `estimate`, not below 0; `interval`, `(low,
        high)`; `ceiling`, what the estimate cannot exceed; and `of_labels`.

    Raises:
        ValueError: If the arrays do not fit together, have fewer than 20 rows
            or are not finite, if a class has a single sample, or if scores
            have another shape or are not finite.

    Example:

    >>> from keras_xkd.datasets import latent_factors
    >>> from keras_xkd.diagnostics import mutual_information
    >>> data = latent_factors.load_data()
    >>> round(data.mutual_information["a;b"], 2)
    2.04
    >>> round(mutual_information(data.x["a"], data.x["b"]).estimate, 1)
    2.0

    Reference:

    - [van den Oord et al., 2018](https://arxiv.org/abs/1807.03748)
    - [Poole et al., 2019](https://arxiv.org/abs/1905.06922) (the bounds)
    """
    halves.check_confidence(confidence)
    b = to_array(b)
    one_column = b.ndim == 1 or b.shape[1:] == (1,)
    if b.dtype == object:
        b = np.array(b.tolist())  # What it holds decides.
    of_labels = one_column and b.dtype.kind in "biuUS"
    if of_labels:
        (a,) = halves.check_features(a=a)
        values, ceiling, _ = label_information(a, b, classifier, seed)
    else:
        a, b = halves.check_features(a=a, b=b[:, None] if b.ndim == 1 else b)
        values, ceiling = pair_values(a, b, critic, seed)
    mean, interval = halves.mean_interval(values, confidence, 0.0, ceiling)
    return MutualInformation(mean, interval, ceiling, confidence, of_labels)


def pair_values(a, b, critic, seed):
    """The bound for two arrays, a value for each pair, and its ceiling."""
    if not callable(critic):
        if critic not in CRITICS:
            raise ValueError(
                f"`critic` must be one of {list(CRITICS)} or a function `(a, "
                f"b) -> score`. Received: {critic!r}"
            )
        critic = CRITICS[critic]
    half = halves.split(np.zeros(len(a)), seed)
    values = np.zeros(len(a))
    for new in (0, 1):
        train, test = half != new, half == new
        score = critic(a[train], b[train])
        scores = to_array(score(a[test], b[test])).astype("float64")
        _check_scores(scores, test.sum())
        values[test] = halves.contrast(scores)
    return values, math.log(len(a) // 2)


def _check_scores(scores, count):
    if scores.shape != (count, count) or not np.all(np.isfinite(scores)):
        raise ValueError(
            "`score(a, b)` of the critic must give the scores of all rows of "
            f"`a` with all rows of `b`: shape {(int(count), int(count))}, and "
            f"finite. Received: shape {scores.shape}, with "
            f"{np.sum(~np.isfinite(scores))} values that are NaN or inf"
        )


def label_information(a, labels, classifier, seed):
    """The bound for labels, a value for each sample, and its ceiling.

    Returns the log-odds of the classes, the logits but for a constant, as well.
    """
    labels, num_classes = halves.check_labels(labels, len(a))
    half = halves.split(labels, seed)
    classify = halves.resolve(classifier)
    log_p = np.log(halves.probabilities(classify, a, labels, half, num_classes))
    frequency = np.bincount(labels) / len(labels)
    values = log_p[np.arange(len(a)), labels] - np.log(frequency[labels])
    entropy = -np.sum(frequency * np.log(frequency))
    return values, float(entropy), log_p - log_p.mean(1, keepdims=True)
