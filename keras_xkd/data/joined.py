"""Data sets with the stored outputs of teachers beside their modalities."""

import copy
import functools

import keras
import numpy as np

from keras_xkd.data.batches import ids_of
from keras_xkd.data.batches import kind_of
from keras_xkd.data.batches import with_x
from keras_xkd.data.batches import x_of


def joined(dataset, readers):
    """A data set of the same kind with `x["teacher_outputs"]`.

    Args:
        dataset: See `cache_teacher`.
        readers: A dict `{role: TeacherReader}`.
    """
    result = _join(dataset, readers)
    if hasattr(dataset, "unshuffled"):  # It is from `keras_xkd.data.load`.
        result.unshuffled = lambda: joined(dataset.unshuffled(), readers)
    return result


def _join(dataset, readers):
    add = functools.partial(add_outputs, readers=readers)
    kind = kind_of(dataset)
    if kind == "arrays":
        return add(dataset)
    if kind == "py_dataset":
        return _JoinedPyDataset(dataset, add)
    if kind == "tensorflow":
        return _join_tensorflow(dataset, readers)
    if kind == "grain":
        return dataset.map(add)
    if kind == "grain_loader":
        return _join_grain_loader(dataset, add)
    # Where batches are made: in the worker processes, if there are any.
    dataset = copy.copy(dataset)
    dataset._iterator = None  # Workers that live on are the other's.
    dataset.collate_fn = _Collate(dataset.collate_fn, readers)
    return dataset


def add_outputs(batch, readers):
    """A batch of arrays with the outputs of its samples."""
    x = x_of(batch)
    ids = ids_of(x)
    found = {role: reader.read(ids) for role, reader in readers.items()}
    return with_x(batch, _with_outputs(x, found))


def _with_outputs(x, found):
    return {**x, "teacher_outputs": {**x.get("teacher_outputs", {}), **found}}


class _JoinedPyDataset(keras.utils.PyDataset):
    """Another `PyDataset`, batch by batch, with its workers."""

    def __init__(self, dataset, add):
        super().__init__(
            workers=dataset.workers,
            use_multiprocessing=dataset.use_multiprocessing,
            max_queue_size=dataset.max_queue_size,
        )
        self.dataset = dataset
        self.add = add

    @property
    def num_batches(self):
        return self.dataset.num_batches

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        return self.add(self.dataset[index])

    def on_epoch_begin(self):
        self.dataset.on_epoch_begin()

    def on_epoch_end(self):
        self.dataset.on_epoch_end()


class _Collate:
    """Makes a batch of PyTorch tensors, with the outputs of its samples."""

    def __init__(self, collate, readers):
        self.collate = collate
        self.readers = readers

    def __call__(self, samples):
        import torch

        batch = self.collate(samples)
        found = add_outputs(batch, self.readers)
        x = x_of(found)
        outputs = keras.tree.map_structure(
            lambda v: torch.from_numpy(v) if isinstance(v, np.ndarray) else v,
            x["teacher_outputs"],
        )
        return with_x(found, {**x, "teacher_outputs": outputs})


def _join_grain_loader(loader, add):
    """Keras, too, adds to a Grain `DataLoader` by making it again."""
    import grain

    class Join(grain.transforms.Map):
        def map(self, batch):
            return add(batch)

    options = loader.multiprocessing_options
    return grain.DataLoader(
        data_source=loader._data_source,
        sampler=loader._sampler,
        operations=[*loader._operations, Join()],
        worker_count=options.num_workers,
        worker_buffer_size=options.per_worker_buffer_size,
        shard_options=loader._shard_options,
        read_options=loader._read_options,
        enable_profiling=options.enable_profiling,
    )


def _join_tensorflow(dataset, readers):
    import tensorflow as tf

    columns = [
        (role, name, spec)
        for role, reader in readers.items()
        for name, spec in reader.columns.items()
    ]

    def read(ids):
        found = {role: reader.read(ids) for role, reader in readers.items()}
        return [found[role][name] for role, name, _ in columns]

    def add(*batch):
        x = x_of(batch)
        if "sample_id" not in x:
            ids_of(x)  # Says what is missing.
        ids = tf.reshape(x["sample_id"], [-1])
        dtypes = [spec["dtype"] for _, _, spec in columns]
        values = tf.numpy_function(read, [ids], dtypes, stateful=False)
        found = {role: {} for role in readers}
        for (role, name, spec), value in zip(columns, values, strict=True):
            value.set_shape([*ids.shape, *spec["shape"]])
            found[role][name] = value
        x = _with_outputs(x, found)
        whole = isinstance(dataset.element_spec, dict)
        return x if whole else (x, *batch[1:])

    # Several batches are read at once, while others are trained on.
    added = dataset.map(add, num_parallel_calls=tf.data.AUTOTUNE)
    return added.prefetch(tf.data.AUTOTUNE)
