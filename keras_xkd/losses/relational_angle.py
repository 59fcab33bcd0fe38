from typing import Any

from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses import checks
from keras_xkd.losses import numerics
from keras_xkd.losses.comparison import Comparison
from keras_xkd.typing import Mask, Tensor


@keras_xkd_export("keras_xkd.losses.RelationalAngle")
class RelationalAngle(Comparison):
    """Angles of the triangles in a batch, teacher against student.

    ```
    e_ij = (x_i - x_j) / |x_i - x_j|
    loss_j = mean_ik smooth_l1(e_ij.e_kj of student - e_ij.e_kj of teacher)
    ```

    The value of a sample is the mean over the triangles of which it is the
    vertex. Cosines do not see scale, rotation or translation, and the widths
    of teacher and student may differ. As in the authors' code the mean
    includes degenerate triangles. Memory grows with `batch^2 * features` and
    `batch^3`.

    Args:
        name: Name of the loss.
        **kwargs: `output` (`"features"` by default), `reduction` and
            `dtype`, see `Comparison`. The authors' code weighs this loss by
            50, beside `RelationalDistance` with 25.

    Call arguments:
        y_true: The teacher's features, shape `(batch, teacher_features)`.
        y_pred: The student's features, shape `(batch, student_features)`.
        mask: Shape `(batch,)`, 1 for the samples that take part. The others
            belong to no triangle, and their value is 0.

    Returns:
        One value per sample, shape `(batch,)`, before the reduction.

    Raises:
        ValueError: If an input has not two axes or the batches differ.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.losses import RelationalAngle
    >>> teacher = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> student = np.array([[0.0], [1.0], [2.0]])
    >>> round(float(RelationalAngle()(teacher, student)), 4)
    0.1296

    Reference:

    - [Park et al., 2019](https://arxiv.org/abs/1904.05068)
    """

    needs = ("mask",)
    same_width = False

    def __init__(self, name: str = "relational_angle", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def call(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        mask: Mask = None,
        padding: Mask = None,
    ) -> Tensor:
        return relational_angle(y_true, y_pred, mask)


@keras_xkd_export("keras_xkd.losses.relational_angle")
def relational_angle(
    y_true: Tensor, y_pred: Tensor, mask: Mask = None
) -> Tensor:
    """Computes `RelationalAngle`; see there.

    >>> from keras_xkd.losses import relational_angle
    >>> teacher = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    >>> student = [[0.0], [1.0], [2.0]]
    >>> round(float(relational_angle(teacher, student)[0]), 4)
    0.1111
    """
    t, s = numerics.upcast(y_true, y_pred)
    checks.check_rows(t, s)
    valid = numerics.validity(mask, s)
    values = numerics.smooth_l1(_cosines(s, valid) - _cosines(t, valid))
    triangles = valid[:, None, None] * valid[None, :, None] * valid
    return numerics.safe_divide(
        ops.sum(values * triangles, axis=(1, 2)), ops.sum(valid) ** 2
    )


def _cosines(x, valid):
    x = numerics.keep_rows(valid, x)
    sides = numerics.unit(x[None] - x[:, None])  # [vertex, end]
    return ops.matmul(sides, ops.transpose(sides, (0, 2, 1)))
