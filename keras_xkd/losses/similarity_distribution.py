from typing import Any

import keras

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses import checks
from keras_xkd.losses import chunks
from keras_xkd.losses.comparison import Comparison
from keras_xkd.losses.softmax_contrast import contrast_shares
from keras_xkd.losses.softmax_contrast import unit_rows
from keras_xkd.typing import Mask, Shape, Tensor


@keras_xkd_export("keras_xkd.losses.SimilarityDistribution")
class SimilarityDistribution(Comparison):
    """Gives each target the source's similarities to the other samples (CMD).

    For unit rows `a` of the source (teacher, no gradient), `b` of the target:

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
        teacher_temperature: float = 0.05,
        student_temperature: float = 0.1,
        queue: int | None = None,
        chunk_size: int | None = None,
        name: str = "similarity_distribution",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        checks.check_temperature(teacher_temperature, student_temperature)
        chunks.check_sizes(queue=queue, chunk_size=chunk_size)
        self.queue = queue
        self.arguments: dict[str, Any] = {
            "teacher_temperature": teacher_temperature,
            "student_temperature": student_temperature,
            "chunk_size": chunk_size,
        }

    def call(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        mask: Mask = None,
        padding: Mask = None,
    ) -> Tensor:
        return similarity_distribution(
            y_true, y_pred, mask=mask, **self.arguments
        )

    def companion(
        self, teacher_shape: Shape, student_shape: Shape
    ) -> keras.layers.Layer | None:
        if self.queue is None:
            return None
        from keras_xkd.layers.similarity_queue import SimilarityQueue

        queue = SimilarityQueue(self.queue, **self.arguments)
        queue.build(teacher_shape, student_shape)
        return queue

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.arguments, "queue": self.queue}


@keras_xkd_export("keras_xkd.losses.similarity_distribution")
def similarity_distribution(
    y_true: Tensor,
    y_pred: Tensor,
    teacher_temperature: float = 0.05,
    student_temperature: float = 0.1,
    mask: Mask = None,
    keys: Tensor | None = None,
    chunk_size: int | None = None,
) -> Tensor:
    """Computes `SimilarityDistribution`; see there.

    `keys`, shape `(n, features)`, are further candidates; zeros are none.

    >>> from keras_xkd.losses import similarity_distribution
    >>> rows = [[1.0, 0.0], [0.0, 1.0]]
    >>> round(float(similarity_distribution(rows, rows)[0]), 4)
    0.0
    """
    temperatures = teacher_temperature, student_temperature
    valid, t, s = unit_rows(y_true, y_pred, mask, *temperatures)
    return contrast_shares(valid, t, s, keys, temperatures, chunk_size)
