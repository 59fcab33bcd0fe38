"""How much of the teacher the student leaves open, H(T | S)."""

import keras
from keras import layers
from keras import ops

from keras_xkd.layers.discriminator import Discriminator
from keras_xkd.losses.numerics import unit
from keras_xkd.losses.numerics import upcast
from keras_xkd.utils.graph import squashing_of
from keras_xkd.utils.terms import masked_weight

KINDS = ("adversarial", "gaussian", None)


class ConditionalEntropy(layers.Layer):
    """The entropy term of `AMID`: a network `G` predicts `t` from `s`.

    Args:
        kind: `"adversarial"`, `"gaussian"` or None.
        width: Width of the student's features.
        teacher_width: Width of the teacher's features.
        moves_teacher: Whether the teacher has a gradient.

    Arguments of `terms`:
        teacher, student: Features, shape `(batch, width)`. The teacher's are
            scaled to length one: the entropy of features that may shrink
            falls without limit.
        discriminator: Judges pairs of features; None for the Gaussian bound.
        mask: 1 for the samples that take part, shape `(batch,)`, or None.
        training: Passed on.

    Returns:
        A dict of terms, one value per sample: `entropy` and, with a
        discriminator, what that minimises, `discriminator`.
    """

    def __init__(self, kind, width, teacher_width, moves_teacher, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.kind = kind
        self.moves_teacher = moves_teacher
        if kind:
            self.generator = keras.Sequential(
                [
                    keras.Input((width,)),
                    layers.Dense(teacher_width, activation="relu"),
                    layers.Dense(teacher_width),
                ],
                name="generator",
            )
        self.built = True

    @property
    def term_weights(self):
        """The terms and their default weights."""
        weights = {"entropy": 0.1, "discriminator": 1.0}
        if self.kind == "gaussian":
            del weights["discriminator"]
        return weights if self.kind else {}

    def terms(self, teacher, student, discriminator, mask, training):
        if self.kind is None:
            return {}
        t = unit(upcast(teacher)[0])
        if not self.moves_teacher:
            t = ops.stop_gradient(t)
        guess = upcast(self.generator(student, training=training))[0]
        if self.kind == "gaussian":
            terms = {"entropy": ops.sum(ops.square(t - guess), axis=-1)}
        else:
            real = ops.concatenate([t, t], axis=-1)
            made_up = ops.concatenate([t, guess], axis=-1)
            pairs = ops.concatenate([real, made_up], axis=0)
            logits = upcast(discriminator(pairs, training=training))[0]
            real, made_up = ops.split(logits[:, 0], 2)
            terms = {
                "entropy": ops.softplus(-made_up),
                "discriminator": ops.softplus(-real) + ops.softplus(made_up),
            }
        weight = masked_weight(None, mask, "mean")
        if weight is not None:
            terms = {name: value * weight for name, value in terms.items()}
        return terms


def resolve_discriminator(kind, discriminator, width):
    """The discriminator of pairs of features of a width, or None."""
    if kind not in KINDS:
        raise ValueError(
            "`entropy` must be 'adversarial', 'gaussian' or None. Received: "
            f"entropy={kind!r}"
        )
    if kind != "adversarial":
        if discriminator is not None:
            raise ValueError(
                "A `discriminator` belongs to entropy='adversarial'. "
                f"Received: entropy={kind!r}, discriminator={discriminator}"
            )
        return None
    if discriminator is None:
        discriminator = Discriminator(name="discriminator")
    if not isinstance(discriminator, layers.Layer):
        raise ValueError(
            "`discriminator` must be a Keras layer, from pairs of features to "
            f"one logit. Received: discriminator={discriminator!r}"
        )
    if not discriminator.built:
        discriminator.build((None, 2 * width))
    logits = discriminator(keras.Input((2 * width,)))
    shape = tuple(getattr(logits, "shape", ()))
    if shape != (None, 1):
        raise ValueError(
            "The discriminator must return one logit for each pair, shape "
            f"`(batch, 1)`. Received: '{discriminator.name}', which returns "
            f"the shape {shape}"
        )
    squashing = squashing_of(logits)
    if squashing:
        raise ValueError(
            f"The discriminator '{discriminator.name}' ends in a {squashing}, "
            "but its output is read as logits. Remove the activation."
        )
    return discriminator
