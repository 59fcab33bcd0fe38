from typing import Any

import keras

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses import checks
from keras_xkd.losses import chunks
from keras_xkd.losses.comparison import Comparison
from keras_xkd.losses.noise_contrast import batch_contrast
from keras_xkd.losses.softmax_contrast import unit_rows
from keras_xkd.typing import Mask, Shape, Tensor


@keras_xkd_export("keras_xkd.losses.ContrastiveRepresentation")
class ContrastiveRepresentation(Comparison):
    """Noise-contrastive estimation of which pairs belong together (CRD).

    For an anchor `u` of one network, its counterpart `v+` of the other, and
    `N` negatives `v-` out of `M` samples:

    ```
    h(u, v) = (exp(u.v / tau) / Z) / (exp(u.v / tau) / Z + N / M)
    loss = -log h(u, v+) - sum log(1 - h(u, v-))
    ```

    with each network as anchor, the two losses added. As in the authors'
    code, `Z` is the mean of the exponentials of the first batch times `M`.

    With `samples` or `queue`, distillers train the layer that `companion`
    returns: embeddings and a memory of negatives. Called by itself, the loss
    has neither: rows of length one are contrasted with the other rows of the
    batch, and `Z` is that of the batch, a constant for the gradient.

    Args:
        temperature: `tau`, 0.02 or more. Authors' code: 0.07.
        embedding_dim: Width of the embeddings. Authors' code: 128.
        momentum: Share of the old row when a bank is updated. Authors' code:
            0.5. A queue does not use it.
        negatives: Number of negatives drawn from a bank for every sample.
            Authors' code: 16384; 4096 is our default.
        samples: Number of training samples, for a bank with a row for each.
        queue: Length of a queue of past samples instead, to bound memory.
        chunk_size: Rows that are compared at a time, see `InfoNCE`.
        name, **kwargs: See `InfoNCE`. The authors weigh this loss by 0.8.

    Call arguments: `y_true` and `y_pred`, teacher and student of shape
    `(batch, features)`, and `mask` of shape `(batch,)`, 1 for the samples
    that take part; the others are no negatives, and their value is 0.

    Returns:
        One value per sample, shape `(batch,)`, before the reduction.

    Raises:
        ValueError: If the shapes differ or an argument is out of range.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.losses import ContrastiveRepresentation
    >>> loss = ContrastiveRepresentation(temperature=1.0)
    >>> round(float(loss(np.eye(2), np.eye(2))), 4)
    1.9031

    Reference: [Tian et al., 2020](https://arxiv.org/abs/1910.10699)
    """

    needs = ("mask",)

    def __init__(
        self,
        temperature: float = 0.07,
        embedding_dim: int = 128,
        momentum: float = 0.5,
        negatives: int = 4096,
        samples: int | None = None,
        queue: int | None = None,
        chunk_size: int | None = None,
        name: str = "contrastive_representation",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.memory: dict[str, Any] = {
            "samples": samples,
            "queue": queue,
            "embedding_dim": embedding_dim,
            "temperature": temperature,
            "momentum": momentum,
            "negatives": negatives,
        }
        checks.check_memory(**self.memory)
        chunks.check_sizes(chunk_size=chunk_size)
        self.chunk_size = chunk_size

    def call(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        mask: Mask = None,
        padding: Mask = None,
    ) -> Tensor:
        valid, t, s = unit_rows(y_true, y_pred, mask)
        values = batch_contrast(
            t, s, valid, self.memory["temperature"], self.chunk_size
        )
        return values * valid

    def companion(
        self, teacher_shape: Shape, student_shape: Shape
    ) -> keras.layers.Layer | None:
        from keras_xkd.layers.contrastive_memory import ContrastiveMemory

        layer = ContrastiveMemory(chunk_size=self.chunk_size, **self.memory)
        layer.build(teacher_shape, student_shape)
        return layer

    def get_config(self) -> dict[str, Any]:
        own = {**self.memory, "chunk_size": self.chunk_size}
        return {**super().get_config(), **own}
