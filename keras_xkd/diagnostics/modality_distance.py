import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.diagnostics import halves
from keras_xkd.typing import Classifier, Interval

FEWEST_OF_A_CLASS = 8


@dataclasses.dataclass(frozen=True)
class ModalityDistance:
    """The result of `modality_distance`; `print` says it in words."""

    total_variation: float
    total_variation_interval: Interval
    jensen_shannon: float
    jensen_shannon_interval: Interval
    cosine: float
    joint_total_variation: float | None
    joint_total_variation_interval: Interval | None
    confidence: float

    def __str__(self) -> str:
        percent = f"{100 * self.confidence:g} % interval"
        lines = [
            f"Total variation: at least {self.total_variation:.3f} "
            f"({percent} {_range(self.total_variation_interval)}). A "
            "classifier tells the modalities apart in "
            f"{50 + 50 * self.total_variation:.0f} % of new samples.",
            f"Jensen-Shannon divergence: at least {self.jensen_shannon:.3f} "
            f"nats ({_range(self.jensen_shannon_interval)}), of at most 0.693.",
            f"Mean cosine of the pairs: {self.cosine:.3f}.",
        ]
        if self.joint_total_variation is not None:
            lines.append(
                "Total variation of embedding and label together: at least "
                f"{self.joint_total_variation:.3f} "
                f"({_range(self.joint_total_variation_interval)})."
            )
        return "\n".join(lines)

    __repr__ = __str__


@keras_xkd_export("keras_xkd.diagnostics.modality_distance")
def modality_distance(
    a: ArrayLike,
    b: ArrayLike,
    labels: ArrayLike | None = None,
    classifier: Classifier = "auto",
    confidence: float = 0.95,
    seed: int = 0,
) -> ModalityDistance:
    """How far the embeddings of two modalities are from each other.

    A classifier learns to tell `a` from `b` on one half of the pairs and is
    tested on the other half, and the reverse. What it achieves on samples that
    it has not seen bounds the distance of the two distributions from below:

    - total variation >= 2 * (mean of both accuracies) - 1,
    - Jensen-Shannon divergence >= log 2 - cross-entropy, in nats.

    The better the classifier, the closer the bounds. With labels, one
    classifier for each class bounds the total variation of `(embedding,
    label)`, which is 0 only if the classes lie in the same places too.

    The bounds hold on average over samples. The intervals are those of the
    means over the pairs: they say how well the bound is known, not how close to
    the distance it is. The pairs must be independent: two pairs from one
    recording in different halves let the classifier recognise the recording.

    Args:
        a: Embeddings of one modality, shape `(N, features)`.
        b: Those of the other, of the same shape; row i is the pair of row i.
        labels: Labels of the pairs, shape `(N,)`, or `None`.
        classifier: `"auto"`, logistic regression, linear or on squares and
            random features, whichever does better on a quarter of the training
            half; `"linear"`; or a function `(x, labels, x_new) ->
            probabilities` that trains a classifier of its own on `x`, shape
            `(M, features)`, and `labels`, integers from 0, and returns the
            probabilities of the classes for the rows of `x_new`.
        confidence: Coverage of the intervals.
        seed: Seed of the halves.

    Returns:
        An object with the fields

        - `total_variation`, `jensen_shannon`, `joint_total_variation`: the
          bounds, not below 0; the last is `None` without labels, and counts
          classes with fewer than 8 pairs in a half as 0;
        - `total_variation_interval` and so on: pairs `(low, high)`;
        - `cosine`: the mean cosine of the pairs.

    Raises:
        ValueError: If the arrays do not fit together, have fewer than 20 rows
            or are not finite.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.diagnostics import modality_distance
    >>> a, b = np.random.default_rng(0).normal(size=(2, 500, 16))
    >>> b[:, 0] += 3  # The total variation is 0.866.
    >>> modality_distance(a, b).total_variation
    0.872

    Reference:

    - [Lin et al., 2024](https://arxiv.org/abs/2405.03355), whose bound of the
      target's error contains the total variation. The estimate is ours.
    """
    a, b = halves.check_features(a=a, b=b)
    if a.shape != b.shape:
        raise ValueError(
            "`a` and `b` must have the same number of features. "
            f"Received: shapes {a.shape} and {b.shape}"
        )
    halves.check_confidence(confidence)
    classify = halves.resolve(classifier)
    classes = np.zeros(len(a), "int64")
    if labels is not None:
        classes, _ = halves.check_labels(labels, len(a))
    half = halves.split(classes, seed)
    of_a, of_b = _log_probabilities(classify, a, b, half)
    joint, joint_interval = None, None
    if labels is not None:
        advantage = np.zeros(len(a))
        for k in np.unique(classes):
            own = classes == k
            if np.bincount(half[own], minlength=2).min() >= FEWEST_OF_A_CLASS:
                log_p = _log_probabilities(classify, a[own], b[own], half[own])
                advantage[own] = _advantage(*log_p)
        joint, joint_interval = halves.mean_interval(
            advantage, confidence, 0.0, 1.0
        )
    total, total_interval = halves.mean_interval(
        _advantage(of_a, of_b), confidence, 0.0, 1.0
    )
    jensen_shannon, jensen_shannon_interval = halves.mean_interval(
        math.log(2) + (of_a[:, 0] + of_b[:, 1]) / 2,
        confidence,
        0.0,
        math.log(2),
    )
    return ModalityDistance(
        total_variation=total,
        total_variation_interval=total_interval,
        jensen_shannon=jensen_shannon,
        jensen_shannon_interval=jensen_shannon_interval,
        cosine=float(np.mean(_cosine(a, b))),
        joint_total_variation=joint,
        joint_total_variation_interval=joint_interval,
        confidence=confidence,
    )


def _log_probabilities(classify, a, b, half):
    """Those of being from `a` and from `b`, for the rows of both."""
    p = halves.probabilities(
        classify,
        np.concatenate([a, b]),
        np.repeat([0, 1], len(a)),
        np.tile(half, 2),
        num_classes=2,
    )
    return np.split(np.log(p), 2)


def _advantage(of_a, of_b):
    """1, 0 or -1 for each pair, by how many are recognised; means TV."""
    return (
        np.sign(of_a[:, 0] - of_a[:, 1]) + np.sign(of_b[:, 1] - of_b[:, 0])
    ) / 2


def _cosine(a, b):
    length = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.sum(a * b, axis=1) / np.where(length > 0, length, 1)


def _range(interval):
    return f"{interval[0]:.3f} to {interval[1]:.3f}"
