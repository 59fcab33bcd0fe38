"""The formula of `ContrastiveRepresentation`."""

from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses import checks
from keras_xkd.losses.numerics import upcast


@keras_xkd_export("keras_xkd.losses.contrastive_representation")
def contrastive_representation(
    anchors, positives, negatives, normalizer, samples, temperature=0.07
):
    """One direction of `ContrastiveRepresentation`, given its parts.

    Rows of `anchors` and `positives`, shape `(batch, dim)`, and `negatives`,
    `(n, dim)` or `(batch, n, dim)`, are used as they are; `normalizer` is `Z`
    and `samples` is `M`.
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
