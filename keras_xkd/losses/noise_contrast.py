"""The formulas of `ContrastiveRepresentation`."""

from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses import checks
from keras_xkd.losses import chunks
from keras_xkd.losses.numerics import NEVER
from keras_xkd.losses.numerics import log_total
from keras_xkd.losses.numerics import products
from keras_xkd.losses.numerics import upcast
from keras_xkd.typing import Tensor


@keras_xkd_export("keras_xkd.losses.contrastive_representation")
def contrastive_representation(
    anchors: Tensor,
    positives: Tensor,
    negatives: Tensor,
    normalizer: Tensor,
    samples: float,
    temperature: float = 0.07,
) -> Tensor:
    """One direction of `ContrastiveRepresentation`, given its parts.

    Rows of `anchors` and `positives`, shape `(batch, dim)`, and `negatives`,
    `(n, dim)` or `(batch, n, dim)`, are used as they are; `normalizer` is `Z`
    and `samples` is `M`.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.losses import contrastive_representation
    >>> anchors = positives = np.eye(2)
    >>> negatives = -np.eye(2)
    >>> values = contrastive_representation(
    ...     anchors, positives, negatives, normalizer=2.0, samples=2.0
    ... )
    >>> round(float(values[0]), 4)
    0.4055
    """
    anchors, positives, negatives = upcast(anchors, positives, negatives)
    checks.check_rows(anchors, positives, same_width=True)
    positive, negative = similarities(
        anchors, positives, negatives, temperature
    )
    share = ops.cast(ops.shape(negatives)[-2], positive.dtype) / samples
    offset = ops.log(ops.cast(normalizer, positive.dtype)) + ops.log(share)
    return noise_contrast(positive, negative, offset)


def similarities(anchors, positives, negatives, temperature):
    """Products over temperature, `(batch,)` and `(batch, n)`."""
    equation = "bd,nd->bn" if len(negatives.shape) == 2 else "bd,bnd->bn"
    negative = ops.einsum(equation, anchors, negatives) / temperature
    return ops.sum(anchors * positives, axis=1) / temperature, negative


def noise_contrast(positive, negatives, offset, weights=1.0):
    """`-log h(positive) - sum log(1 - h(negatives))`, `(batch,)`.

    `h` is the sigmoid of similarity over temperature minus `offset`, which is
    `log(Z * N / M)`: the fraction of the formula in log space.

    Args:
        positive: Similarities over temperature, shape `(batch,)`.
        negatives: The same, shape `(batch, n)`.
        offset: Scalar.
        weights: Of the negatives, shape `(batch, n)`.
    """
    noise = ops.softplus(negatives - offset) * weights
    return ops.softplus(offset - positive) + ops.sum(noise, axis=1)


def batch_contrast(t, s, valid, temperature, chunk_size=None):
    """Both directions with the other rows of the batch as negatives.

    Args:
        t: Rows of the teacher, of length one.
        s: Rows of the student, of length one.
        valid: Shape `(batch,)`, 1 for the rows that take part.
        temperature: `tau`.
        chunk_size: See `chunks.by_rows`.
    """
    index = ops.arange(ops.shape(s)[0], dtype="int32")
    fixed = ops.stop_gradient(t)

    def total(rows):
        logits = products(rows, fixed) / temperature
        return log_total(logits, valid)

    # One Z for both directions: they share their pairs.
    totals = chunks.by_rows(
        total, (ops.stop_gradient(s),), chunk_size=chunk_size
    )
    count = ops.sum(valid)
    offset = ops.logsumexp(ops.where(valid > 0, totals, NEVER))
    offset = offset - ops.log(ops.maximum(count**2, 1))
    offset = offset + ops.log(ops.maximum(count - 1, 1e-12))

    def contrast(anchors, positives, candidates, index):
        others = index[:, None] != ops.arange(ops.shape(candidates)[0])[None]
        weights = ops.where(others, valid[None], 0.0)
        logits = products(anchors, candidates) / temperature
        positive = ops.sum(anchors * positives, axis=1) / temperature
        return noise_contrast(positive, logits, offset, weights)

    by_student, by_teacher = (
        chunks.by_rows(
            contrast, (anchors, others), (others,), (index,), chunk_size
        )
        for anchors, others in ((s, t), (t, s))
    )
    return by_student + by_teacher
