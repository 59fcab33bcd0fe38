"""One comparison between a teacher and a student."""

import keras

from keras_xkd.losses.comparison import Comparison
from keras_xkd.losses.matching import Matching
from keras_xkd.utils.outputs import get_output
from keras_xkd.utils.terms import masked_weight


class Pair:
    """Compares one output of two networks, after a projection if there is one.

    Args:
        comparison: The loss.
        projection: A layer for the student's output, or None.
        companion: The layer that stands in for the loss, or None; see
            `Comparison.companion`.
    """

    def __init__(self, comparison, projection=None, companion=None):
        self.comparison = comparison
        self.projection = projection
        self.companion = companion

    def __call__(self, teacher, student, y, mask, sample_weight, x, training):
        """The term, or None where labels that it needs are absent."""
        name = self.comparison.output
        teacher = get_output(teacher, name, "teacher")
        student = get_output(student, name, "student")
        if self.projection is not None:
            student = self.projection(student)
        weight = masked_weight(sample_weight, mask, self.comparison.reduction)
        if self.companion is not None:
            sample_id = x.get("sample_id") if isinstance(x, dict) else None
            values = self.companion(
                teacher, student, sample_id=sample_id, training=training
            )
            return _Reduce(self.comparison)(values, values, weight)
        context = {}
        if "labels" in self.comparison.needs:
            if y is None and not training:
                return None
            if y is None:
                raise ValueError(
                    f"{type(self.comparison).__name__} needs labels, and this "
                    "data has none. Pass `y`, or choose another loss."
                )
            context["labels"] = y
        if mask is not None and "mask" in self.comparison.needs:
            context["mask"] = mask
        return self.comparison(teacher, student, weight, **context)


def resolve_comparisons(distillation_loss):
    """A dict `{term: Comparison}` from what `compile` was given."""
    if distillation_loss is None:
        return {}
    if not isinstance(distillation_loss, dict):
        distillation_loss = {"distillation": distillation_loss}
    return {
        term: loss if isinstance(loss, Comparison) else Matching(loss)
        for term, loss in distillation_loss.items()
    }


class _Reduce(keras.losses.Loss):
    """The reduction of another loss, for values that are already computed."""

    def __init__(self, loss):
        super().__init__(name=loss.name, reduction=loss.reduction)

    def call(self, y_true, y_pred):
        return y_pred
