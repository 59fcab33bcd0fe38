from typing import Any

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses import checks
from keras_xkd.losses import chunks
from keras_xkd.losses.comparison import Comparison
from keras_xkd.losses.softmax_contrast import contrast_views
from keras_xkd.losses.softmax_contrast import unit_rows
from keras_xkd.typing import Mask, Tensor


@keras_xkd_export("keras_xkd.losses.NTXent")
class NTXent(Comparison):
    """Contrast of two views of a sample with all other views (SimCLR).

    The two views of `N` samples are `2N` rows `z` of length one. Each row is
    told from the `2N - 1` others; its partner is the positive:

    ```
    loss_k = -log(exp(z_k.z_partner / tau) / sum_{l != k} exp(z_k.z_l / tau))
    ```

    The value of a sample is the mean of its two rows. In contrast to
    `InfoNCE`, the views of one side are candidates for each other too.

    Args:
        temperature: `tau`. 0.1 is our default; the paper compares 0.05, 0.1,
            0.5 and 1 and does best with 0.1.
        chunk_size: Rows that are compared at a time, see `InfoNCE`.
        name: Name of the loss.
        **kwargs: `output` (`"features"` by default), `reduction` and
            `dtype`, see `Comparison`.

    Call arguments:
        y_true: Embeddings of one view, shape `(batch, features)`.
        y_pred: Embeddings of the other view, of the same shape.
        mask: Shape `(batch,)`, 1 for the samples that take part. The others
            are neither rows nor candidates, and their value is 0.

    Returns:
        One value per sample, shape `(batch,)`, before the reduction. With one
        sample it is 0.

    Raises:
        ValueError: If the shapes differ, or the temperature or `chunk_size` is
            not positive.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.losses import NTXent
    >>> rows = np.eye(2)
    >>> round(float(NTXent(temperature=1.0)(rows, rows)), 4)
    0.5514

    Reference:

    - [Chen et al., 2020](https://arxiv.org/abs/2002.05709)
    """

    needs = ("mask",)

    def __init__(
        self,
        temperature: float = 0.1,
        chunk_size: int | None = None,
        name: str = "nt_xent",
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
        return nt_xent(y_true, y_pred, self.temperature, mask, self.chunk_size)

    def get_config(self) -> dict[str, Any]:
        own = {"temperature": self.temperature, "chunk_size": self.chunk_size}
        return {**super().get_config(), **own}


@keras_xkd_export("keras_xkd.losses.nt_xent")
def nt_xent(
    y_true: Tensor,
    y_pred: Tensor,
    temperature: float = 0.1,
    mask: Mask = None,
    chunk_size: int | None = None,
) -> Tensor:
    """Computes `NTXent`; see there.

    >>> from keras_xkd.losses import nt_xent
    >>> rows = [[1.0, 0.0], [0.0, 1.0]]
    >>> round(float(nt_xent(rows, rows, temperature=1.0)[0]), 4)
    0.5514
    """
    valid, one, two = unit_rows(y_true, y_pred, mask, temperature)
    return contrast_views(valid, one, two, temperature, chunk_size)
