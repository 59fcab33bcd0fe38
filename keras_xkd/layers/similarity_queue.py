import numbers
from typing import Any

import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.layers.row_memory import enqueue
from keras_xkd.losses import checks
from keras_xkd.losses import chunks
from keras_xkd.losses.numerics import unit
from keras_xkd.losses.numerics import upcast
from keras_xkd.losses.similarity_distribution import similarity_distribution
from keras_xkd.typing import DTypeLike, Mask, Shape, Tensor


@keras_xkd_export("keras_xkd.layers.SimilarityQueue")
class SimilarityQueue(keras.layers.Layer):
    """`SimilarityDistribution` over the batch and the teacher's past rows.

    The queue starts empty, and a place that is still empty is no candidate.
    Outside training it stays as it is. Samples that are absent do not enter;
    of a batch larger than the queue the last ones do.

    Args:
        length: Number of rows.
        teacher_temperature, student_temperature, chunk_size: See
            `keras_xkd.losses.SimilarityDistribution`.
        dtype: float32 by default.
        **kwargs: See `keras.layers.Layer`.

    Call arguments: `teacher` and `student` of shape `(batch, features)`;
    `sample_id`, which is not used; `present` of shape `(batch,)`, 1 for the
    samples that take part; `training`.

    Returns:
        One value per sample, shape `(batch,)`.

    Raises:
        ValueError: If the length is no positive integer, a temperature is not
            positive, or the widths of teacher and student differ.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.layers import SimilarityQueue
    >>> layer = SimilarityQueue(8)
    >>> layer(np.ones((4, 3)), np.ones((4, 3)), training=True).shape[0]
    4
    """

    def __init__(
        self,
        length: int,
        teacher_temperature: float = 0.05,
        student_temperature: float = 0.1,
        chunk_size: int | None = None,
        dtype: DTypeLike = "float32",
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=dtype, autocast=False, **kwargs)
        if not isinstance(length, numbers.Integral) or length < 1:
            raise ValueError(
                f"`length` must be a positive integer. Received: {length!r}"
            )
        checks.check_temperature(teacher_temperature, student_temperature)
        chunks.check_sizes(chunk_size=chunk_size)
        self.length: int = int(length)
        self.arguments: dict[str, Any] = {
            "teacher_temperature": teacher_temperature,
            "student_temperature": student_temperature,
            "chunk_size": chunk_size,
        }

    def build(self, teacher_shape: Shape, student_shape: Shape) -> None:
        if teacher_shape[-1] != student_shape[-1]:
            raise ValueError(
                "The queue holds rows of one width. Give both networks "
                "embeddings of the same number of features. Received: teacher "
                f"of shape {teacher_shape}, student of shape {student_shape}"
            )
        self.rows = self.add_weight(
            shape=(self.length, teacher_shape[-1]),
            initializer="zeros",
            trainable=False,
            autocast=False,
            dtype="float32",
            name="rows",
        )
        self.built = True

    def call(
        self,
        teacher: Tensor,
        student: Tensor,
        sample_id: Tensor | None = None,
        present: Mask = None,
        training: bool = False,
    ) -> Tensor:
        checks.check_rows(teacher, student, same_width=True)
        teacher, student = upcast(teacher, student)
        # A copy: torch updates variables in place, the gradient needs these.
        keys = ops.copy(ops.convert_to_tensor(self.rows))
        values = similarity_distribution(
            teacher, student, mask=present, keys=keys, **self.arguments
        )
        if training:
            if present is not None:
                present = ops.cast(present, teacher.dtype)[:, None]
            self.rows.assign(enqueue(keys, unit(teacher), present))
        return values

    def compute_output_shape(
        self, teacher_shape: Shape, student_shape: Shape
    ) -> Shape:
        return (student_shape[0],)

    def get_config(self) -> dict[str, Any]:
        own = {"length": self.length, **self.arguments}
        return {**super().get_config(), **own}
