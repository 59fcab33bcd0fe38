from typing import Any

import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.metrics import scores
from keras_xkd.typing import DTypeLike, Tensor, Weights


@keras_xkd_export("keras_xkd.metrics.BinnedAccuracy")
class BinnedAccuracy(keras.metrics.Mean):
    """Share of the scores that fall into the right bin, such as Acc-7.

    Both scores are clipped to `[low, high]` and rounded to the next integer,
    half to even (0.5 and -0.5 to 0, 1.5 to 2), and compared. With the default
    range this is the seven-class accuracy reported on CMU-MOSI and CMU-MOSEI;
    -2 and 2 give Acc-5. For the mean absolute error, which the field does not
    clip, take `keras.metrics.MeanAbsoluteError`.

    Args:
        low: Lowest bin.
        high: Highest bin.
        name: Name of the metric.
        dtype: Type of the result.

    Call arguments:
        y_true: Scores, shape `(batch,)` or `(batch, 1)`.
        y_pred: Predicted scores, `(batch,)` or `(batch, 1)`.
        sample_weight: Weights of the samples, `(batch,)` or `None`.

    Example:

    >>> from keras_xkd.metrics import BinnedAccuracy
    >>> metric = BinnedAccuracy()
    >>> metric.update_state([-2.6, 0.5, 1.5, 2.0], [-4.0, 0.4, 1.4, 2.2])
    >>> float(metric.result())
    0.75

    Reference:

    - [Tsai et al., 2019](https://arxiv.org/abs/1906.00295)
    """

    def __init__(
        self,
        low: int = -3,
        high: int = 3,
        name: str = "binned_accuracy",
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if not low < high or low != int(low) or high != int(high):
            raise ValueError(
                "`low` and `high` must be integers, `low` the smaller. "
                f"Received: low={low}, high={high}"
            )
        self.low = low
        self.high = high
        self._direction = "up"

    def update_state(  # type: ignore[override]  # Of pairs, not of values.
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Weights = None
    ) -> None:
        y_true, y_pred, weight = scores.read(y_true, y_pred, sample_weight)
        matches = ops.equal(self._bin(y_true), self._bin(y_pred))
        super().update_state(ops.cast(matches, "float32"), weight)

    def _bin(self, scores):
        return ops.round(ops.clip(scores, self.low, self.high))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "low": self.low, "high": self.high}
