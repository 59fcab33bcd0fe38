from typing import Any
from typing import Self

import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses import checks
from keras_xkd.losses.comparison import Comparison
from keras_xkd.losses.numerics import average_positions
from keras_xkd.losses.numerics import upcast
from keras_xkd.typing import LossLike, Mask, Tensor


@keras_xkd_export("keras_xkd.losses.Matching")
class Matching(Comparison):
    """Any Keras loss as a comparison of teacher and student.

    The loss is called as it is, with the teacher as `y_true` and the student
    as `y_pred`; only its values are averaged to one per sample. A loss that
    expects probabilities is not given them: for logits use `SoftTargets`, or
    a loss made with `from_logits=True`. Its gradient is its own as well: that
    of Keras' cosine similarity is NaN at a row of zeros on JAX and PyTorch, as
    a ReLU can produce.

    Args:
        loss: Name of a Keras loss, a function of `(y_true, y_pred)` that does
            not reduce the batch axis, or a `keras.losses.Loss`, whose own
            `reduction` is not used.
        output: The entry of the networks' outputs that is compared.
        name: Name of the loss; that of `loss` by default.
        **kwargs: `reduction` and `dtype`, see `Comparison`.

    Call arguments:
        y_true: The teacher's output.
        y_pred: The student's output, of the same shape: most losses would
            broadcast silently. Positions that the student's Keras mask marks
            as padding are left out.

    Returns:
        One value per sample, shape `(batch,)`, before the reduction.

    Raises:
        ValueError: If shapes differ, if `loss` reduces the batch axis, or if
            it is a loss of this package, which needs no wrapping.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.losses import Matching
    >>> teacher = np.array([[1.0, 2.0]])
    >>> student = np.array([[1.0, 5.0]])
    >>> round(float(Matching("mean_absolute_error")(teacher, student)), 4)
    1.5
    """

    couples = False

    def __init__(
        self,
        loss: LossLike,
        output: str = "features",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if isinstance(loss, Comparison):
            raise ValueError(
                f"{type(loss).__name__} compares outputs by itself; pass it "
                f"without `Matching`, with `output={output!r}` if needed."
            )
        if loss is None:
            raise ValueError("`Matching` needs a loss. Received: None")
        resolved = keras.losses.get(loss)
        name = name or getattr(resolved, "name", None)
        name = name or getattr(resolved, "__name__", "matching").strip("<>")
        super().__init__(output=output, name=name, **kwargs)
        self.loss = resolved
        self._identifier = loss if isinstance(loss, str) else resolved

    def call(
        self, y_true: Tensor, y_pred: Tensor, padding: Mask = None
    ) -> Tensor:
        y_true, y_pred = upcast(y_true, y_pred)
        if len(y_true.shape) == len(y_pred.shape) == 1:
            y_true, y_pred = y_true[:, None], y_pred[:, None]
        checks.check_same_shape(y_true, y_pred)
        by_class = isinstance(self.loss, keras.losses.Loss)
        values = (self.loss.call if by_class else self.loss)(y_true, y_pred)
        values = ops.convert_to_tensor(values)
        if len(values.shape) == 0:
            raise ValueError(
                f"`{self.name}` must return one value or more per sample, "
                f"not a scalar. {checks.shapes(y_true, y_pred)}"
            )
        return average_positions(values, padding)

    def get_config(self) -> dict[str, Any]:
        loss = keras.saving.serialize_keras_object(self._identifier)
        return {**super().get_config(), "loss": loss}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        loss = keras.saving.deserialize_keras_object(config["loss"])
        return cls(**{**config, "loss": loss})
