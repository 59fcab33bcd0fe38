import numpy as np

from keras_xkd.datasets.file_error import DataFileError
from keras_xkd.datasets.hdf5 import find_dataset
from keras_xkd.datasets.hdf5 import open_hdf5

CLASSES = 10


class VEGASFile:
    """A file of features with one row per clip.

    Args:
        path: The HDF5 file.
        keys: `{"audio", "video", "label"}`: keys with a `"{split}"`.
    """

    def __init__(self, path, keys):
        self.path = path
        self.keys = keys
        # The shape of one sample by modality.
        with open_hdf5(path) as file:
            self.shapes = {
                name: find_dataset(file, key.format(split="train")).shape[1:]
                for name, key in keys.items()
                if name != "label"
            }

    def samples(self, split):
        """Yields `(row, example)`."""
        arrays = self._read(split)
        for row in range(len(arrays["label"])):
            example = {name: array[row] for name, array in arrays.items()}
            yield row, example | {"name": f"{split}_{row:05d}"}

    def _read(self, split):
        keys = {n: key.format(split=split) for n, key in self.keys.items()}
        with open_hdf5(self.path) as file:
            arrays = {n: find_dataset(file, k)[()] for n, k in keys.items()}
        rows = {keys[n]: np.shape(a)[:1] for n, a in arrays.items()}
        if len(set(rows.values())) > 1 or () in rows.values():
            self._fail(f"its arrays differ in length: {rows}")
        for name, shape in self.shapes.items():
            arrays[name] = self._features(keys[name], arrays[name], shape)
        arrays["label"] = self._labels(keys["label"], arrays["label"])
        return arrays

    def _features(self, key, values, shape):
        if values.shape[1:] != shape or values.dtype.kind not in "biuf":
            self._fail(
                f"'{key}' must have samples of the shape {shape}, as in the "
                f"training set. They are {values.dtype} of the shape "
                f"{values.shape[1:]}"
            )
        with np.errstate(over="ignore"):
            values = values.astype("float32")
        wrong = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if wrong.any():
            self._fail(
                f"'{key}' has values that are not finite in row "
                f"{np.flatnonzero(wrong)[0]}"
            )
        return values

    def _labels(self, key, labels):
        if labels.size != len(labels) or labels.dtype.kind not in "biuf":
            self._fail(
                f"'{key}' must have one class per sample. It is {labels.dtype} "
                f"of the shape {labels.shape}"
            )
        labels = labels.reshape(-1)
        wrong = ~np.isin(labels, np.arange(CLASSES))
        if wrong.any():
            self._fail(
                f"'{key}' must have classes from 0 to {CLASSES - 1}. Row "
                f"{np.flatnonzero(wrong)[0]} has {labels[wrong][0]}"
            )
        return labels.astype("int64")

    def _fail(self, reason):
        raise DataFileError(self.path, reason)
