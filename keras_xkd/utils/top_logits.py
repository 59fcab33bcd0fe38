"""The largest logits of each sample, as they are stored."""

import numpy as np
from keras import ops

# What stands for one array of logits: see `largest`.
PARTS = ("values", "indices", "rest")


def largest(logits, k):
    """The `k` largest of `(..., classes)` logits, and one number for the rest.

    Returns:
        A dict with `values` and `indices` `(..., k)`, in falling order, and
        `rest` `(..., 1)`: the logit which each of the other classes gets so
        that together they keep their probability. It is the mean of theirs,
        taken over probabilities, and never larger than a value.
    """
    logits = np.asarray(logits, "float32")
    order = np.argsort(-logits, axis=-1, kind="stable")
    indices, others = order[..., :k], order[..., k:]
    values = np.take_along_axis(logits, indices, axis=-1)
    rest = values[..., -1:]  # Of no class.
    if others.shape[-1]:
        others = np.take_along_axis(logits, others, axis=-1)
        top = others.max(axis=-1, keepdims=True)
        mean = np.exp(others - top).mean(axis=-1, keepdims=True)
        rest = top + np.log(mean)
    return {
        "values": values,
        "indices": indices.astype("int32"),
        "rest": rest,
    }


def expand(values, indices, rest, classes):
    """All logits `(..., classes)` from what `largest` returned."""
    k = values.shape[-1]
    shape = ops.shape(values)[:-1]
    flat = ops.reshape(values, (-1, k))
    rows = ops.broadcast_to(
        ops.arange(ops.shape(flat)[0], dtype="int32")[:, None], ops.shape(flat)
    )
    places = ops.stack([rows, ops.reshape(indices, (-1, k))], axis=-1)
    logits = ops.repeat(ops.reshape(rest, (-1, 1)), classes, axis=-1)
    logits = ops.scatter_update(
        logits, ops.reshape(places, (-1, 2)), ops.reshape(values, (-1,))
    )
    return ops.reshape(logits, (*shape, classes))
