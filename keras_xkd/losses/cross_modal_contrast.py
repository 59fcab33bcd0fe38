from typing import Any

from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses import checks
from keras_xkd.losses import chunks
from keras_xkd.losses.comparison import Comparison
from keras_xkd.losses.info_nce import info_nce
from keras_xkd.typing import Mask, Tensor


@keras_xkd_export("keras_xkd.losses.CrossModalContrast")
class CrossModalContrast(Comparison):
    """Contrast of a target with a source that stays fixed (CMC).

    Symmetric `InfoNCE` without a gradient into the teacher, the source: the
    loss of CLIP with one side frozen. It is one of the two objectives of
    `CMCD`, beside `SimilarityDistribution`.

    Args:
        temperature: `tau`. 0.07 is our default.
        chunk_size: Rows that are compared at a time, see `InfoNCE`.
        name: Name of the loss.
        **kwargs: `output` (`"features"` by default), `reduction` and
            `dtype`, see `Comparison`.

    Call arguments, what is returned and raised: see `InfoNCE`. With one
    sample the loss is 0.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.losses import CrossModalContrast
    >>> rows = np.eye(4)
    >>> round(float(CrossModalContrast(temperature=1.0)(rows, rows)), 4)
    0.7437

    Reference:

    - [Lin et al., 2024](https://arxiv.org/abs/2405.03355)
    """

    needs = ("mask",)
    moves_teacher = False

    def __init__(
        self,
        temperature: float = 0.07,
        chunk_size: int | None = None,
        name: str = "cross_modal_contrast",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        checks.check_temperature(temperature)
        chunks.check_sizes(chunk_size=chunk_size)
        self.chunk_size = chunk_size
        self.temperature = temperature

    def call(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        mask: Mask = None,
        padding: Mask = None,
    ) -> Tensor:
        return cross_modal_contrast(
            y_true, y_pred, self.temperature, mask, self.chunk_size
        )

    def get_config(self) -> dict[str, Any]:
        own = {"temperature": self.temperature, "chunk_size": self.chunk_size}
        return {**super().get_config(), **own}


@keras_xkd_export("keras_xkd.losses.cross_modal_contrast")
def cross_modal_contrast(
    y_true: Tensor,
    y_pred: Tensor,
    temperature: float = 0.07,
    mask: Mask = None,
    chunk_size: int | None = None,
) -> Tensor:
    """Computes `CrossModalContrast`; see there.

    >>> from keras_xkd.losses import cross_modal_contrast
    >>> rows = [[1.0, 0.0], [0.0, 1.0]]
    >>> round(float(cross_modal_contrast(rows, rows, temperature=1.0)[0]), 4)
    0.3133
    """
    source = ops.stop_gradient(ops.convert_to_tensor(y_true))
    return info_nce(source, y_pred, temperature, True, mask, chunk_size)
