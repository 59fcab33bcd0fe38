import functools
from typing import Any

import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.layers.row_memory import from_bank
from keras_xkd.layers.row_memory import from_queue
from keras_xkd.losses import checks
from keras_xkd.losses import chunks
from keras_xkd.losses.noise_contrast import noise_contrast
from keras_xkd.losses.noise_contrast import similarities
from keras_xkd.losses.numerics import unit
from keras_xkd.typing import DTypeLike, Mask, Shape, Tensor


@keras_xkd_export("keras_xkd.layers.ContrastiveMemory")
class ContrastiveMemory(keras.layers.Layer):
    """Embeddings and past samples for `ContrastiveRepresentation`.

    Two linear embeddings give rows of length one. Each side has a memory:

    - `samples`: a bank with a row for every training sample. The row at
      `sample_id` is the positive, `negatives` random rows are the negatives
      (by chance the positive too, as in the authors' code), and then the row
      moves towards the new embedding.
    - `queue`: the last rows seen, all of them negatives; the positive is the
      sample itself. It needs no `sample_id`, and its memory is bounded.

    Both start with random rows. The normalizers (student as anchor, teacher
    as anchor) are estimated on the first training batch and kept. Rows and
    exponentials are float32 under any policy. Outside training nothing
    changes, and the negatives drawn are always the same.

    Args:
        samples: Number of rows of the bank, `sample_id` counts from 0.
        queue: Number of rows of the queue.
        embedding_dim, temperature, momentum, negatives, chunk_size: See
            `ContrastiveRepresentation`.
        seed: Seed of the negatives.
        dtype: float32 by default.
        **kwargs: See `keras.layers.Layer`.

    Call arguments: `teacher` and `student` of shape `(batch, features)`, of
    any widths; `sample_id` of shape `(batch,)` or `(batch, 1)`; `present` of
    shape `(batch,)`, 1 for the samples that take part; `training`.

    Returns:
        One value per sample, shape `(batch,)`, both directions added.

    Raises:
        ValueError: If not exactly one of `samples` and `queue` is given, or if
            the bank gets no `sample_id`.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.layers import ContrastiveMemory
    >>> layer = ContrastiveMemory(queue=8)
    >>> layer(np.ones((4, 3)), np.ones((4, 5)), training=True).shape[0]
    4
    """

    def __init__(
        self,
        samples: int | None = None,
        queue: int | None = None,
        embedding_dim: int = 128,
        temperature: float = 0.07,
        momentum: float = 0.5,
        negatives: int = 4096,
        seed: int | None = None,
        chunk_size: int | None = None,
        dtype: DTypeLike = "float32",
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=dtype, autocast=False, **kwargs)
        self.arguments: dict[str, Any] = dict(
            samples=samples,
            queue=queue,
            embedding_dim=embedding_dim,
            temperature=temperature,
            momentum=momentum,
            negatives=negatives,
        )
        checks.check_memory(**self.arguments)
        if samples is None and queue is None:
            raise ValueError(
                "Give `samples`, the number of training samples (a bank, "
                "indexed by `sample_id`), or `queue`, the number of past "
                "samples to keep. Received neither."
            )
        chunks.check_sizes(chunk_size=chunk_size)
        self.chunk_size = chunk_size
        self.rows = samples or queue
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        dense = keras.layers.Dense
        self.teacher_embedding = dense(embedding_dim, dtype="float32")
        self.student_embedding = dense(embedding_dim, dtype="float32")

    def build(self, teacher_shape: Shape, student_shape: Shape) -> None:
        self.teacher_embedding.build(teacher_shape)
        self.student_embedding.build(student_shape)
        width = self.arguments["embedding_dim"]
        bound = (3 / width) ** 0.5  # The authors': rows of length about one.
        constant = {"trainable": False, "autocast": False, "dtype": "float32"}
        self.teacher_memory, self.student_memory = (
            self.add_weight(
                shape=(self.rows, width),
                initializer=keras.initializers.RandomUniform(-bound, bound),
                name=name,
                **constant,
            )
            for name in ("teacher_memory", "student_memory")
        )
        # By anchor: student, teacher. 0: not estimated yet.
        self.normalizer = self.add_weight(
            shape=(2,), initializer="zeros", name="normalizer", **constant
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
        checks.check_rows(teacher, student)
        t = unit(self.teacher_embedding(teacher))
        s = unit(self.student_embedding(student))
        if present is None:
            present = ops.ones_like(s[:, 0])
        present = ops.cast(present, s.dtype)
        memory, drawn = self._memory(t, sample_id, training)
        mask = present[:, None] if training else None
        t_positives, t_rows, t_kept = memory(self.teacher_memory, t, mask=mask)
        s_positives, s_rows, s_kept = memory(self.student_memory, s, mask=mask)
        by_student, z_student = self._contrast(
            0, s, t_positives, t_rows, drawn, present
        )
        by_teacher, z_teacher = self._contrast(
            1, t, s_positives, s_rows, drawn, present
        )
        if training:
            self.teacher_memory.assign(t_kept)
            self.student_memory.assign(s_kept)
            self.normalizer.assign(ops.stack([z_student, z_teacher]))
        return (by_student + by_teacher) * present

    def _memory(self, batch, sample_id, training):
        """Where rows come from, and which of them each sample's negatives are.

        A tuple with a tensor, or an empty one if they are all of them.
        """
        if self.arguments["queue"]:
            return from_queue, ()
        if sample_id is None:
            raise ValueError("A bank needs `sample_id`. Received: None")
        shape = (ops.shape(batch)[0], self.arguments["negatives"])
        seed = self.seed_generator if training else 0
        memory = functools.partial(
            from_bank,
            ids=ops.reshape(ops.cast(sample_id, "int32"), (-1,)),
            momentum=self.arguments["momentum"],
        )
        return memory, (keras.random.randint(shape, 0, self.rows, seed=seed),)

    def _contrast(self, index, anchors, positives, rows, drawn, present):
        if self.chunk_size:
            # Read again for the gradient, after torch updated it in place.
            rows = ops.copy(rows)

        def products(anchors, positives, *drawn):
            negatives = ops.take(rows, drawn[0], axis=0) if drawn else rows
            temperature = self.arguments["temperature"]
            return similarities(anchors, positives, negatives, temperature)

        # Without chunks, the mean and the loss share the products.
        sides = (anchors, positives)
        shared = None if self.chunk_size else products(*sides, *drawn)

        def mean_exponential(*block):
            positive, negative = shared or products(*block)
            pairs = ops.concatenate([positive[:, None], negative], axis=1)
            return ops.mean(ops.exp(pairs), axis=1)

        def noise(*block):
            return noise_contrast(*(shared or products(*block)), offset)

        by_rows = functools.partial(
            chunks.by_rows, fixed=drawn, chunk_size=self.chunk_size
        )

        def first():
            fixed = [ops.stop_gradient(x) for x in sides]
            means = ops.stop_gradient(by_rows(mean_exponential, fixed))
            count = ops.maximum(ops.sum(present), 1.0)
            return ops.sum(means * present) / count * self.rows

        known = ops.convert_to_tensor(self.normalizer)[index]
        if self.chunk_size:  # A pass over all products, for one batch.
            z = ops.cond(known > 0, lambda: known, first)
        else:
            z = ops.where(known > 0, known, first())
        # With all samples absent there is nothing to estimate it from.
        size = drawn[0].shape[1] if drawn else self.rows
        offset = ops.log(ops.where(z > 0, z, 1.0) * size / self.rows)
        return by_rows(noise, sides), z

    def compute_output_shape(
        self, teacher_shape: Shape, student_shape: Shape
    ) -> Shape:
        return (student_shape[0],)

    # Keras does not save the state of random generators; without it, training
    # that goes on after loading would draw the first negatives again.
    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        store["seed_generator"] = self.seed_generator.state

    def load_own_variables(self, store: Any) -> None:
        names = [name for name in store.keys() if name != "seed_generator"]
        super().load_own_variables({name: store[name] for name in names})
        self.seed_generator.state.assign(store["seed_generator"])

    def get_config(self) -> dict[str, Any]:
        own = {"seed": self.seed, "chunk_size": self.chunk_size}
        return {**super().get_config(), **self.arguments, **own}
