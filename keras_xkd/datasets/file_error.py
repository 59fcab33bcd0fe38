import os

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.typing import PathLike

GO_ON = "Pass `on_error='skip'` or `'absent'` to go on without what is wrong."


@keras_xkd_export("keras_xkd.datasets.DataFileError")
class DataFileError(ValueError):
    """A file of a data set that is missing, empty or damaged.

    Builders raise it, or leave the file out, as `on_error` says.

    Args:
        path: The file.
        reason: What is wrong with it.

    Example:

    >>> error = DataFileError("Actor_01/clip.mp4", "the file is empty")
    >>> str(error)
    'Actor_01/clip.mp4: the file is empty'
    """

    def __init__(self, path: PathLike, reason: str) -> None:
        self.path = os.fspath(path)
        super().__init__(self.path, reason)
        self.reason = reason

    def __str__(self):
        return f"{self.path}: {self.reason}"


def check_file(path):
    """Raises a `DataFileError` unless `path` is a file with content."""
    if not os.path.isfile(path):
        found = "a folder" if os.path.isdir(path) else "missing"
        raise DataFileError(path, f"expected a file, which is {found}")
    if os.path.getsize(path) == 0:
        raise DataFileError(path, "the file is empty")
