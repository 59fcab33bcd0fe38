from typing import Literal

from keras import ops
from numpy.typing import ArrayLike

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses.numerics import safe_divide
from keras_xkd.metrics import retrieval
from keras_xkd.typing import DTypeLike, Tensor


@keras_xkd_export("keras_xkd.metrics.RetrievalMAP")
class RetrievalMAP(retrieval.RetrievalMetric):
    """Mean average precision of retrieval across two modalities.

    Each embedding of one modality is a query that ranks those of the other by
    cosine similarity; what has the label of the query is relevant. The average
    precision of a query is the mean, over its relevant items, of the share of
    relevant items among all that are ranked as high or higher; the result is
    the mean over the queries. On VEGAS the directions audio to visual and
    visual to audio are reported, and their mean.

    Similarities that differ by less than 1e-6 are one rank, so the order of the
    samples plays no part, and embeddings that are all the same score no better
    than chance. A query without relevant item counts as 0.

    The metric needs all embeddings at once. It keeps up to `capacity` pairs,
    and is NaN when there were more: give the size of the validation set. Keras
    computes the result after every batch; where that takes too long, `predict`
    and call the function `retrieval_map`.

    Args:
        capacity: Number of pairs that there is room for.
        embedding_dim: Length of the embeddings.
        direction: `"forward"`: the first modality looks for the second;
            `"backward"`: the reverse; `"both"`: the mean of the two.
        name: Name of the metric.
        dtype: Type of the result.

    Call arguments:
        y_true: Class indices, shape `(batch,)` or `(batch, 1)`, or one-hot
            rows. For retrieval of the very pair, a number for each pair.
        y_pred: The embeddings of both modalities, shape `(batch, 2,
            embedding_dim)`, or a pair of tensors `(batch, embedding_dim)`.
        sample_weight: Weights of the queries, shape `(batch,)`, or `None`.
            Samples of weight 0 are left out of the gallery too.

    Example:

    >>> from keras_xkd.metrics import RetrievalMAP
    >>> metric = RetrievalMAP(capacity=100, embedding_dim=2)
    >>> audio, video = [[1.0, 0.0], [0.0, 1.0]], [[0.9, 0.1], [0.8, 0.2]]
    >>> metric.update_state([0, 1], (audio, video))
    >>> float(metric.result())
    0.875
    """

    def __init__(
        self,
        capacity: int,
        embedding_dim: int,
        direction: Literal["forward", "backward", "both"] = "both",
        name: str = "retrieval_map",
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(capacity, embedding_dim, direction, name, dtype)

    def values(self, similarity: Tensor, relevant: Tensor) -> Tensor:
        return _average_precision(similarity, relevant)


@keras_xkd_export("keras_xkd.metrics.retrieval_map")
def retrieval_map(
    queries: ArrayLike,
    gallery: ArrayLike,
    query_labels: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
) -> float:
    """Mean average precision of queries in a gallery; see `RetrievalMAP`.

    Args:
        queries: Embeddings, shape `(Q, features)`.
        gallery: Embeddings, shape `(G, features)`.
        query_labels: Class indices, shape `(Q,)`. By default row i of the
            gallery is what query i looks for.
        gallery_labels: Class indices, shape `(G,)`, by default those of the
            queries.

    Returns:
        A number.

    Example:

    >>> import numpy as np
    >>> retrieval_map(np.eye(3), np.eye(3)[[1, 0, 2]], [0, 1, 2])
    0.5556
    """
    return retrieval.evaluate(
        _average_precision, queries, gallery, query_labels, gallery_labels
    )


def _average_precision(similarity, relevant):
    order = ops.argsort(-similarity, axis=1)
    similarity = ops.take_along_axis(similarity, order, axis=1)
    relevant = ops.cast(ops.take_along_axis(relevant, order, axis=1), "float32")
    # An item has the rank of the last of those that are as similar as it is.
    gap = similarity[:, :-1] - similarity[:, 1:] > retrieval.TOLERANCE
    last = ops.cast(
        ops.pad(gap, ((0, 0), (0, 1)), constant_values=True), "int32"
    )
    place = ops.arange(last.shape[1], dtype="int32")
    ends = ops.sort(ops.where(last > 0, place, last.shape[1] - 1), axis=1)
    end = ops.take_along_axis(ends, ops.cumsum(last, axis=1) - last, axis=1)
    found = ops.cumsum(relevant, axis=1)
    precision = ops.take_along_axis(found, end, axis=1)
    precision = precision / ops.cast(end + 1, "float32")
    return safe_divide(ops.sum(relevant * precision, axis=1), found[:, -1])
