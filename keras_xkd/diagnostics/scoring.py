"""Batches of any kind of data, what networks predict, and scores of it."""

import math
import statistics

import keras
import numpy as np
from keras import ops

from keras_xkd.data.views import take
from keras_xkd.distillers.distiller import Distiller
from keras_xkd.utils.arrays import to_array
from keras_xkd.utils.modalities import RESERVED
from keras_xkd.utils.modalities import check_batch
from keras_xkd.utils.modalities import known_modalities
from keras_xkd.utils.modalities import optional_of
from keras_xkd.utils.outputs import prediction
from keras_xkd.utils.role_metrics import resolve_metric

RESAMPLES = 50  # Enough for a standard error.


def deployed(model):
    """What is deployed of a model: of a distiller, the student."""
    return model.roles[model.main] if isinstance(model, Distiller) else model


def reads(model):
    """The names of the modalities of a network, and if it reads `present`."""
    names = [*known_modalities(model), *optional_of(model)]
    modalities = sorted(set(names) - set(RESERVED))
    if not modalities:
        raise ValueError(
            f"It is unknown which modalities '{model.name}' reads. Name its "
            'inputs, as in `keras.Input(shape, name="audio")`.'
        )
    return modalities, "present" in names


def batches(x, y, batch_size):
    """Batches `(x, y)` of NumPy arrays, from arrays or a data set of batches.

    Args:
        x: An array or a dict of arrays; or any iterable of batches
            `(x, y[, sample_weight])`: a `tf.data.Dataset`, a Grain data set,
            a PyTorch `DataLoader`, a `PyDataset`, a list or a generator.
        y: The labels of arrays, or None.
        batch_size: For arrays.
    """
    if isinstance(x, keras.utils.PyDataset):
        x = map(x.__getitem__, range(x.num_batches))
    if isinstance(x, dict) or hasattr(x, "shape"):
        x, y = _checked(x, y)
        size = len(keras.tree.flatten(x)[0])
        for start in range(0, size, batch_size):
            rows = slice(start, start + batch_size)
            part = take(x, rows) if isinstance(x, dict) else x[rows]
            yield part, None if y is None else y[rows]
        return
    if y is not None or not hasattr(x, "__iter__"):
        raise ValueError(
            "Expected arrays `x` and `y`, or a data set `x` of batches `(x, "
            f"y)`. Received: x of type {type(x).__name__}, y of type "
            f"{type(y).__name__}"
        )
    for batch in x:
        yield _checked(*keras.utils.unpack_x_y_sample_weight(batch)[:2])


def _checked(x, y):
    x = keras.tree.map_structure(to_array, x)
    y = None if y is None else to_array(y)
    check_batch(x, y)
    return x, y


def predict(model, inputs):
    """Logits or scores of a batch, as an array, by the compiled function."""
    outputs = model.predict_on_batch(inputs)
    if not isinstance(outputs, dict):
        outputs = {"logits": outputs}
    return np.asarray(prediction(outputs), "float32")


def resolve(metrics):
    """Keras metrics by name, which read logits if they were given by name."""
    found = [resolve_metric(m) for m in keras.tree.flatten(metrics)]
    names = [metric.name for metric in found]
    if len(set(names)) < len(names):
        raise ValueError(
            f"`metrics` must have different names. Received: {names}"
        )
    return dict(zip(names, found, strict=True))


def score(metrics, y, predictions, confidence, seed=0):
    """Each metric, and the interval that the choice of samples leaves it.

    Wilson's interval for a share of the samples, such as accuracy; else the
    normal one, with the standard error of a mean over samples, or of a
    bootstrap where the metric is no such mean.

    Returns:
        A dict with `<metric>`, a number, and `<metric>_interval`, `(low,
        high)`; NaN and None where there is no sample.
    """
    found, z = {}, statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    for name, metric in metrics.items():
        value, interval = math.nan, None
        if len(y):
            value = _value(metric, y, predictions)
            values = _of_samples(metric, y, predictions)
            if values is None:
                error = z * _bootstrap(metric, y, predictions, seed)
                interval = (float(value - error), float(value + error))
            elif np.all((values == 0) | (values == 1)):
                interval = wilson(values.sum(), len(values), confidence)
            elif len(values) > 1:
                error = z * values.std(ddof=1) / math.sqrt(len(values))
                interval = (float(value - error), float(value + error))
        found |= {name: value, f"{name}_interval": interval}
    return found


def wilson(hits, count, confidence):
    """Wilson's score interval of a share.

    Example:

    >>> [round(float(end), 3) for end in wilson(9, 10, 0.95)]
    [0.596, 0.982]
    """
    z = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    share, extra = hits / count, z**2 / count
    centre = (share + extra / 2) / (1 + extra)
    half = math.sqrt(share * (1 - share) * extra + extra**2 / 4) / (1 + extra)
    return max(float(centre - half), 0.0), min(float(centre + half), 1.0)


def _value(metric, y, predictions):
    metric.reset_state()
    metric.update_state(y, predictions)
    value = np.asarray(ops.convert_to_numpy(metric.result()))
    if value.ndim:
        raise ValueError(
            f"The metric '{metric.name}' must be one number. Received: an "
            f"array of shape {value.shape}"
        )
    return float(value)


def _of_samples(metric, y, predictions):
    """The values whose mean a metric is, one per sample, or None."""
    function = getattr(metric, "_fn", None)  # Of Keras' `MeanMetricWrapper`.
    if function is None:
        return None
    values = to_array(function(y, predictions, **metric._fn_kwargs))
    if values.shape[:1] != (len(y),):
        return None
    return values.reshape(len(y), -1).astype("float64").mean(1)


def _bootstrap(metric, y, predictions, seed):
    """The spread of a metric over samples drawn again."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(RESAMPLES):
        rows = rng.integers(len(y), size=len(y))
        found.append(_value(metric, y[rows], predictions[rows]))
    return np.nanstd(found)
