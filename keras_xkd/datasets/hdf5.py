"""Reading HDF5 files, with errors that name the file and the key."""

import contextlib

import h5py

from keras_xkd.datasets.file_error import DataFileError
from keras_xkd.datasets.file_error import check_file


@contextlib.contextmanager
def open_hdf5(path):
    """Opens a file; errors of the block become a `DataFileError`."""
    check_file(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except OSError as error:
        raise DataFileError(
            path, f"it cannot be read as HDF5, so it is damaged ({error})"
        ) from error


def find_dataset(file, key):
    """The HDF5 dataset `key` of an open file, which is not read yet."""
    dataset = file.get(key)
    if not isinstance(dataset, h5py.Dataset):
        raise DataFileError(
            file.filename, f"it has no array '{key}'. It has {sorted(file)}"
        )
    return dataset
