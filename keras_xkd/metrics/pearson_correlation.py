import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses.numerics import safe_divide
from keras_xkd.metrics import scores
from keras_xkd.typing import DTypeLike, Tensor, Weights


@keras_xkd_export("keras_xkd.metrics.PearsonCorrelation")
class PearsonCorrelation(keras.metrics.Metric):
    """Pearson's correlation of true and predicted scores over all batches.

    It is that of the whole set, not a mean over batches. Means and centred
    second moments are merged batch by batch (Chan et al., 1983), relative to
    the first sample, so that large offsets cost no precision. If the scores or
    the predictions are constant, or there is no sample, the correlation is not
    defined and the result is 0.

    Args:
        name: Name of the metric.
        dtype: Type of the result.

    Call arguments:
        y_true: Scores, shape `(batch,)` or `(batch, 1)`.
        y_pred: Predicted scores, `(batch,)` or `(batch, 1)`.
        sample_weight: Weights of the samples, `(batch,)` or `None`. A weight of
            2 is as good as the sample twice.

    Example:

    >>> from keras_xkd.metrics import PearsonCorrelation
    >>> metric = PearsonCorrelation()
    >>> metric.update_state([1.0, 2.0, 3.0], [1e4, 1e4 + 1, 1e4 + 4])
    >>> round(float(metric.result()), 4)
    0.9608
    """

    def __init__(
        self, name: str = "pearson_correlation", dtype: DTypeLike | None = None
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self._direction = "up"
        self.total, self.origin, self.mean, self.moments = (
            # They do not add up: replicas have to see the same samples.
            self.add_variable(
                shape, "zeros", aggregation="only_first_replica", name=name
            )
            for name, shape in (
                ("total", ()),
                ("origin", (2,)),
                ("mean", (2,)),
                ("moments", (2, 2)),
            )
        )

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Weights = None
    ) -> None:
        *sample, weight = scores.read(y_true, y_pred, sample_weight)
        x = ops.stack(sample, axis=1)
        first = ops.take(x, ops.argmax(weight > 0), axis=0)
        origin = ops.where(self.total > 0, self.origin.value, first)
        x, weight = x - origin, weight[:, None]

        count = ops.sum(weight)
        mean = safe_divide(ops.sum(weight * x, axis=0), count)
        total = self.total + count
        step = mean - self.mean
        x = x - mean
        self.moments.assign_add(
            ops.matmul(ops.transpose(weight * x), x)
            + ops.outer(step, step) * safe_divide(self.total * count, total)
        )
        self.mean.assign_add(step * safe_divide(count, total))
        self.origin.assign(origin)
        self.total.assign(total)

    def result(self) -> Tensor:
        spread = ops.sqrt(ops.diagonal(self.moments))
        # Divided in turn: the product of two small numbers would be 0.
        value = safe_divide(self.moments[0, 1], spread[0])
        value = safe_divide(value, spread[1])
        defined = ops.min(spread) > 0
        return ops.where(defined, ops.clip(value, -1.0, 1.0), 0.0)
