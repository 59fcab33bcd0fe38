from typing import Any

from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses import checks
from keras_xkd.losses import chunks
from keras_xkd.losses import numerics
from keras_xkd.losses.comparison import Comparison
from keras_xkd.typing import Mask, Tensor


@keras_xkd_export("keras_xkd.losses.ProbabilisticTransfer")
class ProbabilisticTransfer(Comparison):
    """Divergence of the neighbourhoods in a batch, teacher from student.

    Similarities to the samples of the batch, divided by their sum, are a
    distribution per sample:

    ```
    K_ij = (cos(x_i, x_j) + 1) / 2, rows divided by their sum
    loss_i = sum_j K_ij of teacher * log(K_ij of teacher / K_ij of student)
    ```

    This is the divergence of each row. The authors' code averages over `j`
    as well, so its values are smaller by the batch size, and a weight found
    for it (30000 in one published re-implementation) has to be divided by
    the batch size here. The widths of teacher and student may differ.

    Args:
        chunk_size: Rows that are compared at a time, see `InfoNCE`.
        name: Name of the loss.
        **kwargs: `output` (`"features"` by default), `reduction` and
            `dtype`, see `Comparison`.

    Call arguments:
        y_true: The teacher's features, shape `(batch, teacher_features)`.
        y_pred: The student's features, shape `(batch, student_features)`.
        mask: Shape `(batch,)`, 1 for the samples that take part. The others
            leave rows, columns and sums, and their value is 0.

    Returns:
        One value per sample, shape `(batch,)`, before the reduction.

    Raises:
        ValueError: If an input has not two axes, the batches differ, or
            `chunk_size` is not positive.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.losses import ProbabilisticTransfer
    >>> teacher = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> student = np.array([[1.0], [3.0]])
    >>> round(float(ProbabilisticTransfer()(teacher, student)), 4)
    0.0566

    Reference:

    - [Passalis and Tefas, 2018](https://arxiv.org/abs/1803.10837)
    """

    needs = ("mask",)
    same_width = False

    def __init__(
        self,
        chunk_size: int | None = None,
        name: str = "probabilistic_transfer",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        chunks.check_sizes(chunk_size=chunk_size)
        self.chunk_size = chunk_size

    def call(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        mask: Mask = None,
        padding: Mask = None,
    ) -> Tensor:
        return probabilistic_transfer(y_true, y_pred, mask, self.chunk_size)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "chunk_size": self.chunk_size}


@keras_xkd_export("keras_xkd.losses.probabilistic_transfer")
def probabilistic_transfer(
    y_true: Tensor,
    y_pred: Tensor,
    mask: Mask = None,
    chunk_size: int | None = None,
) -> Tensor:
    """Computes `ProbabilisticTransfer`; see there.

    >>> from keras_xkd.losses import probabilistic_transfer
    >>> teacher, student = [[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0], [1.0, 0.0]]
    >>> round(float(probabilistic_transfer(teacher, student)[0]), 4)
    0.0
    """
    t, s = numerics.upcast(y_true, y_pred)
    checks.check_rows(t, s)
    valid, t, s = numerics.unit_rows(mask, t, s)

    def log_neighbourhoods(rows, candidates):
        similarity = (numerics.products(rows, candidates) + 1) / 2
        # Opposite rows have similarity 0; the bound is the authors' epsilon.
        log = ops.log(ops.maximum(similarity, 1e-7))
        log = ops.where(valid[None] > 0, log, numerics.NEVER)
        return log - ops.logsumexp(log, axis=1, keepdims=True)

    def divergence(t_rows, s_rows, t, s):
        log_t = log_neighbourhoods(t_rows, t)
        log_s = log_neighbourhoods(s_rows, s)
        return ops.sum(ops.exp(log_t) * (log_t - log_s) * valid[None], axis=1)

    values = chunks.by_rows(divergence, (t, s), (t, s), chunk_size=chunk_size)
    return values * valid
