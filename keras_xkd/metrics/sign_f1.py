from typing import Any
from typing import Literal

import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses.numerics import safe_divide
from keras_xkd.metrics import scores
from keras_xkd.typing import DTypeLike, Tensor, Weights


@keras_xkd_export("keras_xkd.metrics.SignF1")
class SignF1(keras.metrics.Metric):
    """Weighted F1 of the signs of scores, as on CMU-MOSI and CMU-MOSEI.

    The F1 of the positive and that of the other scores, averaged with the
    number of true samples of each as weights. A class that occurs neither in
    `y_true` nor in `y_pred` counts as 0.

    Args:
        zero: `"included"` or `"excluded"`, see `SignAccuracy`.
        name: Name of the metric.
        dtype: Type of the result.

    Call arguments:
        y_true: Scores, shape `(batch,)` or `(batch, 1)`.
        y_pred: Predicted scores, `(batch,)` or `(batch, 1)`.
        sample_weight: Weights of the samples, `(batch,)` or `None`.

    Example:

    >>> from keras_xkd.metrics import SignF1
    >>> metric = SignF1()
    >>> metric.update_state([-1.0, 1.0, 2.0], [-0.5, 0.3, -0.2])
    >>> round(float(metric.result()), 4)
    0.6667

    Reference:

    - [Tsai et al., 2019](https://arxiv.org/abs/1906.00295)
    """

    def __init__(
        self,
        zero: Literal["included", "excluded"] = "included",
        name: str = "sign_f1",
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        scores.check_zero(zero)
        self.zero = zero
        self._direction = "up"
        # Rows: the truth, not positive and positive. Columns: the prediction.
        self.confusion = self.add_variable(
            (2, 2), initializer="zeros", name="confusion"
        )

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Weights = None
    ) -> None:
        y, p, weight = scores.read(y_true, y_pred, sample_weight)
        true, predicted, weight = scores.signs(y, p, weight, self.zero)
        true = ops.cast(ops.stack([~true, true], 1), "float32")
        predicted = ops.cast(ops.stack([~predicted, predicted], 1), "float32")
        counts = ops.matmul(ops.transpose(true * weight[:, None]), predicted)
        self.confusion.assign_add(ops.cast(counts, self.confusion.dtype))

    def result(self) -> Tensor:
        support = ops.sum(self.confusion, axis=1)
        both = support + ops.sum(self.confusion, axis=0)
        f1 = safe_divide(2 * ops.diagonal(self.confusion), both)
        return safe_divide(ops.sum(f1 * support), ops.sum(support))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "zero": self.zero}
