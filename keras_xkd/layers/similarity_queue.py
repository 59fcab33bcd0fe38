import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.layers.row_memory import from_queue
from keras_xkd.losses import checks
from keras_xkd.losses.numerics import unit
from keras_xkd.losses.numerics import upcast
from keras_xkd.losses.similarity_distribution import similarity_distribution


@keras_xkd_export("keras_xkd.layers.SimilarityQueue")
class SimilarityQueue(keras.layers.Layer):
    """`SimilarityDistribution` over the batch and the teacher's past rows.

    The queue starts empty, and a place that is still empty is no candidate.
    Outside training it stays as it is. Samples that are absent do not enter.

    Args:
        length: Number of rows, at least the batch size.
        teacher_temperature, student_temperature: See
            `keras_xkd.losses.SimilarityDistribution`.
        dtype: float32 by default.
        **kwargs: See `keras.layers.Layer`.

    Call arguments: `teacher` and `student` of shape `(batch, features)`;
    `sample_id`, which is not used; `present` of shape `(batch,)`, 1 for the
    samples that take part; `training`.

    Returns:
        One value per sample, shape `(batch,)`.

    Raises:
        ValueError: If the widths of teacher and student differ, or a training
            batch exceeds the queue.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.layers import SimilarityQueue
    >>> layer = SimilarityQueue(8)
    >>> layer(np.ones((4, 3)), np.ones((4, 3)), training=True).shape[0]
    4
    """

    def __init__(
        self,
        length,
        teacher_temperature=0.05,
        student_temperature=0.1,
        dtype="float32",
        **kwargs,
    ):
        super().__init__(dtype=dtype, autocast=False, **kwargs)
        self.length = length
        self.temperatures = {
            "teacher_temperature": teacher_temperature,
            "student_temperature": student_temperature,
        }

    def build(self, teacher_shape, student_shape):
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
        self, teacher, student, sample_id=None, present=None, training=False
    ):
        checks.check_rows(teacher, student, same_width=True)
        teacher, student = upcast(teacher, student)
        size = teacher.shape[0]
        if training and isinstance(size, int) and size > self.length:
            raise ValueError(
                f"The batch must fit into the queue. Received: {size} "
                f"samples, a queue of {self.length} rows"
            )
        mask = None
        if present is not None:
            mask = ops.cast(present, teacher.dtype)[:, None]
        _, keys, kept = from_queue(self.rows, unit(teacher), mask)
        values = similarity_distribution(
            teacher, student, mask=present, keys=keys, **self.temperatures
        )
        if training:
            self.rows.assign(kept)
        return values

    def compute_output_shape(self, teacher_shape, student_shape):
        return (student_shape[0],)

    def get_config(self):
        own = {"length": self.length, **self.temperatures}
        return {**super().get_config(), **own}
