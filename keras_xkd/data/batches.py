"""The batches of every kind of data set that `fit` takes."""

import itertools
import math

import keras
import numpy as np

from keras_xkd.data.teacher_reader import check_ids
from keras_xkd.data.views import take

# The kind of a data set by the package and the name of one of its classes.
_KINDS = {
    ("tensorflow", "DatasetV2"): "tensorflow",
    ("torch", "DataLoader"): "torch",
    ("grain", "MapDataset"): "grain",
    ("grain", "IterDataset"): "grain",
    ("grain", "DataLoader"): "grain_loader",
}


def kind_of(dataset):
    """The kind of a data set that can be iterated again and again."""
    if isinstance(dataset, keras.utils.PyDataset):
        return "py_dataset"
    parts = dataset if isinstance(dataset, (tuple, list)) else [dataset]
    if parts and isinstance(parts[0], dict) and len(parts) < 4:
        return "arrays"
    for parent in type(dataset).__mro__:
        package = parent.__module__.partition(".")[0]
        if (package, parent.__name__) in _KINDS:
            return _KINDS[package, parent.__name__]
    raise ValueError(
        "`dataset` must be what `fit` takes and can be iterated again: a "
        "`tf.data.Dataset`, a torch or Grain `DataLoader`, a Grain "
        "`MapDataset` or `IterDataset`, a `keras.utils.PyDataset`, or arrays: "
        "a dict `x`, `(x, y)` or `(x, y, sample_weight)`. Received: "
        f"dataset of type {type(dataset).__name__}"
    )


def x_of(batch):
    """The dict `x` of a batch."""
    x = batch[0] if isinstance(batch, (tuple, list)) else batch
    if not isinstance(x, dict):
        raise ValueError(
            "`x` must be a dict `{modality: array}` with the entry "
            f"'sample_id'. Received: x of type {type(x).__name__}"
        )
    return x


def with_x(batch, x):
    """The same batch with another `x`."""
    if isinstance(batch, (tuple, list)):
        return type(batch)([x, *batch[1:]])
    return x


def ids_of(x):
    """The `sample_id` of a batch, int64 `(batch,)`; each of them once."""
    if "sample_id" not in x:
        raise ValueError(
            "`x` must have an entry 'sample_id', whole numbers of shape "
            "`(batch,)` by which the outputs of a teacher are found again. "
            f"Received: {sorted(x)}"
        )
    ids = x["sample_id"]
    if not isinstance(ids, (list, np.ndarray)):
        ids = keras.ops.convert_to_numpy(ids)
    ids = check_ids(ids)
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) != len(ids):
        _refuse_twice(unique[counts > 1])
    return ids


def with_row_numbers(dataset):
    """Arrays with `sample_id`, by default the number of the row."""
    x = x_of(dataset)
    if "sample_id" in x:
        return dataset
    rows = np.arange(_rows(x), dtype="int64")
    return with_x(dataset, {**x, "sample_id": rows})


def batches(dataset, batch_size):
    """`(x, sample_id)` of all batches, each sample once."""
    kind = kind_of(dataset)
    if kind == "arrays":
        count = number_of_batches(dataset, batch_size)
        found = _slices(dataset, batch_size, range(count))
    elif kind == "py_dataset":
        found = map(dataset.__getitem__, range(dataset.num_batches))
    else:
        found = iter(dataset)
    return _each_once(found)


def few_batches(dataset, batch_size):
    """The same of a few batches: the first, the middle and the last where
    that is quick, else the first alone."""
    count = number_of_batches(dataset, batch_size)
    chosen = sorted({0, count // 2, count - 1}) if count else []
    if is_indexed(dataset):
        return chosen_batches(dataset, batch_size, chosen)
    return _each_once(itertools.islice(dataset, 1))


def is_indexed(dataset):
    """Whether single batches can be had, in any order."""
    kind = kind_of(dataset)
    indexed = kind == "grain" and hasattr(dataset, "__getitem__")
    return indexed or kind in ("arrays", "py_dataset")


def chosen_batches(dataset, batch_size, indices):
    """The same of some batches of a data set with an index."""
    if kind_of(dataset) == "arrays":
        return _each_once(_slices(dataset, batch_size, indices))
    return _each_once(map(dataset.__getitem__, indices))


def number_of_batches(dataset, batch_size):
    """How many batches there are, None if that is not known."""
    kind = kind_of(dataset)
    if kind == "arrays":
        return math.ceil(_rows(x_of(dataset)) / batch_size)
    if kind == "tensorflow":
        count = int(dataset.cardinality())
        return count if count >= 0 else None
    if kind == "py_dataset":
        if dataset.num_batches is None:
            raise ValueError(
                "`dataset` must end: each sample is cached once. Received: a "
                "PyDataset with num_batches=None"
            )
        return dataset.num_batches
    try:
        return len(dataset)
    except TypeError:
        return None


def _each_once(found):
    seen = set()
    for batch in found:
        x = x_of(batch)
        ids = ids_of(x)
        listed = ids.tolist()
        if not seen.isdisjoint(listed):
            _refuse_twice(sorted(seen.intersection(listed)))
        seen.update(listed)
        yield x, ids


def _slices(arrays, batch_size, indices):
    x = _numpy(x_of(arrays))
    for i in indices:
        yield take(x, slice(i * batch_size, (i + 1) * batch_size))


def _numpy(value):
    if isinstance(value, dict):
        return {key: _numpy(inner) for key, inner in value.items()}
    return np.asarray(value)


def _rows(x):
    return len(np.asarray(next(iter(_leaves(x)))))


def _leaves(value):
    if not isinstance(value, dict):
        yield value
        return
    for inner in value.values():
        yield from _leaves(inner)


def _refuse_twice(ids):
    raise ValueError(
        "Each sample must come once, with a `sample_id` of its own; repeat "
        "a data set after its teacher is cached. Received twice: sample_id "
        f"{list(map(int, ids[:10]))}"
    )
