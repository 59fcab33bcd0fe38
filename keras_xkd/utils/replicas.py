"""Losses of a batch that several devices or processes share.

Each replica sees its own samples. The objective is the mean over the replicas,
each with the weight of its samples, so that a mean over samples needs nothing
more. What couples samples, and what is divided by something else than their
number, is computed from the rows of all replicas, on each of them.
"""

import keras
from keras import ops

from keras_xkd.backend import gather
from keras_xkd.backend import padding_of
from keras_xkd.backend import replica_count
from keras_xkd.losses.comparison import Comparison

# Reductions of Keras that divide by the number of values; on TensorFlow these
# and `"mean_with_sample_weight"` divide by that of the replicas too.
MEANS = ("sum_over_batch_size", "mean")


def gather_all(structure):
    """The rows of all replicas of every tensor in a structure."""
    if replica_count() == 1:
        return structure
    leaves = [ops.convert_to_tensor(x) for x in keras.tree.flatten(structure)]
    return keras.tree.pack_sequence_as(structure, gather(leaves))


def value_of(loss, y_true, y_pred, weight, coupled=False, **context):
    """The scalar that a Keras loss adds to the objective of this replica.

    Args:
        loss: A `keras.losses.Loss`.
        y_true, y_pred, weight: Its arguments, of the samples of this replica.
        coupled: Whether the loss compares the samples with each other.
        **context: Further arguments of the loss, one row per sample.
    """
    if replica_count() == 1:
        return undivided(loss, y_true, y_pred, weight, **context)
    # Keras divides by the positions that count; ours, sample by sample.
    padding = None
    if not isinstance(loss, Comparison):
        padding = padding_of(y_pred)
    if coupled or padding is not None or not _is_mean(loss.reduction):
        given = [y_true, y_pred, context]
        given += [v for v in (weight, padding) if v is not None]
        y_true, y_pred, context, *rest = gather_all(given)
        if padding is not None:
            y_pred._keras_mask = rest.pop()
        weight = rest[0] if rest else None
    elif y_pred.shape[0] == 0:
        return ops.sum(y_pred)  # 0, with a gradient.
    return undivided(loss, y_true, y_pred, weight, **context)


def undivided(loss, *arguments, **context):
    """The scalar of a Keras loss, as it is where there is one replica."""
    value = loss(*arguments, **context)
    if len(value.shape):
        return ops.mean(value)  # A loss without a reduction, weighted.
    divided = keras.backend.backend() == "tensorflow"
    if divided and loss.reduction in (*MEANS, "mean_with_sample_weight"):
        value = value * replica_count()
    return value


def _is_mean(reduction):
    return reduction in (*MEANS, None, "none")
