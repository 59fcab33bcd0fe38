"""Reads plain values from pickle files without running what they contain.

A pickle is a program: `pickle.load` calls whatever functions the file names.
Corpora are nevertheless distributed as pickles, of arrays, strings, numbers,
lists and dicts. Only these are read here.

A list of permitted names is not enough. NumPy's own `dtype` believes the flags
that a pickle states, and with an object dtype that says it holds no objects
the bytes of the file become pointers. So nothing of NumPy is handed to the
pickle: the stand-ins below check what it states and build the array.
"""

import collections
import math
import pickle
import re

import numpy as np

from keras_xkd.datasets.file_error import DataFileError
from keras_xkd.datasets.file_error import check_file

PLAIN_DTYPE = re.compile(r"[biufc](1|2|4|8|16|32)|[SU]\d+|O\d?")


def load(path):
    """Returns the value in the pickle file `path`, of any protocol.

    Dicts, lists, tuples, sets, strings, numbers and NumPy arrays of numbers,
    strings or these values. Files written by Python 2 are read, their `str`
    as Latin-1.

    Args:
        path: Path of the file.

    Returns:
        The value. Arrays are instances of a subclass of `numpy.ndarray`;
        `numpy.asarray` gives the plain array without a copy.

    Raises:
        DataFileError: If the file is missing, truncated or damaged, or contains
            anything else; the message names the class or function. Nothing in
            the file is executed.

    Example:

    >>> import pickle, pathlib, tempfile
    >>> from keras_xkd.datasets import safe_pickle
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "data.pkl"
    >>> _ = path.write_bytes(pickle.dumps({"audio": np.zeros((2, 3))}))
    >>> safe_pickle.load(path)["audio"].shape
    (2, 3)
    >>> _ = path.write_bytes(pickle.dumps(print))
    >>> safe_pickle.load(path)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    keras_xkd...DataFileError: ...data.pkl: it contains 'builtins.print'...
    """
    check_file(path)
    with open(path, "rb") as file:
        try:
            return _Unpickler(file, encoding="latin1").load()
        except _NotPlain as error:
            raise DataFileError(
                path,
                f"it contains '{error}', which is not read from a pickle, "
                "because loading it may run code: only numbers, strings, NumPy "
                "arrays, lists, tuples, sets and dicts are. Nothing in the "
                "file was executed. If you trust its source, load it with "
                "`pickle` and write plain values back.",
            ) from None
        except Exception as error:
            raise DataFileError(
                path,
                "it cannot be read as a pickle, so it is truncated or damaged "
                f"({type(error).__name__}: {error})",
            ) from error


class _NotPlain(Exception):
    """The name of something that is not read."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        # NumPy 2 renamed its private module, Python 3 the built-in one.
        module = module.replace("numpy._core", "numpy.core")
        module = {"__builtin__": "builtins"}.get(module, module)
        try:
            return PERMITTED[f"{module}.{name}"]
        except KeyError:
            raise _NotPlain(f"{module}.{name}") from None


class _Dtype:
    """Stands for `numpy.dtype`: reads its name and byte order only."""

    __slots__ = ("dtype",)

    def __init__(self, name):
        if not PLAIN_DTYPE.fullmatch(name):
            raise ValueError(f"the dtype {name!r} is not read")
        self.dtype = np.dtype("O" if name.startswith("O") else name)

    def __setstate__(self, state):
        if any(part is not None for part in state[2:5]):
            raise ValueError("structured dtypes are not read")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """Stands for `numpy.ndarray`: an array that checks what fills it."""

    def __setstate__(self, state):
        _, shape, dtype, fortran_order, values = state
        dtype = dtype.dtype
        if dtype.hasobject:
            complete = type(values) is list and len(values) == math.prod(shape)
        else:
            values = _as_bytes(values)
            complete = len(values) == math.prod(shape) * dtype.itemsize
        if not complete or any(size < 0 for size in shape):
            raise ValueError(f"an array of shape {shape} is incomplete")
        super().__setstate__((1, shape, dtype, bool(fortran_order), values))


class _Function:
    """A function whose attributes a pickle cannot replace."""

    __slots__ = ()


class _Reconstruct(_Function):
    """`numpy.core.multiarray._reconstruct`: arrays, protocols 0 to 4."""

    __slots__ = ()

    def __call__(self, subtype, shape, dtype):
        return _Array((0,), "int8")


class _FromBuffer(_Function):
    """`numpy.core.numeric._frombuffer`: arrays of numbers, protocol 5."""

    __slots__ = ()

    def __call__(self, buffer, dtype, shape, order, axis_order=None):
        array = np.frombuffer(_as_bytes(buffer), dtype.dtype).view(_Array)
        if order == "K" and axis_order is not None:
            return array.reshape(shape).transpose(axis_order)
        return array.reshape(shape, order=order)


class _Scalar(_Function):
    """`numpy.core.multiarray.scalar`."""

    __slots__ = ()

    def __call__(self, dtype, value=b""):
        dtype = dtype.dtype
        if dtype.hasobject or not dtype.itemsize:
            raise ValueError(f"a scalar of the dtype {dtype} is not read")
        return np.frombuffer(_as_bytes(value), dtype, 1)[0]


class _MakeDtype(_Function):
    """`numpy.dtype`; the flags of alignment and copying say nothing here."""

    __slots__ = ()

    def __call__(self, name, align=False, copy=False):
        return _Dtype(name)


class _Encode(_Function):
    """`_codecs.encode`, by which protocols 0 to 2 write bytes."""

    __slots__ = ()

    def __call__(self, text, encoding):
        if encoding not in ("latin1", "latin-1"):
            raise ValueError(f"the encoding {encoding!r} is not read")
        return text.encode("latin1")


def _as_bytes(value):
    """`value`, which Python 2 may have written as a string."""
    if isinstance(value, str):
        return value.encode("latin1")
    if isinstance(value, bytes | bytearray):
        return value
    raise ValueError(f"bytes are missing: {type(value).__name__}")


PERMITTED = {
    "numpy.ndarray": _Function(),  # Only named, as an argument.
    "numpy.dtype": _MakeDtype(),
    "numpy.core.multiarray._reconstruct": _Reconstruct(),
    "numpy.core.multiarray.scalar": _Scalar(),
    "numpy.core.numeric._frombuffer": _FromBuffer(),
    "_codecs.encode": _Encode(),
    "collections.OrderedDict": collections.OrderedDict,
    **{
        f"builtins.{kind.__name__}": kind
        for kind in (
            bool,
            int,
            float,
            complex,
            str,
            bytes,
            bytearray,
            list,
            tuple,
            dict,
            set,
            frozenset,
        )
    },
}
