"""A loss over all pairs of a batch, with the memory of a few rows of them."""

import numbers

import keras
from keras import ops


def check_sizes(**sizes):
    """Raises unless each is a positive number of rows, or None."""
    for name, size in sizes.items():
        whole = isinstance(size, numbers.Integral)
        if size is not None and not (whole and size > 0):
            raise ValueError(
                f"`{name}` must be a positive integer, the number of rows, or "
                f"None. Received: {name}={size!r}"
            )


def by_rows(function, rows, whole=(), fixed=(), chunk_size=None):
    """`function(*rows, *whole, *fixed)`, for a block of rows at a time.

    The blocks are computed one after the other, and once more when they are
    differentiated: what a block needs in between is never kept.

    Args:
        function: Returns one value per row. Besides its arguments it may use
            constants: what it captures gets no gradient on TensorFlow.
        rows: Tensors whose first axis is cut into blocks.
        whole: Tensors that every block sees in full.
        fixed: Like `rows`, but constants, such as integers.
        chunk_size: Number of rows per block. `None` is a single block.

    Returns:
        Tensor of shape `(batch,)`.
    """
    check_sizes(chunk_size=chunk_size)
    count = ops.shape(rows[0])[0]
    known = isinstance(count, int)
    if chunk_size is None or (known and count <= chunk_size):
        return function(*rows, *whole, *fixed)

    def cut(x):
        # The last block is filled up with zeros, and loses them at the end.
        width = [[0, -count % chunk_size]] + [[0, 0]] * (len(x.shape) - 1)
        return ops.reshape(ops.pad(x, width), (-1, chunk_size, *x.shape[1:]))

    def values(block):
        # Captured, since TensorFlow would watch arguments, of any type.
        constants = block[len(rows) :]
        once_more = keras.remat(lambda *x: function(*x, *constants))
        return once_more(*block[: len(rows)], *whole)

    blocks = tuple(cut(x) for x in (*rows, *fixed))
    return ops.reshape(ops.map(values, blocks), (-1,))[:count]
