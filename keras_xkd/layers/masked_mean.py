from keras import ops

from keras_xkd.losses.numerics import NEVER
from keras_xkd.losses.numerics import safe_divide


def masked_mean(values, there, score=None):
    """The mean over positions of those that are there.

    Args:
        values: Shape `(batch, positions, width)`, zeros where nothing is there.
        there: Shape `(batch, positions, 1)`, Boolean. A sample without any
            position gives zeros.
        score: A layer to one number per position, whose softmax weights the
            mean; None for equal weights.

    Returns:
        Shape `(batch, width)`.
    """
    weights = ops.cast(there, "float32")
    if score is not None:
        scores = ops.cast(score(values), "float32")
        scores = ops.where(there, scores, NEVER)
        weights = weights * ops.softmax(scores, axis=1)
    weights = safe_divide(weights, ops.sum(weights, axis=1, keepdims=True))
    return ops.sum(values * ops.cast(weights, values.dtype), axis=1)
