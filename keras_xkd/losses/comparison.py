from typing import Any

import keras
from keras import ops

from keras_xkd.backend import padding_of
from keras_xkd.losses.in_context import InContext
from keras_xkd.typing import DTypeLike, Shape, Tensor, Weights


class Comparison(keras.losses.Loss):
    """A loss that compares one output of a teacher with that of a student.

    This is what the distillation losses of this package have in common: the
    name of the output that they read, and what they need beside it. `y_true`
    is the teacher, `y_pred` the student, and `call` returns one value per
    sample, so that `sample_weight` and `reduction` work as in Keras.

    Class attributes:
        output: The entry of the networks' outputs that is compared.
        needs: Names of the further arguments that `call` accepts, among
            `"labels"` (class indices or one-hot rows) and `"mask"`
            (shape `(batch,)`, 1 for the samples that take part; a loss that
            couples the samples of a batch leaves the others out of its rows,
            columns and normalisers, and returns 0 for them).
        same_width: Whether teacher and student must have the same last axis.
            A distiller then projects the student where they differ.
        moves_teacher: Whether the loss has a gradient into the teacher, for
            methods that train both.
        couples: Whether the value of a sample depends on the other samples of
            the batch. With several devices such a loss sees the samples of
            all, which are sent to each.

    Args:
        output: Overrides the class attribute.
        across_replicas: Whether a loss that couples samples does so across
            devices and processes. False compares the samples of each by
            themselves, and sends nothing.
        reduction: See `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Type of the computation, float32 by default also when the
            networks compute in float16.
    """

    output: str = "features"
    needs: tuple[str, ...] = ()
    same_width = True
    moves_teacher = True
    couples = True

    def __init__(
        self,
        output: str | None = None,
        across_replicas: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if output is not None:
            self.output = output
        self.across_replicas = across_replicas

    def __call__(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Weights = None,
        **context: Tensor,
    ) -> Tensor:
        unknown = set(context) - set(self.needs)
        if unknown:
            raise ValueError(
                f"{type(self).__name__} accepts {list(self.needs)} beside "
                f"`y_true` and `y_pred`. Received: {sorted(unknown)}"
            )
        # A padding mask has one more axis than the values returned by `call`:
        # it is an argument here, not a weight of the result.
        padding = padding_of(y_pred)
        if padding is None and not context:
            return super().__call__(y_true, y_pred, sample_weight)
        if padding is not None:
            context["padding"] = padding
            y_pred = ops.copy(y_pred)
        return InContext(self, context)(y_true, y_pred, sample_weight)

    def companion(
        self, teacher_shape: Shape, student_shape: Shape
    ) -> keras.layers.Layer | None:
        """Returns the layer that holds this loss's weights, if it has any.

        A loss is stateless. One that learns an embedding or remembers past
        samples returns here a layer, which the distiller owns, saves and
        calls in place of the loss: `layer(teacher, student, sample_id=None,
        present=None, training=False)`, one value per sample.

        Args:
            teacher_shape: Shape of the teacher's output, batch axis included.
            student_shape: Shape of the student's output.
        """
        return None

    def information(self, loss: Tensor, samples: Tensor) -> Tensor | None:
        """The mutual information that a loss guarantees, in nats.

        None, as here, if it guarantees none.

        Args:
            loss: The loss, averaged over the samples without weights.
            samples: Number of samples, a float.
        """
        return None

    def get_config(self) -> dict[str, Any]:
        own = {"output": self.output, "across_replicas": self.across_replicas}
        return {**super().get_config(), **own}
