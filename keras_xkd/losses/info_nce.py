from typing import Any

from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses import checks
from keras_xkd.losses import chunks
from keras_xkd.losses.comparison import Comparison
from keras_xkd.losses.softmax_contrast import contrast_sides
from keras_xkd.losses.softmax_contrast import unit_rows
from keras_xkd.typing import Mask, Tensor


@keras_xkd_export("keras_xkd.losses.InfoNCE")
class InfoNCE(Comparison):
    """Contrast of each student row with all teacher rows of the batch.

    With rows `t` and `s` of length one, every sample is told from the
    others of the batch:

    ```
    loss_i = -log(exp(s_i.t_i / tau) / sum_j exp(s_i.t_j / tau))
    ```

    and, if `symmetric`, the mean of this and of the same with the roles of
    `s` and `t` exchanged. `log(batch) - loss` bounds the mutual information of
    teacher and student in nats from below; it cannot exceed `log(batch)`.

    Args:
        temperature: `tau`. 0.07 is common in published code; our default.
        symmetric: Whether the teacher's rows query the student's as well.
        chunk_size: Number of rows that are compared with all others at a time,
            and once more for the gradient: memory then grows with the batch
            and not with its square. `None`, our default: all at once.
        name: Name of the loss.
        **kwargs: `output` (`"features"` by default), `reduction` and
            `dtype`, see `Comparison`.

    Call arguments:
        y_true, y_pred: Teacher's and student's rows, `(batch, features)`.
        mask: Shape `(batch,)`, 1 for the samples that take part. The others
            are neither rows nor candidates, and their value is 0.

    Returns:
        One value per sample, shape `(batch,)`, before the reduction. With one
        sample it is 0.

    Raises:
        ValueError: If the shapes differ, rows have one number, or the
            temperature or `chunk_size` is not positive.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.losses import InfoNCE
    >>> rows = np.eye(4)
    >>> round(float(InfoNCE(temperature=1.0)(rows, rows)), 4)
    0.7437

    Reference: [van den Oord et al., 2018](https://arxiv.org/abs/1807.03748)
    and [Radford et al., 2021](https://arxiv.org/abs/2103.00020) (symmetric).
    """

    needs = ("mask",)

    def __init__(
        self,
        temperature: float = 0.07,
        symmetric: bool = True,
        chunk_size: int | None = None,
        name: str = "info_nce",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        checks.check_temperature(temperature)
        chunks.check_sizes(chunk_size=chunk_size)
        self.arguments: dict[str, Any] = dict(
            temperature=temperature, symmetric=symmetric, chunk_size=chunk_size
        )

    def call(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        mask: Mask = None,
        padding: Mask = None,
    ) -> Tensor:
        return info_nce(y_true, y_pred, mask=mask, **self.arguments)

    def information(self, loss: Tensor, samples: Tensor) -> Tensor | None:
        if self.reduction not in ("sum_over_batch_size", "mean"):
            return None
        return ops.log(ops.maximum(samples, 1.0)) - loss

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.arguments}


@keras_xkd_export("keras_xkd.losses.info_nce")
def info_nce(
    y_true: Tensor,
    y_pred: Tensor,
    temperature: float = 0.07,
    symmetric: bool = True,
    mask: Mask = None,
    chunk_size: int | None = None,
) -> Tensor:
    """Computes `InfoNCE`; see there.

    >>> from keras_xkd.losses import info_nce
    >>> round(float(info_nce([[1, 0], [0, 1]], [[1, 0], [0, 1]], 1.0)[0]), 4)
    0.3133
    """
    valid, t, s = unit_rows(y_true, y_pred, mask, temperature)
    if s.shape[1] == 1:
        raise ValueError(
            "Rows are compared by their direction, and one number has none. "
            + checks.shapes(t, s)
        )
    return contrast_sides(valid, t, s, temperature, symmetric, chunk_size)
