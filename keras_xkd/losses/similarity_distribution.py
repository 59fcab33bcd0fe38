from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses import checks
from keras_xkd.losses import numerics
from keras_xkd.losses.comparison import Comparison


@keras_xkd_export("keras_xkd.losses.SimilarityDistribution")
class SimilarityDistribution(Comparison):
    """Gives each target the source's similarities to the other samples (CMD).

    With rows `a` of the teacher, the source, and `b` of the student, the
    target, all of length one:

    ```
    p_i(j) = softmax_j(a_i.a_j / tau_T)
    q_i(j) = softmax_j(b_i.a_j / tau_S)
    loss_i = -sum_j p_i(j) log q_i(j)
    ```

    `j` runs over the batch, `i` included. The teacher gets no gradient. As
    `tau_T` tends to 0 the loss tends to `InfoNCE(tau_S, symmetric=False)`, the
    half of `CrossModalContrast` in which targets query sources.

    Args:
        teacher_temperature: `tau_T`. 0.05 is our default.
        student_temperature: `tau_S`, larger. 0.1 is our default.
        queue: With a number, `j` runs over that many past rows of the teacher
            too: distillers train with `keras_xkd.layers.SimilarityQueue`.
        name: Name of the loss.
        **kwargs: `output` (`"features"` by default), `reduction` and
            `dtype`, see `Comparison`.

    Call arguments, what is returned and raised: see `InfoNCE`. With one
    sample and no past the loss is 0.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.losses import SimilarityDistribution
    >>> rows = np.eye(4)
    >>> round(float(SimilarityDistribution(0.1, 1.0)(rows, rows)), 4)
    0.7438

    Reference: [Lin et al., 2024](https://arxiv.org/abs/2405.03355) and
    [Fang et al., 2021](https://arxiv.org/abs/2101.04731) (SEED).
    """

    needs = ("mask",)
    moves_teacher = False

    def __init__(
        self,
        teacher_temperature=0.05,
        student_temperature=0.1,
        queue=None,
        name="similarity_distribution",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        self.temperatures = {
            "teacher_temperature": teacher_temperature,
            "student_temperature": student_temperature,
        }
        checks.check_temperature(*self.temperatures.values())
        if queue is not None and queue < 1:
            raise ValueError(f"`queue` must be positive. Received: {queue}")
        self.queue = queue

    def call(self, y_true, y_pred, mask=None, padding=None):
        return similarity_distribution(
            y_true, y_pred, mask=mask, **self.temperatures
        )

    def companion(self, teacher_shape, student_shape):
        if self.queue is None:
            return None
        from keras_xkd.layers.similarity_queue import SimilarityQueue

        layer = SimilarityQueue(self.queue, **self.temperatures)
        layer.build(teacher_shape, student_shape)
        return layer

    def get_config(self):
        config = super().get_config()
        return {**config, **self.temperatures, "queue": self.queue}


@keras_xkd_export("keras_xkd.losses.similarity_distribution")
def similarity_distribution(
    y_true,
    y_pred,
    teacher_temperature=0.05,
    student_temperature=0.1,
    mask=None,
    keys=None,
):
    """Computes `SimilarityDistribution`; see there.

    `keys`, shape `(n, features)`, are further candidates; zeros are none.
    """
    checks.check_temperature(teacher_temperature, student_temperature)
    t, s = numerics.upcast(y_true, y_pred)
    checks.check_rows(t, s, same_width=True)
    valid = numerics.validity(mask, s)
    t = numerics.unit(numerics.keep_rows(valid, ops.stop_gradient(t)))
    s = numerics.unit(numerics.keep_rows(valid, s))
    keys = t[:0] if keys is None else ops.cast(keys, t.dtype)
    candidates = ops.concatenate([t, keys])
    among = ops.concatenate([valid > 0, ops.any(keys != 0, axis=1)])
    log_p, log_q = (
        ops.log_softmax(ops.where(among[None], products / tau, numerics.NEVER))
        for products, tau in (
            (ops.matmul(t, ops.transpose(candidates)), teacher_temperature),
            (ops.matmul(s, ops.transpose(candidates)), student_temperature),
        )
    )
    return -ops.sum(ops.exp(log_p) * log_q, axis=1) * valid
