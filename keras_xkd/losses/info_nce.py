from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses import checks
from keras_xkd.losses import numerics
from keras_xkd.losses.comparison import Comparison


@keras_xkd_export("keras_xkd.losses.InfoNCE")
class InfoNCE(Comparison):
    """Contrast of each student row with all teacher rows of the batch.

    With rows `t` and `s` of length one, every sample is told from the
    others of the batch:

    ```
    loss_i = -log(exp(s_i.t_i / tau) / sum_j exp(s_i.t_j / tau))
    ```

    and, if `symmetric`, the mean of this and of the same with the roles of
    `s` and `t` exchanged. `log(batch) - loss` is a lower bound of the mutual
    information of teacher and student in nats, and cannot exceed
    `log(batch)`.

    Args:
        temperature: `tau`. 0.07 is common in published code; our default.
        symmetric: Whether the teacher's rows query the student's as well.
        name: Name of the loss.
        **kwargs: `output` (`"features"` by default), `reduction` and
            `dtype`, see `Comparison`.

    Call arguments:
        y_true: The teacher's features, shape `(batch, features)`.
        y_pred: The student's features, of the same shape.
        mask: Shape `(batch,)`, 1 for the samples that take part. The others
            are neither rows nor candidates, and their value is 0.

    Returns:
        One value per sample, shape `(batch,)`, before the reduction. With one
        sample it is 0.

    Raises:
        ValueError: If the shapes differ, rows have one number, or the
            temperature is not positive.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.losses import InfoNCE
    >>> rows = np.eye(4)
    >>> round(float(InfoNCE(temperature=1.0)(rows, rows)), 4)
    0.7437

    Reference:

    - [van den Oord et al., 2018](https://arxiv.org/abs/1807.03748)
    - [Radford et al., 2021](https://arxiv.org/abs/2103.00020) (symmetric)
    """

    needs = ("mask",)

    def __init__(
        self, temperature=0.07, symmetric=True, name="info_nce", **kwargs
    ):
        super().__init__(name=name, **kwargs)
        checks.check_temperature(temperature)
        self.temperature = temperature
        self.symmetric = symmetric

    def call(self, y_true, y_pred, mask=None, padding=None):
        return info_nce(y_true, y_pred, self.temperature, self.symmetric, mask)

    def information(self, loss, samples):
        if self.reduction not in ("sum_over_batch_size", "mean"):
            return None
        return ops.log(ops.maximum(samples, 1.0)) - loss

    def get_config(self):
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "symmetric": self.symmetric,
        }


@keras_xkd_export("keras_xkd.losses.info_nce")
def info_nce(y_true, y_pred, temperature=0.07, symmetric=True, mask=None):
    """Computes `InfoNCE`; see there."""
    checks.check_temperature(temperature)
    t, s = numerics.upcast(y_true, y_pred)
    checks.check_rows(t, s, same_width=True)
    if s.shape[1] == 1:
        raise ValueError(
            "Rows are compared by their direction, and one number has none. "
            + checks.shapes(t, s)
        )
    valid = numerics.validity(mask, s)
    t = numerics.unit(numerics.keep_rows(valid, t))
    s = numerics.unit(numerics.keep_rows(valid, s))
    logits = ops.matmul(s, ops.transpose(t)) / temperature
    values = _cross_entropy(logits, valid)
    if symmetric:
        values = (values + _cross_entropy(ops.transpose(logits), valid)) / 2
    return values * valid


def _cross_entropy(logits, valid):
    candidates = ops.where(valid[None] > 0, logits, numerics.NEVER)
    return ops.logsumexp(candidates, axis=1) - ops.diagonal(logits)
