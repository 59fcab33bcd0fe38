from typing import Any

from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses import checks
from keras_xkd.losses import numerics
from keras_xkd.losses.comparison import Comparison
from keras_xkd.typing import Mask, Tensor


@keras_xkd_export("keras_xkd.losses.RelationalDistance")
class RelationalDistance(Comparison):
    """Distances between the samples of a batch, teacher against student.

    ```
    d_ij = |x_i - x_j| / mean of the positive distances
    loss_i = mean_j smooth_l1(d_ij of student - d_ij of teacher)
    ```

    Each network's distances are divided by their own mean, so the loss does
    not see scale, rotation or translation, and the widths of teacher and
    student may differ. As in the authors' code the mean over `j` includes
    `j = i`, which adds 0. Memory grows with `batch^2 * features`.

    Args:
        name: Name of the loss.
        **kwargs: `output` (`"features"` by default), `reduction` and
            `dtype`, see `Comparison`. The authors' code weighs this loss by
            25, beside `RelationalAngle` with 50.

    Call arguments:
        y_true: The teacher's features, shape `(batch, teacher_features)`.
        y_pred: The student's features, shape `(batch, student_features)`.
        mask: Shape `(batch,)`, 1 for the samples that take part. The others
            leave rows, columns and means, and their value is 0.

    Returns:
        One value per sample, shape `(batch,)`, before the reduction.

    Raises:
        ValueError: If an input has not two axes or the batches differ.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.losses import RelationalDistance
    >>> teacher = np.array([[0.0], [1.0], [2.0]])
    >>> student = np.array([[0.0], [2.0], [2.0]])
    >>> round(float(RelationalDistance()(teacher, student)), 4)
    0.0972

    Reference:

    - [Park et al., 2019](https://arxiv.org/abs/1904.05068)
    """

    needs = ("mask",)
    same_width = False

    def __init__(
        self, name: str = "relational_distance", **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)

    def call(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        mask: Mask = None,
        padding: Mask = None,
    ) -> Tensor:
        return relational_distance(y_true, y_pred, mask)


@keras_xkd_export("keras_xkd.losses.relational_distance")
def relational_distance(
    y_true: Tensor, y_pred: Tensor, mask: Mask = None
) -> Tensor:
    """Computes `RelationalDistance`; see there.

    >>> from keras_xkd.losses import relational_distance
    >>> teacher, student = [[0.0], [1.0], [2.0]], [[0.0], [2.0], [2.0]]
    >>> round(float(relational_distance(teacher, student)[0]), 4)
    0.0
    """
    t, s = numerics.upcast(y_true, y_pred)
    checks.check_rows(t, s)
    valid = numerics.validity(mask, s)
    pairs = valid[:, None] * valid[None]
    values = numerics.smooth_l1(
        _distances(s, valid, pairs) - _distances(t, valid, pairs)
    )
    return numerics.safe_divide(ops.sum(values * pairs, axis=1), ops.sum(valid))


def _distances(x, valid, pairs):
    x = numerics.keep_rows(valid, x)
    # Differences rather than products: equal rows are at distance 0 exactly.
    square = ops.sum(ops.square(x[:, None] - x[None]), axis=-1)
    apart = square > 0
    # The root has no gradient at 0, so it is never taken there.
    distances = ops.sqrt(ops.where(apart, square, ops.ones_like(square)))
    apart = ops.cast(apart, x.dtype) * pairs
    distances = distances * apart
    mean = numerics.safe_divide(ops.sum(distances), ops.sum(apart))
    return numerics.safe_divide(distances, mean)
