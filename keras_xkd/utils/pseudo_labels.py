"""The labels that a teacher's logits stand for, as the student's loss reads."""

import keras
from keras import ops

from keras_xkd.utils.pair import resolve_comparisons
from keras_xkd.utils.task_loss import reads_logits
from keras_xkd.utils.terms import masked_weight

KINDS = ("sparse", "categorical", "binary")


def check_unlabelled(y):
    """Raises if there are labels where the teacher gives them."""
    if y is not None:
        raise ValueError(
            "MKE trains on the teacher's pseudo-labels: `fit` takes no "
            "labels. Real ones go into `validation_data` and `evaluate`. "
            f"Received: y of shape {tuple(y.shape)}"
        )


def check_hardness(labels):
    """Raises unless pseudo-labels are classes or probabilities."""
    if labels not in ("hard", "soft"):
        raise ValueError(
            f"`labels` must be 'hard' or 'soft'. Received: labels={labels}"
        )


def kind_of(loss):
    """What labels a loss reads: one of `KINDS`, the start of its name."""
    function = getattr(loss, "fn", loss)
    kind = getattr(function, "__name__", "").split("_")[0]
    # Those of Keras that cannot read logits are a hinge, or want probabilities.
    of_keras = getattr(function, "__module__", "").startswith("keras.")
    if kind not in KINDS or (of_keras and not reads_logits(loss)):
        raise ValueError(
            "Pseudo-labels are classes: `loss` must be a cross-entropy of "
            "logits, of the kind 'sparse_categorical', 'categorical' or "
            "'binary', or a function of your own whose name starts with one of "
            f"{KINDS}. Received: {loss.name}"
        )
    return kind


def check_classes(readout, teacher, student, kind):
    """Raises unless teacher and student return logits of the same classes."""
    for network in (teacher, student):
        readout.check_logits(network)
    shapes = [
        readout.shape(network, "logits") for network in (teacher, student)
    ]
    widths = {shape[-1] for shape in shapes if shape}
    if len(widths) > 1:
        raise ValueError(
            "The student learns the teacher's classes: both must have the same "
            f"ones in the same order. Received: logits of shape {shapes[0]} of "
            f"the teacher and {shapes[1]} of the student"
        )
    if widths == {1} and kind != "binary":
        raise ValueError(
            "One logit says yes or no: pass `loss='binary_crossentropy'`. "
            f"Received: logits of width 1 and a {kind} loss"
        )


def loss_for(loss, labels):
    """The loss against pseudo-labels, and what labels it reads.

    Class numbers cannot be soft: for soft labels a sparse loss is replaced by
    the categorical one, which is the same for labels of one class.
    """
    kind = kind_of(loss)
    if labels == "hard" or kind != "sparse":
        return loss, kind
    plain = isinstance(loss, keras.losses.SparseCategoricalCrossentropy)
    plain = plain or loss.name == "sparse_categorical_crossentropy"
    if not plain or loss.get_config().get("ignore_class") is not None:
        raise ValueError(
            "Soft pseudo-labels are no class numbers. With `labels='soft'` "
            "pass 'categorical_crossentropy', or a plain "
            "'sparse_categorical_crossentropy', which is replaced by it in "
            f"training. Received: {loss.name}"
        )
    return (
        keras.losses.CategoricalCrossentropy(
            from_logits=True, reduction=loss.reduction
        ),
        "categorical",
    )


def of_logits(logits, kind, labels):
    """Labels from logits `(batch, ..., classes)`, in float32 or int32."""
    soft = labels == "soft"
    logits = ops.cast(logits, "float32")
    if kind == "binary":
        yes = ops.sigmoid(logits)
        return yes if soft else ops.cast(logits > 0, "float32")
    if soft:
        return ops.softmax(logits, axis=-1)
    classes = ops.cast(ops.argmax(logits, axis=-1), "int32")
    if kind == "sparse":
        return classes
    return ops.one_hot(classes, logits.shape[-1], dtype="float32")


def agreement(labels, logits, kind, mask):
    """The share of predictions that are those of the pseudo-labels.

    `mask`, shape `(batch,)`, is 1 for the samples that count.
    """
    if kind == "binary":
        same = ops.equal(logits > 0, labels > 0.5)
    else:
        if kind == "categorical":
            labels = ops.argmax(labels, axis=-1)
        predicted = ops.cast(ops.argmax(logits, axis=-1), "int32")
        same = ops.equal(predicted, ops.cast(labels, "int32"))
    same = ops.cast(same, "float32")
    if len(same.shape) > 1:
        same = ops.mean(same, axis=tuple(range(1, len(same.shape))))
    if mask is None:
        return ops.mean(same)
    return ops.mean(same * masked_weight(None, mask, "mean"))


def consistency_terms(distillation_loss):
    """A dict `{term: Comparison}` from what `compile` was given."""
    if not isinstance(distillation_loss, (dict, list, type(None))):
        distillation_loss = {"consistency": distillation_loss}
    comparisons = resolve_comparisons(distillation_loss)
    if "pseudo_label" in comparisons:
        raise ValueError(
            "The term 'pseudo_label' is the compiled `loss`. Give the entry of "
            "`distillation_loss` another name. Received: "
            f"distillation_loss={distillation_loss}"
        )
    return comparisons
