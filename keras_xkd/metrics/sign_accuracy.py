from typing import Any
from typing import Literal

import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.metrics import scores
from keras_xkd.typing import DTypeLike, Tensor, Weights


@keras_xkd_export("keras_xkd.metrics.SignAccuracy")
class SignAccuracy(keras.metrics.Mean):
    """Share of the scores with the right sign: Acc-2 of CMU-MOSI and MOSEI.

    The literature counts in two ways, and papers often give both:

    - `zero="included"`: negative against not negative, `y >= 0` against
      `p >= 0`, all samples;
    - `zero="excluded"`: samples with `y = 0` are left out, then `y > 0`
      against `p > 0`.

    Args:
        zero: `"included"` or `"excluded"`.
        name: Name of the metric.
        dtype: Type of the result.

    Call arguments:
        y_true: Scores, shape `(batch,)` or `(batch, 1)`.
        y_pred: Predicted scores, `(batch,)` or `(batch, 1)`.
        sample_weight: Weights of the samples, `(batch,)` or `None`.

    Example:

    >>> from keras_xkd.metrics import SignAccuracy
    >>> metric = SignAccuracy(zero="excluded")
    >>> metric.update_state([-1.0, 0.0, 2.0], [-0.5, -0.1, -0.2])
    >>> float(metric.result())
    0.5

    Reference:

    - [Tsai et al., 2019](https://arxiv.org/abs/1906.00295)
    """

    def __init__(
        self,
        zero: Literal["included", "excluded"] = "included",
        name: str = "sign_accuracy",
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        scores.check_zero(zero)
        self.zero = zero
        self._direction = "up"

    def update_state(  # type: ignore[override]  # Of pairs, not of values.
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Weights = None
    ) -> None:
        y, p, weight = scores.read(y_true, y_pred, sample_weight)
        true, predicted, weight = scores.signs(y, p, weight, self.zero)
        matches = ops.cast(ops.equal(true, predicted), "float32")
        super().update_state(matches, weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "zero": self.zero}
