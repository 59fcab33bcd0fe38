"""What scores mean: numbers on a scale, or logits of categories."""

import keras
import numpy as np
from keras import ops

from keras_xkd.losses.matching import Matching
from keras_xkd.losses.soft_targets import SoftTargets
from keras_xkd.utils.outputs import get_output
from keras_xkd.utils.terms import masked_weight


class ScoreScale:
    """The classes of a task, each with its value, or without an order.

    Args:
        values: The values of the classes, None for categories; or "teacher".
        teacher: A network that knows them if they are "teacher".
    """

    def __init__(self, values, teacher):
        if isinstance(values, str):
            if not hasattr(teacher, "class_values"):
                raise ValueError(
                    "It is unknown which values the classes of "
                    f"'{teacher.name}' stand for. Pass `class_values`, such as "
                    "`range(-3, 4)`, or None for categories. "
                    f"Received: class_values={values!r}"
                )
            values = teacher.class_values
        self.values = None
        if values is not None:
            self.values = np.array([float(v) for v in values], "float32")

    def as_list(self):
        """The values as they can be saved."""
        return None if self.values is None else self.values.tolist()

    @property
    def loss(self):
        """The usual loss of scores against labels."""
        if self.values is None:
            return "sparse_categorical_crossentropy"
        return "mean_absolute_error"

    @property
    def distance(self):
        """The usual distance of two scores."""
        if self.values is None:
            return SoftTargets(temperature=1.0)
        return Matching("mean_absolute_error", output="score")

    def score(self, outputs, role):
        """`{"score": tensor}` of a network, `(batch, 1 or classes)`."""
        name = "score"
        if role == "student" and name not in outputs:
            name = "logits"  # What the only output of a network is called.
        score = ops.cast(get_output(outputs, name, role), "float32")
        if len(score.shape) == 1:
            score = score[:, None]
        width = "classes" if self.values is None else 1
        if len(score.shape) != 2 or (width == 1 and score.shape[1] != 1):
            raise ValueError(
                f"The score of the {role} must have the shape `(batch, "
                f"{width})`. Received: shape {tuple(score.shape)}"
            )
        return {"score": score}

    def logits(self, outputs):
        """The teacher's logits in float32, shape `(batch, classes)`."""
        logits = ops.cast(get_output(outputs, "logits", "teacher"), "float32")
        if self.values is not None and logits.shape[-1] != len(self.values):
            raise ValueError(
                "The teacher must have one class for every class value. "
                f"Received: logits of shape {tuple(logits.shape)} and the "
                f"class values {self.values.tolist()}"
            )
        return logits

    def expected(self, logits):
        """The score that logits amount to, `{"score": tensor}`.

        It is `sum_k softmax(logits)_k value_k`, of categories the logits.
        """
        if self.values is None:
            return {"score": logits}
        values = ops.convert_to_tensor(self.values)
        return {"score": ops.matmul(ops.softmax(logits), values[:, None])}

    def labels(self, y):
        """Labels without gaps, `(batch, 1)`, and who has one, `(batch,)`.

        The label that is not there is NaN, or negative for categories.
        """
        if y is None:
            return None, None
        if tuple(y.shape[1:]) not in ((), (1,)):
            raise ValueError(
                "Expected one label for each sample, of shape `(batch,)` or "
                f"`(batch, 1)`. Received: labels of shape {tuple(y.shape)}"
            )
        is_category = self.values is None
        y = ops.cast(y, "int32" if is_category else "float32")
        y = ops.reshape(y, (-1, 1))
        labelled = y >= 0 if is_category else ops.logical_not(ops.isnan(y))
        y = ops.where(labelled, y, ops.zeros_like(y))
        return y, ops.cast(labelled[:, 0], "float32")

    def class_term(self, y, logits, sample_weight, mask):
        """The cross-entropy of logits and labels `(batch, 1)`, as a term."""
        if y is None:
            return {}
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        weight = masked_weight(sample_weight, mask, loss.reduction)
        return {"teacher_class": loss(self.classes(y), logits, weight)}

    def classes(self, y):
        """The class of labels `(batch, 1)`: that with the nearest value.

        Halves between consecutive whole numbers go to the even one, as those
        who count classes of sentiment round them.
        """
        if self.values is None:
            return y[:, 0]
        steps = np.diff(self.values)
        if np.all(steps == 1) and self.values[0] == np.round(self.values[0]):
            y = ops.round(y)
        distances = ops.absolute(y - ops.convert_to_tensor(self.values))
        return ops.argmin(distances, axis=-1)
