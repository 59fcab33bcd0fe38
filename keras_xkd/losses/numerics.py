"""Arithmetic that several losses share."""

import keras
from keras import ops

# Stands for minus infinity where a softmax must leave an entry out: finite,
# so that a row without any entry has no NaN.
NEVER = -1e30


def upcast(*tensors):
    """The tensors in float32, or in float64 if one of them is."""
    tensors = [ops.convert_to_tensor(x) for x in tensors]
    dtypes = {keras.backend.standardize_dtype(x.dtype) for x in tensors}
    dtype = "float64" if "float64" in dtypes else "float32"
    return [ops.cast(x, dtype) for x in tensors]


def validity(mask, x):
    """`mask` as zeros and ones of shape `(batch,)`; ones for `None`."""
    if mask is None:
        return ops.ones_like(x[:, 0])
    mask = ops.reshape(ops.cast(mask, x.dtype), (-1,))
    return ops.cast(mask > 0, x.dtype)


def keep_rows(valid, x):
    """The rows with `valid` 1; zeros, whatever they held, for the others."""
    return ops.where(valid[:, None] > 0, x, ops.zeros_like(x))


def products(rows, columns):
    """The products of all pairs. `ops.matmul` has float32 results on torch."""
    return rows @ ops.transpose(columns)


def log_total(logits, valid):
    """Logarithm of each row's sum of exponentials, of the valid columns."""
    return ops.logsumexp(ops.where(valid[None] > 0, logits, NEVER), axis=1)


def safe_divide(x, y):
    """`x / y`, and `x` where `y` is 0, with a finite gradient."""
    return x / ops.where(y > 0, y, ops.ones_like(y))


def unit(x):
    """Rows of length one; a row without direction stays as it is."""
    square = ops.sum(ops.square(x), axis=-1, keepdims=True)
    return x * ops.rsqrt(
        ops.where(square > 1e-24, square, ops.ones_like(square))
    )


def unit_rows(mask, *sides):
    """`validity` of `mask`, and each side's rows: zero or of length one."""
    valid = validity(mask, sides[0])
    return valid, *(unit(keep_rows(valid, side)) for side in sides)


def smooth_l1(x):
    """`x^2 / 2` within one of zero, `|x| - 1/2` beyond."""
    size = ops.absolute(x)
    return ops.where(size < 1, 0.5 * ops.square(x), size - 0.5)


def average_positions(values, padding=None):
    """The mean of every sample's values over its positions.

    Args:
        values: Tensor of shape `(batch, positions...)`.
        padding: Weights of shape `(batch, positions...)`, or of fewer axes;
            a Keras mask, for instance. A sample without any position gives 0.
    """
    rank = len(values.shape)
    if rank == 1:
        return values
    axes = tuple(range(1, rank))
    if padding is None:
        return ops.mean(values, axis=axes)
    weights = ops.cast(padding, values.dtype)
    for _ in range(rank - len(weights.shape)):
        weights = ops.expand_dims(weights, -1)
    weights = ops.broadcast_to(weights, ops.shape(values))
    values = ops.where(weights > 0, values, ops.zeros_like(values)) * weights
    return safe_divide(ops.sum(values, axis=axes), ops.sum(weights, axis=axes))
