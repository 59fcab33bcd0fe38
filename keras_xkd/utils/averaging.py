"""Averages of the probabilities of several classifiers."""

import math
import numbers

from keras import ops

from keras_xkd.losses.numerics import NEVER


def average(logits, weights, kind):
    """The logarithm of averaged probabilities, computed with logarithms.

    Args:
        logits: Shape `(networks, batch, classes)`.
        weights: Shape `(networks, batch, 1)`; all 0 where nothing is present.
        kind: `"softmax"` or `"sigmoid"`.
    """
    votes = ops.where(weights > 0, ops.log(ops.maximum(weights, 1e-30)), NEVER)
    if kind == "softmax":
        yes = ops.log_softmax(logits, axis=-1)
        return ops.log_softmax(ops.logsumexp(yes + votes, axis=0), axis=-1)
    yes = ops.logsumexp(ops.log_sigmoid(logits) + votes, axis=0)
    return yes - ops.logsumexp(ops.log_sigmoid(-logits) + votes, axis=0)


def check_weights(weights, models):
    """The weights of all models, 1 for those that are not named."""
    weights = {} if weights is None else weights
    votes = {}
    if isinstance(weights, dict) and not set(weights) - set(models):
        votes = {name: weights.get(name, 1.0) for name in models}
    usable = [
        isinstance(vote, numbers.Real) and 0 <= vote < math.inf
        for vote in votes.values()
    ]
    if not votes or not all(usable) or not sum(votes.values()) > 0:
        raise ValueError(
            "`weights` must be a dict of finite numbers that are not negative "
            f"and not all 0, by the names {sorted(models)}. "
            f"Received: weights={weights}"
        )
    return {name: float(vote) for name, vote in votes.items()}


def check_classes(readout, models, kind):
    """Raises unless the models return logits of the same classes.

    Args:
        readout: The `Outputs` that know the shapes.
        models: A dict `{name: network}`.
        kind: `"softmax"` or `"sigmoid"`.
    """
    shapes = {}
    for name, model in models.items():
        readout.check_logits(model)
        shapes[name] = (readout.shape(model, "logits") or (None,))[-1]
    widths = {width for width in shapes.values() if width is not None}
    if len(widths) > 1:
        raise ValueError(
            "The networks must have the same classes in the same order. "
            f"Received: {shapes}"
        )
    if kind not in ("softmax", "sigmoid"):
        raise ValueError(
            f"`kind` must be 'softmax' or 'sigmoid'. Received: kind={kind!r}"
        )
    if kind == "softmax" and widths == {1}:
        raise ValueError(
            "A softmax over one class is always 1: use `kind='sigmoid'`. "
            f"Received: {shapes}"
        )
