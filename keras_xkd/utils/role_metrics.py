"""Metrics of the main network, or of several roles by name."""

import functools
import math

import keras
from keras import ops

from keras_xkd.backend import outside_trace
from keras_xkd.utils.modalities import both
from keras_xkd.utils.replicas import gather_all
from keras_xkd.utils.terms import masked_weight

# Arguments of Keras's metrics: what they are by default, and for logits.
_OF_LOGITS = {
    "from_logits": (False, True),
    "threshold": (0.5, 0.0),
    "thresholds": (None, 0.0),
}


class RoleMetrics:
    """The compiled metrics, each with the role whose predictions it reads.

    Args:
        metrics: A list for the main role, or a dict `{role: metric or list}`,
            whose metrics are then named `<role>_<metric>`.
        weighted_metrics: The same, for metrics that read `sample_weight`.
        roles: The valid role names.
        main: The role that a list is for.
    """

    def __init__(self, metrics, weighted_metrics, roles, main="student"):
        self.main = main
        self.entries = []  # (role, metric, whether it is weighted)
        self._add(metrics, False, roles)
        self._add(weighted_metrics, True, roles)

    def _add(self, metrics, weighted, roles):
        if isinstance(metrics, dict):
            unknown = sorted(set(metrics) - set(roles))
            if unknown:
                raise ValueError(
                    f"`metrics` names the roles {unknown}; this model has "
                    f"{sorted(roles)}."
                )
            groups = [(role, f"{role}_", m) for role, m in metrics.items()]
        else:
            groups = [(self.main, "", metrics)]
        for role, prefix, group in groups:
            for metric in keras.tree.flatten(group):
                if metric is not None:
                    resolved = resolve_metric(metric)
                    name = prefix + resolved.name
                    if weighted and name in self.names:
                        name = f"weighted_{name}"
                    if resolved is metric and resolved.name != name:
                        resolved = _copy(resolved)
                    resolved.name = name
                    self.entries.append((role, resolved, weighted))

    @property
    def roles(self):
        return {role for role, _, _ in self.entries}

    @property
    def metrics(self):
        return [metric for _, metric, _ in self.entries]

    @property
    def names(self):
        return [metric.name for metric in self.metrics]

    def update(
        self, y, predictions, sample_weight, labelled=None, present=None
    ):
        """Updates the metrics that have what they need; returns their values.

        Args:
            y: Labels, or None: then no metric can be updated.
            predictions: A dict `{role: predictions}`; roles that did not run
                are left out.
            sample_weight: Weights of the samples, or None.
            labelled: Which samples have a label, or None for all.
            present: A dict `{role: samples}`, which samples a role can
                answer, or None for all.
        """
        logs = {}
        for role, metric, weighted in self.entries:
            if y is None or role not in predictions:
                continue
            weight = sample_weight if weighted else None
            mask = both(labelled, (present or {}).get(role))
            weight = masked_weight(weight, mask, reduction="sum")
            if mask is not None:
                weight = _spread(weight, y, metric)
            if not metric.variables:
                build = functools.partial(_build, metric, y, predictions[role])
                outside_trace(build)
            seen = {"y_true": y, "y_pred": predictions[role]}
            if weight is not None:
                seen["sample_weight"] = weight
            if any(v.aggregation != "sum" for v in metric.variables):
                seen = gather_all(seen)
            metric.update_state(
                seen["y_true"],
                seen["y_pred"],
                sample_weight=seen.get("sample_weight"),
            )
            logs[metric.name] = metric.result()
        return logs


def _copy(metric):
    """The same metric, to be renamed: the user's object keeps its name."""
    try:
        return type(metric).from_config(metric.get_config())
    except Exception:  # A class of the user's without `get_config`.
        return metric


def _spread(weight, y, metric):
    """Weights `(batch,)` for all positions, or pixels, of the labels.

    Metrics that are means, or count by classes, do this themselves.
    """
    by_sample = (keras.metrics.Mean, keras.metrics.FBetaScore)
    if math.prod(size or 2 for size in y.shape[1:]) == 1:
        return weight
    if isinstance(metric, (*by_sample, keras.metrics.R2Score)):
        return weight
    shape = ops.shape(y)
    if isinstance(
        metric, (keras.metrics.OneHotIoU, keras.metrics.OneHotMeanIoU)
    ):
        shape = shape[:-1]
    if "int" in str(metric.dtype):  # Metrics of overlap count in integers.
        weight = ops.cast(weight, "int32")
    weight = ops.reshape(weight, (-1,) + (1,) * (len(shape) - 1))
    return ops.broadcast_to(weight, shape)


def _build(metric, *samples):
    """Makes the variables of a metric that waits for its first data."""
    shapes = [[1, *(size or 1 for size in s.shape[1:])] for s in samples]
    dtypes = [keras.backend.standardize_dtype(s.dtype) for s in samples]
    metric.update_state(*map(ops.zeros, shapes, dtypes))
    metric.reset_state()


def resolve_metric(metric):
    """A `keras.metrics.Metric`, which reads logits if it is given by name.

    Raises:
        ValueError: If a metric object was made for probabilities.
    """
    if isinstance(metric, str) and metric.lower() in ("accuracy", "acc"):
        resolved = keras.metrics.MeanMetricWrapper(_accuracy, name=metric)
        resolved._direction = "up"  # For callbacks, as in Keras's own.
        return resolved
    resolved = keras.metrics.get(metric)
    if not isinstance(resolved, keras.metrics.Metric):
        name = getattr(resolved, "__name__", type(resolved).__name__)
        resolved = keras.metrics.MeanMetricWrapper(resolved, name=name)
    if isinstance(metric, str):
        config = resolved.get_config()
        logits = {
            name: value
            for name, (default, value) in _OF_LOGITS.items()
            if name in config and config[name] == default
        }
        if logits:
            resolved = type(resolved)(**{**config, **logits})
        resolved.name = metric  # As Keras does.
    elif resolved.get_config().get("from_logits") is False:
        name = type(resolved).__name__
        raise ValueError(
            f"Networks return logits here: pass `{name}(from_logits=True)`, or "
            f"the metric by name. Received: {name}(from_logits=False)"
        )
    return resolved


def _accuracy(y_true, y_pred):
    """Accuracy of logits, of the kind that the shapes ask for."""
    classes = y_pred.shape[-1]
    if classes == 1:
        y_true = ops.reshape(y_true, ops.shape(y_pred))
        matches = ops.equal(
            ops.cast(y_true, "float32") > 0.5,
            ops.cast(y_pred, "float32") > 0,
        )
        return ops.mean(ops.cast(matches, "float32"), axis=-1)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == classes:
        return keras.metrics.categorical_accuracy(y_true, y_pred)
    return keras.metrics.sparse_categorical_accuracy(y_true, y_pred)
