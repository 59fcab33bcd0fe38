from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses import checks
from keras_xkd.losses import chunks
from keras_xkd.losses import numerics
from keras_xkd.losses.comparison import Comparison


@keras_xkd_export("keras_xkd.losses.SimilarityDistribution")
class SimilarityDistribution(Comparison):
    """Gives each target the source's similarities to the other samples (CMD).

    With rows `a` of the teacher, the source, and `b` of the student, the
    target, all of length one, and no gradient into the source:

    ```
    p_i(j) = softmax_j(a_i.a_j / tau_T)
    q_i(j) = softmax_j(b_i.a_j / tau_S)
    loss_i = -sum_j p_i(j) log q_i(j)
    ```

    `j` runs over the batch, `i` included. As `tau_T` tends to 0 this tends to
    `InfoNCE(tau_S, symmetric=False)`, half of `CrossModalContrast`.

    Args:
        teacher_temperature: `tau_T`. 0.05 is our default.
        student_temperature: `tau_S`, larger. 0.1 is our default.
        queue: With a number, `j` runs over that many past rows of the teacher
            too: distillers train with `keras_xkd.layers.SimilarityQueue`.
        chunk_size: Rows that are compared at a time, see `InfoNCE`.
        name, **kwargs: See `InfoNCE`.

    Call arguments, what is returned and raised: see `InfoNCE`.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.losses import SimilarityDistribution
    >>> loss = SimilarityDistribution(0.1, 1.0)
    >>> round(float(loss(np.eye(4), np.eye(4))), 4)
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
        chunk_size=None,
        name="similarity_distribution",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        checks.check_temperature(teacher_temperature, student_temperature)
        if queue is not None and queue < 1:
            raise ValueError(f"`queue` must be positive. Received: {queue}")
        chunks.check_chunk_size(chunk_size)
        self.queue = queue
        self.arguments = {
            "teacher_temperature": teacher_temperature,
            "student_temperature": student_temperature,
            "chunk_size": chunk_size,
        }

    def call(self, y_true, y_pred, mask=None, padding=None):
        return similarity_distribution(
            y_true, y_pred, mask=mask, **self.arguments
        )

    def companion(self, teacher_shape, student_shape):
        if self.queue is None:
            return None
        from keras_xkd.layers.similarity_queue import SimilarityQueue

        layer = SimilarityQueue(self.queue, **self.arguments)
        layer.build(teacher_shape, student_shape)
        return layer

    def get_config(self):
        return {**super().get_config(), **self.arguments, "queue": self.queue}


@keras_xkd_export("keras_xkd.losses.similarity_distribution")
def similarity_distribution(
    y_true,
    y_pred,
    teacher_temperature=0.05,
    student_temperature=0.1,
    mask=None,
    keys=None,
    chunk_size=None,
):
    """Computes `SimilarityDistribution`; see there.

    `keys`, shape `(n, features)`, are further candidates; zeros are none.
    """
    checks.check_temperature(teacher_temperature, student_temperature)
    t, s = numerics.upcast(y_true, y_pred)
    checks.check_rows(t, s, same_width=True)
    valid, t, s = numerics.unit_rows(mask, ops.stop_gradient(t), s)
    keys = t[:0] if keys is None else ops.cast(keys, t.dtype)
    candidates = ops.concatenate([t, keys])
    among = ops.concatenate([valid > 0, ops.any(keys != 0, axis=1)])

    def log_shares(rows, temperature):
        logits = numerics.products(rows, candidates) / temperature
        return ops.log_softmax(ops.where(among[None], logits, numerics.NEVER))

    def cross_entropy(s, t):
        p = ops.exp(log_shares(t, teacher_temperature))
        return -ops.sum(p * log_shares(s, student_temperature), axis=1)

    return chunks.by_rows(cross_entropy, (s,), (), (t,), chunk_size) * valid
