"""What the metrics of cross-modal retrieval share."""

from collections.abc import Sequence
from typing import Any
from typing import Literal

import keras
from keras import ops

from keras_xkd.losses import numerics
from keras_xkd.typing import DTypeLike, Tensor, Weights

DIRECTIONS = ("forward", "backward", "both")
BLOCK = 1024
# Matrix products of equal rows differ in the last digits.
TOLERANCE = 1e-6


class RetrievalMetric(keras.metrics.Metric):
    """Stores pairs of embeddings and judges how they find each other.

    Args:
        capacity: Number of pairs that there is room for.
        embedding_dim: Length of the embeddings.
        direction: `"forward"`: the first modality looks for the second;
            `"backward"`: the reverse; `"both"`: the mean of the two.
        name: Name of the metric.
        dtype: Type of the result.
    """

    def __init__(
        self,
        capacity: int,
        embedding_dim: int,
        direction: Literal["forward", "backward", "both"] = "both",
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if min(capacity, embedding_dim) < 1:
            raise ValueError(
                "`capacity` and `embedding_dim` must be positive. Received: "
                f"capacity={capacity}, embedding_dim={embedding_dim}"
            )
        if direction not in DIRECTIONS:
            raise ValueError(
                f"`direction` must be one of {list(DIRECTIONS)}. "
                f"Received: {direction!r}"
            )
        self.capacity = capacity
        self.embedding_dim = embedding_dim
        self.direction = direction
        self._direction = "up"
        # The last row takes what is not to be stored.
        rows = capacity + 1
        # They do not add up: replicas have to see the same pairs.
        self.embeddings, self.labels, self.weights, self.count = (
            self.add_variable(
                shape,
                "zeros",
                dtype=dtype,
                aggregation="only_first_replica",
                name=name,
            )
            for name, shape, dtype in (
                ("embeddings", (rows, 2, embedding_dim), None),
                ("labels", (rows,), "int32"),
                ("weights", (rows,), None),
                ("count", (), "int32"),
            )
        )

    def values(self, similarity: Tensor, relevant: Tensor) -> Tensor:
        """One number per query, see `average`."""
        raise NotImplementedError

    def update_state(
        self,
        y_true: Tensor,
        y_pred: Tensor | Sequence[Tensor],
        sample_weight: Weights = None,
    ) -> None:
        labels = _class_indices(y_true)
        pairs = self._pairs(y_pred)
        weight = ops.ones_like(pairs[:, 0, 0])
        if sample_weight is not None:
            weight = ops.cast(sample_weight, weight.dtype)
            weight = ops.reshape(weight, (-1,))
        counts = weight > 0
        rows = self.count + ops.cumsum(ops.cast(counts, "int32"))
        last = ops.full_like(rows, self.capacity)
        place = ops.where(counts, ops.minimum(rows - 1, last), last)[:, None]
        for variable, new in (
            (self.embeddings, pairs),
            (self.labels, labels),
            (self.weights, weight),
        ):
            new = ops.cast(new, variable.dtype)
            variable.assign(ops.scatter_update(variable, place, new))
        self.count.assign_add(ops.sum(ops.cast(counts, "int32")))

    def _pairs(self, y_pred):
        """The embeddings, shape `(batch, 2, embedding_dim)`."""
        if isinstance(y_pred, list | tuple) and len(y_pred) == 2:
            y_pred = ops.stack(numerics.upcast(*y_pred), axis=1)
        y_pred = ops.convert_to_tensor(y_pred)
        if tuple(y_pred.shape[1:]) != (2, self.embedding_dim):
            raise ValueError(
                "Expected `y_pred` of shape `(batch, 2, "
                f"{self.embedding_dim})`, or a pair of tensors of shape "
                f"`(batch, {self.embedding_dim})`. Received: shape "
                f"{tuple(y_pred.shape)}"
            )
        return y_pred

    def result(self) -> Tensor:
        rows = slice(0, self.capacity)
        first, second = self.embeddings[rows, 0], self.embeddings[rows, 1]
        labels, weights = self.labels[rows], self.weights[rows]
        ways = {"forward": [(first, second)], "backward": [(second, first)]}
        ways["both"] = ways["forward"] + ways["backward"]
        values = [
            average(self.values, way, (labels, labels), (weights, weights))
            for way in ways[self.direction]
        ]
        full = self.count > self.capacity
        return ops.where(full, float("nan"), sum(values) / len(values))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "capacity": self.capacity,
            "embedding_dim": self.embedding_dim,
            "direction": self.direction,
        }


def _class_indices(labels):
    labels = ops.convert_to_tensor(labels)
    if len(labels.shape) == 2 and labels.shape[1] != 1:
        labels = ops.argmax(labels, axis=1)
    return ops.reshape(ops.cast(labels, "int32"), (-1,))


def average(values, embeddings, labels, weights):
    """The weighted mean over the queries, a block of them at a time.

    Args:
        values: Function `(similarity, relevant) -> (queries,)` of two arrays of
            shape `(queries, gallery)`. What is left out of the gallery has a
            similarity of minus infinity and is not relevant.
        embeddings: Those of queries and gallery, shapes `(Q, features)` and
            `(G, features)`.
        labels: Class indices of both, shapes `(Q,)` and `(G,)`.
        weights: Those of the queries, shape `(Q,)`, and of the gallery, shape
            `(G,)`, of which only the sign matters.
    """
    queries, gallery = map(numerics.unit, embeddings)
    total = 0.0
    for start in range(0, queries.shape[0], BLOCK):
        block = slice(start, start + BLOCK)
        similarity = ops.matmul(queries[block], ops.transpose(gallery))
        present = weights[1][None] > 0
        similarity = ops.where(present, similarity, -float("inf"))
        relevant = ops.equal(labels[0][block, None], labels[1][None])
        relevant = ops.logical_and(relevant, present)
        total += ops.sum(weights[0][block] * values(similarity, relevant))
    return numerics.safe_divide(total, ops.sum(weights[0]))


def evaluate(values, queries, gallery, query_labels, gallery_labels):
    """`average` of arrays, with all weights 1, as a number."""
    queries, gallery = (ops.cast(x, "float32") for x in (queries, gallery))
    if len(queries.shape) != 2 or queries.shape[1:] != gallery.shape[1:]:
        raise ValueError(
            "Expected queries and gallery of shape `(N, features)` with as "
            f"many features. Received: shapes {tuple(queries.shape)} and "
            f"{tuple(gallery.shape)}"
        )
    if query_labels is None:
        query_labels = gallery_labels = ops.arange(queries.shape[0])
    elif gallery_labels is None:
        gallery_labels = query_labels
    embeddings = queries, gallery
    labels = [_class_indices(k) for k in (query_labels, gallery_labels)]
    weights = [ops.ones_like(x[:, 0]) for x in embeddings]
    for x, k in zip(embeddings, labels):
        if x.shape[0] != k.shape[0]:
            raise ValueError(
                "Expected one label per embedding. Received: "
                f"{k.shape[0]} labels for {x.shape[0]} embeddings."
            )
    return float(average(values, embeddings, labels, weights))
