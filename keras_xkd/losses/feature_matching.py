from typing import Any
from typing import Literal

from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses.alignment import align as align_positions
from keras_xkd.losses.comparison import Comparison
from keras_xkd.losses.numerics import average_positions
from keras_xkd.losses.numerics import upcast
from keras_xkd.typing import Mask, Tensor


@keras_xkd_export("keras_xkd.losses.FeatureMatching")
class FeatureMatching(Comparison):
    """Mean squared difference of the student's and the teacher's features.

    ```
    loss = mean((student - teacher)^2)
    ```

    The mean is over all axes but the batch, so the value does not grow with
    the number of features. Without labels and with features of another
    modality as the teacher, this is supervision transfer.

    Args:
        align: What to do where teacher and student have different positions
            (tokens, frames, a grid). `None` raises. `"interpolate"` resizes
            the student's positions to the teacher's, linearly along every
            axis. `"attention"` lets every teacher token gather the student's
            tokens by similarity, `softmax(t s' / sqrt(D)) s`: for tokens
            without a common order, as those of two modalities. It has no
            weights, and the loss is not 0 for equal inputs. Both are our
            additions.
        name: Name of the loss.
        **kwargs: `output` (`"features"` by default), `reduction` and
            `dtype`, see `Comparison`.

    Call arguments:
        y_true: The teacher's features, shape `(batch, ..., features)`.
        y_pred: The student's features, of the same shape; with `align`,
            positions may differ. Positions that the student's Keras mask
            marks as padding are left out.

    Returns:
        One value per sample, shape `(batch,)`, before the reduction.

    Raises:
        ValueError: If shapes differ. Different widths need a projection,
            which the distillers create with `projections="auto"`.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.losses import FeatureMatching
    >>> teacher = np.array([[1.0, 2.0]])
    >>> student = np.array([[1.0, 5.0]])
    >>> round(float(FeatureMatching()(teacher, student)), 4)
    4.5

    Reference:

    - [Romero et al., 2015](https://arxiv.org/abs/1412.6550)
    - [Gupta et al., 2016](https://arxiv.org/abs/1507.00448)
    """

    couples = False

    def __init__(
        self,
        align: Literal["interpolate", "attention"] | None = None,
        name: str = "feature_matching",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if align not in (None, "interpolate", "attention"):
            raise ValueError(
                "`align` must be None, 'interpolate' or 'attention'. "
                f"Received: {align}"
            )
        self.align = align

    def call(
        self, y_true: Tensor, y_pred: Tensor, padding: Mask = None
    ) -> Tensor:
        return feature_matching(y_true, y_pred, self.align, padding)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "align": self.align}


@keras_xkd_export("keras_xkd.losses.feature_matching")
def feature_matching(
    y_true: Tensor,
    y_pred: Tensor,
    align: Literal["interpolate", "attention"] | None = None,
    padding: Mask = None,
) -> Tensor:
    """Computes `FeatureMatching`; see there.

    `padding`, shape `(batch, positions...)`, is 1 for the student's positions
    that count.

    >>> from keras_xkd.losses import feature_matching
    >>> float(feature_matching([[1.0, 3.0]], [[1.0, 1.0]])[0])
    2.0
    """
    y_true, y_pred = upcast(y_true, y_pred)
    y_true, y_pred, weights = align_positions(y_true, y_pred, align, padding)
    values = ops.mean(ops.square(y_pred - y_true), axis=-1)
    return average_positions(values, weights)
