from typing import Any
from typing import Literal

from keras import ops
from numpy.typing import ArrayLike

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.metrics import retrieval
from keras_xkd.typing import DTypeLike, Tensor


@keras_xkd_export("keras_xkd.metrics.RecallAtK")
class RecallAtK(retrieval.RetrievalMetric):
    """Share of the queries that find what they look for among the first k.

    Each embedding of one modality is a query that ranks those of the other by
    cosine similarity. It counts if an item with its label is among the first
    `k`. Of similarities that differ by less than 1e-6 those of items with
    another label come first: embeddings that are all the same find nothing.

    As `RetrievalMAP`, the metric keeps up to `capacity` pairs and is NaN when
    there were more.

    Args:
        k: Number of items looked at.
        capacity: Number of pairs that there is room for.
        embedding_dim: Length of the embeddings.
        direction: `"forward"`: the first modality looks for the second;
            `"backward"`: the reverse; `"both"`: the mean of the two.
        name: Name of the metric, by default `recall_at_<k>`.
        dtype: Type of the result.

    Call arguments:
        y_true: Class indices, shape `(batch,)` or `(batch, 1)`, or one-hot
            rows. For retrieval of the very pair, a number for each pair.
        y_pred: The embeddings of both modalities, shape `(batch, 2,
            embedding_dim)`, or a pair of tensors `(batch, embedding_dim)`.
        sample_weight: Weights of the queries, shape `(batch,)`, or `None`.
            Samples of weight 0 are left out of the gallery too.

    Example:

    >>> from keras_xkd.metrics import RecallAtK
    >>> metric = RecallAtK(k=1, capacity=100, embedding_dim=2)
    >>> audio, video = [[1.0, 0.0], [0.0, 1.0]], [[0.9, 0.1], [0.8, 0.2]]
    >>> metric.update_state([0, 1], (audio, video))
    >>> float(metric.result())
    0.75
    """

    def __init__(
        self,
        k: int,
        capacity: int,
        embedding_dim: int,
        direction: Literal["forward", "backward", "both"] = "both",
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        name = name or f"recall_at_{k}"
        super().__init__(capacity, embedding_dim, direction, name, dtype)
        _check(k)
        self.k = k

    def values(self, similarity: Tensor, relevant: Tensor) -> Tensor:
        return _found(similarity, relevant, self.k)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "k": self.k}


@keras_xkd_export("keras_xkd.metrics.recall_at_k")
def recall_at_k(
    queries: ArrayLike,
    gallery: ArrayLike,
    query_labels: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    k: int = 1,
) -> float:
    """Share of queries that find an item of their label; see `RecallAtK`.

    Args:
        queries: Embeddings, shape `(Q, features)`.
        gallery: Embeddings, shape `(G, features)`.
        query_labels: Class indices, shape `(Q,)`. By default row i of the
            gallery is what query i looks for.
        gallery_labels: Class indices, shape `(G,)`, by default those of the
            queries.
        k: Number of items looked at.

    Returns:
        A number.

    Example:

    >>> import numpy as np
    >>> recall_at_k(np.eye(3), np.eye(3)[[1, 0, 2]], k=1)
    0.3333
    """
    _check(k)
    return retrieval.evaluate(
        lambda similarity, relevant: _found(similarity, relevant, k),
        queries,
        gallery,
        query_labels,
        gallery_labels,
    )


def _check(k):
    if k < 1:
        raise ValueError(f"`k` must be positive. Received: {k}")


def _found(similarity, relevant, k):
    best = ops.where(relevant, similarity, -float("inf"))
    best = ops.max(best, axis=1, keepdims=True)
    others = ops.logical_and(similarity > best - retrieval.TOLERANCE, ~relevant)
    ahead = ops.sum(ops.cast(others, "float32"), axis=1)
    return ops.cast(
        ops.logical_and(ahead < k, ops.any(relevant, axis=1)), "float32"
    )
