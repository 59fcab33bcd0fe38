"""The named terms of an objective: their weights and their running means."""

import keras
import numpy as np
from keras import ops

from keras_xkd.backend import replica_count
from keras_xkd.backend import replica_total
from keras_xkd.utils.running_means import RunningMeans


class Terms:
    """Weights and running means of the loss terms, by name.

    The weights are variables, so that a schedule can move them without a new
    trace. They live outside the layers: they belong to `compile`, not to the
    networks.

    Args:
        weights: A dict `{term: number}` of what is known beforehand.
        known: Whether `weights` names all terms.
    """

    def __init__(self, weights, known=False):
        self.known = known
        self.given = () if known else tuple(weights)
        self.later, self.wrong = set(), set()  # Names from `set_weight`.
        self.weights = {}
        self.metrics = []
        for name, value in weights.items():
            self._add_weight(name, value)

    @property
    def names(self):
        """The names of all logs that there are so far."""
        return [name for means in self.metrics for name in means.names]

    def ensure(self, terms, extras=()):
        """Makes sure that every term has a weight and every log a mean."""
        for name in terms:
            if name not in self.weights:
                self._add_weight(name, 1.0)
        logs = ["loss", *(f"{name}_loss" for name in terms), *extras]
        new = [name for name in logs if name not in self.names]
        if new:
            # The first is called "loss", which Keras then returns first.
            self.metrics.append(RunningMeans(new, name=new[0]))

    def lacks(self, terms, extras):
        """Whether `ensure` has something to do."""
        logs = [*(f"{name}_loss" for name in terms), *extras]
        return not set(self.names) >= set(logs)

    def _add_weight(self, name, value):
        self.weights[name] = keras.Variable(
            float(value),
            dtype="float32",
            trainable=False,
            name=f"{name}_loss_weight",
        )

    def check_logs(self, terms, extras):
        """Raises if a log has the name of a loss."""
        own = {"loss", *(f"{name}_loss" for name in terms)}
        clash = sorted(own & set(extras))
        if clash:
            raise ValueError(
                f"`compute_losses` returned the logs {clash}, which are names "
                "of losses: call them otherwise."
            )

    def check_names(self, terms):
        """Raises if a weight was given for a term that does not exist.

        Asked with all terms there can be: in training, with labels.
        """
        unknown = sorted(set(self.given) - set(terms))
        if unknown:
            self.wrong = self.later & set(unknown)
            raise ValueError(
                "`loss_weights` or `set_loss_weight` name the terms "
                f"{unknown}, but the terms are {sorted(terms)}."
            )

    def weight_values(self):
        return {n: round(float(w.numpy()), 7) for n, w in self.weights.items()}

    def set_weight(self, term, value):
        for name in self.wrong:  # Corrected by whoever gives another one.
            self.weights.pop(name)
        self.given = tuple(n for n in self.given if n not in self.wrong)
        self.later, self.wrong = self.later - self.wrong, set()
        if not self.known and not self.metrics:
            # Before the first batch any name may turn out to be a term.
            self._add_weight(term, value)
            self.given = (*self.given, term)
            self.later.add(term)
        if term not in self.weights:
            raise ValueError(
                f"There is no loss term '{term}'. The terms are "
                f"{sorted(self.weights)}"
            )
        self.weights[term].assign(float(value))

    def total(self, terms, penalties=()):
        """The weighted sum of `terms` plus `penalties`, in float32."""
        total = ops.zeros((), "float32")
        for name, value in terms.items():
            # A term that is not known yet, in a symbolic run, weighs 1.
            total = total + self.weights.get(name, 1.0) * value
        for penalty in penalties:
            total = total + ops.sum(ops.cast(penalty, "float32"))
        return total

    def update(self, loss, terms, extras, batch_size):
        """Updates the running means; returns their values by log name."""
        values = {f"{name}_loss": value for name, value in terms.items()}
        values = {"loss": loss, **values, **extras}
        found = {}
        for means in self.metrics:
            own = {n: ops.mean(values[n]) for n in means.names if n in values}
            if own:
                means.update_state(own, batch_size)
                found |= means.result()
        return {name: found[name] for name in values}


def check_weights(given, defaults):
    """The weights of all terms: the defaults, overridden by what was given.

    Args:
        given: A dict `{term: number}` or None.
        defaults: A dict of all terms, or None if they are not known yet.
    """
    given = {} if given is None else given
    if not isinstance(given, dict):
        raise ValueError(
            "`loss_weights` must be a dict `{term: number}`. "
            f"Received: loss_weights={given}"
        )
    for name, value in given.items():
        if not isinstance(value, (int, float, np.number)):
            raise ValueError(
                f"The weight of the term '{name}' must be a number. "
                f"Received: {value!r}"
            )
    unknown = sorted(set(given) - set(given if defaults is None else defaults))
    if unknown:
        raise ValueError(
            f"`loss_weights` names the terms {unknown}, but the terms are "
            f"{sorted(defaults)}."
        )
    return {**(defaults or {}), **given}


def reduce_term(value, sample_weight):
    """A scalar in float32 from a scalar or one value per sample.

    Values per sample are weighted and averaged as Keras does: their weighted
    sum divided by the number of samples.
    """
    value = ops.cast(value, "float32")
    if len(value.shape) == 0:
        return value
    if sample_weight is not None:
        weight = ops.cast(sample_weight, "float32")
        while len(weight.shape) > len(value.shape):
            weight = ops.squeeze(weight, -1)
        while len(weight.shape) < len(value.shape):
            weight = ops.expand_dims(weight, -1)
        value = value * weight
    if replica_count() > 1:
        # Of a last batch a replica may have got no sample at all.
        size = ops.cast(ops.size(value), "float32")
        return ops.sum(value) / ops.maximum(size, 1.0)
    return ops.mean(value)


def masked_weight(sample_weight, mask, reduction):
    """Weights that leave absent samples out of a loss and its normaliser.

    A loss that is summed has no normaliser, and `"mean_with_sample_weight"`
    divides by the weights themselves. Everything else becomes a mean over the
    batch, by the loss. The batch is that of all replicas.
    """
    if mask is None:
        return sample_weight
    mask = ops.convert_to_tensor(mask)
    if not keras.backend.is_float_dtype(mask.dtype):  # Such as `y >= 0`.
        mask = ops.cast(mask, "float32")
    weight = mask
    if reduction not in ("sum", "mean_with_sample_weight"):
        size = ops.cast(ops.shape(mask)[0], mask.dtype)
        size, present = replica_total(size, ops.sum(mask))
        weight = mask * size / ops.maximum(present, 1.0)
    if sample_weight is None:
        return weight
    return weight * ops.reshape(ops.cast(sample_weight, weight.dtype), (-1,))


def per_position(sample_weight, predictions):
    """Weights `(batch,)` for losses of one value per position, or pixel."""
    rank = len(predictions.shape) - 1
    if sample_weight is None or rank < 2 or len(sample_weight.shape) != 1:
        return sample_weight
    return ops.reshape(sample_weight, (-1,) + (1,) * (rank - 1))
