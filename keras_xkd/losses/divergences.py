"""Divergences of two predictions, from logits."""

from keras import ops


def categorical(t, s):
    """KL of two categorical distributions, from logits, over the last axis."""
    log_t, log_s = ops.log_softmax(t), ops.log_softmax(s)
    return ops.sum(ops.exp(log_t) * (log_t - log_s), axis=-1)


def bernoulli(t, s):
    """KL of Bernoulli distributions, from logits, summed over the last axis."""
    yes = ops.sigmoid(t) * (ops.log_sigmoid(t) - ops.log_sigmoid(s))
    no = ops.sigmoid(-t) * (ops.log_sigmoid(-t) - ops.log_sigmoid(-s))
    return ops.sum(yes + no, axis=-1)


def split_classes(logits, labels):
    """The true class and the others, apart.

    Args:
        logits: Shape `(batch, classes)`.
        labels: Class indices, shape `(batch, 1)`.

    Returns:
        The log-odds of the true class against all others together, shape
        `(batch, 1)`, and the logits of the others.
    """
    # The columns of the other classes: 0, 1, ... without the label.
    columns = ops.arange(logits.shape[-1] - 1, dtype="int32")[None]
    columns = columns + ops.cast(columns >= labels, "int32")
    others = ops.take_along_axis(logits, columns, axis=1)
    target = ops.take_along_axis(logits, labels, axis=1)
    return target - ops.logsumexp(others, axis=1, keepdims=True), others
