from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses import checks
from keras_xkd.losses import chunks
from keras_xkd.losses import numerics
from keras_xkd.losses.comparison import Comparison


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
        self, temperature=0.1, chunk_size=None, name="nt_xent", **kwargs
    ):
        super().__init__(name=name, **kwargs)
        checks.check_temperature(temperature)
        chunks.check_chunk_size(chunk_size)
        self.chunk_size = chunk_size
        self.temperature = temperature

    def call(self, y_true, y_pred, mask=None, padding=None):
        return nt_xent(y_true, y_pred, self.temperature, mask, self.chunk_size)

    def get_config(self):
        own = {"temperature": self.temperature, "chunk_size": self.chunk_size}
        return {**super().get_config(), **own}


@keras_xkd_export("keras_xkd.losses.nt_xent")
def nt_xent(y_true, y_pred, temperature=0.1, mask=None, chunk_size=None):
    """Computes `NTXent`; see there."""
    checks.check_temperature(temperature)
    one, two = numerics.upcast(y_true, y_pred)
    checks.check_rows(one, two, same_width=True)
    valid, one, two = numerics.unit_rows(mask, one, two)
    index = ops.arange(ops.shape(one)[0], dtype="int32")

    def product(rows, candidates):
        return numerics.products(rows, candidates) / temperature

    def normalizer(rows, across, same, rows_index):
        itself = rows_index[:, None] == index[None]
        within = ops.where(itself, numerics.NEVER, product(rows, same))
        logits = ops.concatenate([across, within], axis=1)
        return numerics.log_total(logits, ops.concatenate([valid, valid]))

    def contrast(one_rows, two_rows, one, two, rows_index):
        across = product(one_rows, two)
        # Of all rows, one product serves both sides.
        back = product(two_rows, one) if chunk_size else ops.transpose(across)
        values = normalizer(one_rows, across, one, rows_index)
        values = (values + normalizer(two_rows, back, two, rows_index)) / 2
        if chunk_size is None:
            return values - ops.diagonal(across)
        return values - ops.sum(one_rows * two_rows, axis=1) / temperature

    sides = (one, two)
    return chunks.by_rows(contrast, sides, sides, (index,), chunk_size) * valid
