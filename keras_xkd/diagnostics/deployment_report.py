import functools

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.data.views import take
from keras_xkd.diagnostics import scoring
from keras_xkd.diagnostics import storage
from keras_xkd.diagnostics.deployment_result import DeploymentReport
from keras_xkd.diagnostics.halves import check_confidence
from keras_xkd.diagnostics.latency import interleaved
from keras_xkd.diagnostics.latency import median_interval
from keras_xkd.typing import Dataset, Metrics, Networks
from keras_xkd.utils.arrays import to_array
from keras_xkd.utils.modalities import select_modalities
from keras_xkd.utils.modalities import zero_absent


@keras_xkd_export("keras_xkd.diagnostics.deployment_report")
def deployment_report(
    models: Networks,
    x: Dataset,
    y: ArrayLike | None = None,
    metrics: Metrics = "accuracy",
    batch_size: int = 32,
    repeats: int = 30,
    confidence: float = 0.95,
) -> DeploymentReport:
    """What networks cost and what they are worth: the teacher, the student.

    | quantity | what it is |
    |---|---|
    | `parameters` | numbers in the weights (two of int4 share one) |
    | `weight_bytes` | their bytes, by the types in which they are kept |
    | `file_bytes` | of the `.keras` file, without state of an optimizer |
    | `latency_1`, `latency_<batch_size>` | seconds of one batch, a median |
    | `<metric>` | on `x` and `y`, if there are labels |

    Latency is that of `predict_on_batch`, the compiled function with NumPy
    data in and out, so that it includes what Keras itself takes (on JAX some
    tenths of a millisecond, more with more variables). The repetitions of the
    models are interleaved, after calls in which they are compiled. Nothing is
    said about other machines, and other work on this one makes it slower.

    To compare with int8, quantize a copy. Keras quantizes `Dense`,
    `EinsumDense` and embeddings, and leaves all else as it is, convolutions
    too. It does not load a quantized `MultiHeadAttention` from a `.keras`
    file: there, keep the weights, and load them into a quantized copy.

    ```python
    int8 = keras.models.clone_model(student)
    int8.set_weights(student.get_weights())
    int8.quantize("int8")
    ```

    Args:
        models: A dict `{name: network}`; ratios are those to the first. Of a
            distiller the student is meant.
        x: A dict of arrays with what any of them reads; or a data set of
            batches `(x, y)`, see `modality_subsets`. It is read once.
        y: The labels of arrays, or None.
        metrics: A Keras metric, its name, or a list of them; those by name
            read logits. Samples that a network cannot answer count as well:
            leave them out.
        batch_size: For the second latency, and for arrays.
        repeats: How often each latency is measured.
        confidence: Coverage of the intervals: of the median of the latencies,
            and over samples, as in `modality_subsets`.

    Returns:
        A result that prints a table, with `rows`, `report[name]`, `to_dict()`
        and `plot(ax=None, metric=None, batch_size=None)`.

    Raises:
        ValueError: If there is no model or no data.

    Example:

    >>> import keras, numpy as np
    >>> from keras_xkd.diagnostics import deployment_report
    >>> def network(name, units):
    ...     inputs = keras.Input((4,), name=name)
    ...     hidden = keras.layers.Dense(units, activation="relu")(inputs)
    ...     return keras.Model(inputs, keras.layers.Dense(2)(hidden))
    >>> report = deployment_report(
    ...     {"teacher": network("video", 40), "student": network("audio", 10)},
    ...     {"audio": np.ones((8, 4)), "video": np.ones((8, 4))},
    ...     np.zeros(8),
    ...     repeats=5,
    ... )
    >>> report["student"]["parameters"], report["student"]["weight_bytes"]
    (72, 288)
    """
    check_confidence(confidence)
    if not isinstance(models, dict) or not models:
        raise ValueError(
            "`models` must be a dict `{name: network}` of at least one. "
            f"Received: {models!r}"
        )
    for name, value in {"batch_size": batch_size, "repeats": repeats}.items():
        if value < 1:
            raise ValueError(
                f"`{name}` must be 1 or more. Received: {name}={value}"
            )
    models = {name: scoring.deployed(m) for name, m in models.items()}
    metrics = scoring.resolve(metrics)
    predictions: dict[str, list] = {name: [] for name in models}
    targets = []
    sample = None
    for batch, labels in scoring.batches(x, y, batch_size):
        batch = zero_absent(batch)
        batch = keras.tree.map_structure(to_array, batch)
        sample = batch if sample is None else sample
        if labels is None:
            break  # One batch is enough to measure time.
        targets.append(labels)
        for name, model in models.items():
            inputs = select_modalities(batch, model)
            predictions[name].append(scoring.predict(model, inputs))
    if sample is None:
        raise ValueError("The data set is empty: it has not a single batch.")
    rows = []
    for name, model in models.items():
        row = {
            "model": name,
            "parameters": storage.parameters(model),
            "weight_bytes": storage.weight_bytes(model),
            "file_bytes": storage.file_bytes(model),
        }
        rows.append(row)
    batch_sizes = sorted({1, batch_size})
    for size in batch_sizes:
        calls = {
            name: functools.partial(
                model.predict_on_batch,
                select_modalities(_of_size(sample, size), model),
            )
            for name, model in models.items()
        }
        seconds = interleaved(calls, repeats)
        for row in rows:
            key = f"latency_{size}"
            row[key], row[f"{key}_interval"] = median_interval(
                seconds[row["model"]], confidence
            )
    if targets:
        y = np.concatenate(targets)
        for row in rows:
            predicted = np.concatenate(predictions[row["model"]])
            row.update(scoring.score(metrics, y, predicted, confidence))
    names = list(metrics) if targets else []
    return DeploymentReport(rows, batch_sizes, names, confidence)


def _of_size(x, size):
    """A batch of this size, of the samples over and over again."""
    count = len(keras.tree.flatten(x)[0])
    rows = np.arange(size) % count
    return take(x, rows) if isinstance(x, dict) else x[rows]
