from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses import checks
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
        ValueError: If the shapes differ or the temperature is not positive.

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

    def __init__(self, temperature=0.1, name="nt_xent", **kwargs):
        super().__init__(name=name, **kwargs)
        checks.check_temperature(temperature)
        self.temperature = temperature

    def call(self, y_true, y_pred, mask=None, padding=None):
        return nt_xent(y_true, y_pred, self.temperature, mask)

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}


@keras_xkd_export("keras_xkd.losses.nt_xent")
def nt_xent(y_true, y_pred, temperature=0.1, mask=None):
    """Computes `NTXent`; see there."""
    checks.check_temperature(temperature)
    one, two = numerics.upcast(y_true, y_pred)
    checks.check_rows(one, two, same_width=True)
    valid = numerics.validity(mask, one)
    one = numerics.unit(numerics.keep_rows(valid, one))
    two = numerics.unit(numerics.keep_rows(valid, two))
    across = ops.matmul(one, ops.transpose(two)) / temperature
    positive = ops.diagonal(across)
    itself = ops.eye(ops.shape(one)[0], dtype=one.dtype) > 0
    values = [
        _among_others(views, logits, valid, itself, temperature) - positive
        for views, logits in ((one, across), (two, ops.transpose(across)))
    ]
    return (values[0] + values[1]) / 2 * valid


def _among_others(views, across, valid, itself, temperature):
    """The normalisers of one side's views."""
    within = ops.matmul(views, ops.transpose(views)) / temperature
    within = ops.where(itself, numerics.NEVER, within)
    logits = ops.concatenate([across, within], axis=1)
    candidates = ops.concatenate([valid, valid])[None] > 0
    return ops.logsumexp(ops.where(candidates, logits, numerics.NEVER), axis=1)
