"""What scores mean: numbers on a scale, or logits of categories."""

import keras
import numpy as np
from keras import ops

from keras_xkd.losses.matching import Matching
from keras_xkd.losses.soft_targets import SoftTargets
from keras_xkd.utils.outputs import get_output
from keras_xkd.utils.replicas import value_of
from keras_xkd.utils.terms import masked_weight


def check_class_values(values):
    """The values of classes as a list of numbers; raises unless they rise."""
    values = list(values) if hasattr(values, "__iter__") else values
    array = np.asarray(values, "float64")
    rises = array.ndim == 1 and np.all(np.diff(array) > 0)
    if not rises or not np.all(np.isfinite(array)):
        raise ValueError(
            "`class_values` must be finite numbers from low to high, one for "
            f"each class, or None for categories. Received: {values!r}"
        )
    return array.tolist()


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
            self.values = np.array(check_class_values(values), "float32")

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

    def check_heads(self, readout, teacher, student):
        """Raises if what is read as logits went through a softmax."""
        readout.check_logits(teacher)
        if self.values is None:
            readout.check_logits(teacher, "score")
            if student is not None:
                outputs = readout.symbolic(student) or ()
                name = "score" if "score" in outputs else "logits"
                readout.check_logits(student, name)

    def score(self, outputs, role):
        """`{"score": tensor}` of a network, `(batch, 1 or classes)`."""
        name = "score"
        if role == "student" and name not in outputs:
            name = "logits"  # What the only output of a network is called.
        if name not in outputs:
            raise ValueError(
                f"The {role} must return a dict with the key 'score'; a "
                "student may also return one tensor. Received: a dict with "
                f"the keys {sorted(outputs)}"
            )
        score = ops.cast(outputs[name], "float32")
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

        The label that is not there is NaN, or for categories also negative.
        """
        if y is None:
            return None, None
        shape = getattr(y, "shape", None)
        if shape is None or tuple(shape[1:]) not in ((), (1,)):
            raise ValueError(
                "Expected one label for each sample, of shape `(batch,)` or "
                f"`(batch, 1)`. Received: a {type(y).__name__} of shape {shape}"
            )
        y = ops.reshape(ops.cast(y, "float32"), (-1, 1))
        missing = ops.isnan(y)
        if self.values is None:
            missing = ops.logical_or(missing, y < 0)
        y = ops.where(missing, ops.zeros_like(y), y)
        labelled = ops.cast(ops.logical_not(missing[:, 0]), "float32")
        if self.values is None:
            y = ops.cast(y, "int32")
        return y, labelled

    def class_term(self, y, logits, sample_weight, mask):
        """The cross-entropy of logits and labels `(batch, 1)`, as a term."""
        if y is None:
            return {}
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        weight = masked_weight(sample_weight, mask, loss.reduction)
        value = value_of(loss, self.classes(y), logits, weight)
        return {"teacher_class": value}

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
