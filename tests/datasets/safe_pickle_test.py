import collections
import pickle
import struct

import numpy as np
import pytest

from keras_xkd.datasets import DataFileError
from keras_xkd.datasets import safe_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def write(folder, value, protocol=4):
    path = folder / "data.pkl"
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


class Call:
    """Pickled as the call of a function."""

    def __init__(self, function, *arguments, state=None):
        self.reduced = function, arguments, state

    def __reduce__(self):
        return self.reduced


VALUES = {
    "numbers": [0, -1, 2**70, 0.5, 1j, True, None],
    "containers": [(1, (2, [3])), {"a": {4}}, {5, 6}, frozenset([7])],
    "bytes": [b"", b"\x00\xff", bytearray(b"ab")],
    "text": ["", "naïve 日本", "x" * 70000],
    "ordered": collections.OrderedDict(b=1, a=2),
}
ARRAYS = {
    "float64": np.arange(24.0).reshape(2, 3, 4),
    "float32": np.array([[np.nan, -np.inf]], "float32"),
    "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "permuted": np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
    "strided": np.arange(10)[::3],
    "big_endian": np.arange(5, dtype=">i4"),
    "bool": np.array([True, False]),
    "float16": np.array([0.5], "float16"),
    "scalar_array": np.array(3.0),
    "empty": np.zeros((0, 4)),
    "text": np.array(["a", "日本"]),
    "bytes": np.array([[b"2iD-tVS8NPw_1", b"0.5"]]),
    "objects": np.array(["a", "日本", 3, None], object),
    "complex": np.array([1 + 2j]),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_values(tmp_path, protocol):
    got = safe_pickle.load(write(tmp_path, VALUES, protocol))
    assert got == VALUES
    assert list(got["ordered"]) == ["b", "a"]
    assert [type(v) for v in got["bytes"]] == [bytes, bytes, bytearray]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays(tmp_path, protocol):
    # The same array twice stays the same object.
    value = ARRAYS | {"again": ARRAYS["float64"]}
    path = write(tmp_path, value, protocol)
    got = safe_pickle.load(path)
    trusted = pickle.loads(path.read_bytes())
    assert set(got) == set(value)
    assert got["again"] is got["float64"]
    for name, array in value.items():
        assert isinstance(got[name], np.ndarray), name
        plain = np.asarray(got[name])
        assert type(plain) is np.ndarray
        assert plain.dtype == trusted[name].dtype, name
        assert plain.shape == array.shape, name
        np.testing.assert_array_equal(plain, array, err_msg=name)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numpy_scalars(tmp_path, protocol):
    values = [np.float32(1.5), np.int64(-3), np.bool_(True), np.str_("ab")]
    got = safe_pickle.load(write(tmp_path, values, protocol))
    assert got == values
    assert [type(v) for v in got] == [type(v) for v in values]


def python2_pickle():
    """What Python 2 with NumPy 1 wrote for `{'id': ..., 'audio': ...}`."""
    numbers = np.array([[1.5, -2.0]])
    return (
        b"\x80\x02}q\x00(U\x02idq\x01U\x05caf\xc3\xa9q\x02U\x05audioq\x03"
        b"cnumpy.core.multiarray\n_reconstruct\nq\x04cnumpy\nndarray\nq\x05"
        b"K\x00\x85U\x01b\x87Rq\x06(K\x01K\x01K\x02\x86cnumpy\ndtype\nq\x07"
        b"U\x02f8K\x00K\x01\x87Rq\x08(K\x03U\x01<NNNJ\xff\xff\xff\xffJ"
        b"\xff\xff\xff\xffK\x00tb\x89U\x10" + numbers.tobytes() + b"tbu."
    )


def test_python2(tmp_path):
    path = tmp_path / "old.pkl"
    path.write_bytes(python2_pickle())
    got = safe_pickle.load(path)
    np.testing.assert_array_equal(got["audio"], [[1.5, -2.0]])
    # Bytes and text were one type: Latin-1 loses nothing.
    assert got["id"].encode("latin1").decode() == "café"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_executes_nothing(tmp_path, protocol):
    target = tmp_path / "created"
    path = write(tmp_path, [1, Call(open, str(target), "w")], protocol)
    with pytest.raises(DataFileError, match="io.open") as info:
        safe_pickle.load(path)
    assert info.value.path == str(path)
    assert not target.exists()
    # The file was dangerous indeed.
    pickle.loads(path.read_bytes())[1].close()
    assert target.exists()


@pytest.mark.parametrize(
    "function, arguments, name",
    [
        (eval, ("1",), "builtins.eval"),
        (getattr, ({}, "keys"), "builtins.getattr"),
        (__import__, ("os",), "builtins.__import__"),
        (np.load, ("x",), "numpy.load"),
        (np.memmap, ("x",), "numpy.memmap"),
        (collections.defaultdict, (list,), "collections.defaultdict"),
        (pickle.loads, (b"N.",), "pickle.loads"),
    ],
)
def test_names_what_it_refuses(tmp_path, function, arguments, name):
    path = write(tmp_path, Call(function, *arguments))
    with pytest.raises(DataFileError, match=name):
        safe_pickle.load(path)


def test_refuses_attributes_of_what_it_permits(tmp_path):
    # Protocol 4 may name `dict.fromkeys`, a path of attributes.
    path = write(tmp_path, Call(dict.fromkeys, [1]))
    with pytest.raises(DataFileError):
        safe_pickle.load(path)


def reconstruct(state):
    array = np.zeros(0).__reduce__()
    return Call(array[0], *array[1], state=state)


def dtype(name, flags=0, state=None):
    state = state or (3, "|", None, None, None, -1, -1, flags)
    return Call(np.dtype, name, False, True, state=state)


FORGED = {
    # With `pickle.load` these bytes become pointers to objects.
    "pointers": reconstruct((1, (2,), dtype("O8"), False, b"\x10" * 16)),
    "too_few_bytes": reconstruct((1, (1000,), dtype("i1"), False, b"ab")),
    "overflow": reconstruct((1, (2**62, 4), dtype("f8"), False, b"")),
    "negative": reconstruct((1, (-1, -8), dtype("i1"), False, b"12345678")),
    "few_objects": reconstruct((1, (5,), dtype("O8"), False, ["a"])),
    "not_a_dtype": reconstruct((1, (1,), "O8", False, ["a"])),
    "structured": dtype(
        "V8", state=(3, "|", None, ("a",), {"a": ("f8", 0)}, 8, 1, 16)
    ),
    "code_as_dtype": dtype("O,O"),
    "long_dtype": dtype("S99999999999999999999"),
    "object_scalar": Call(np.float32(1).__reduce__()[0], dtype("O8"), b"12"),
    "attribute": Call(np.dtype, "f8", state=(None, {"dtype": "O8"})),
    "function_attribute": Call(
        set, state=(None, {"__class__": "x", "add": "y"})
    ),
    "codec": Call(__import__("_codecs").encode, "a", "zlib_codec"),
    "persistent": None,
    "memory": Call(bytes, 2**62),
    "hash": Call(set, [[1]]),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged(tmp_path, name):
    path = write(tmp_path, FORGED[name], 2)
    if name == "persistent":
        path.write_bytes(b"Pname\n.")
    with pytest.raises(DataFileError) as info:
        safe_pickle.load(path)
    assert info.value.path == str(path)


def test_functions_cannot_be_replaced(tmp_path):
    # `BUILD` sets attributes of whatever is on the stack.
    for name in (b"numpy\ndtype", b"_codecs\nencode", b"numpy\nndarray"):
        path = tmp_path / "forged.pkl"
        key = b"X" + struct.pack("<I", 8) + b"__call__"
        path.write_bytes(b"\x80\x02c" + name + b"\nN}" + key + b"K\x01s\x86b.")
        with pytest.raises(DataFileError):
            safe_pickle.load(path)
    path = write(tmp_path, ARRAYS["float64"])
    np.testing.assert_array_equal(safe_pickle.load(path), ARRAYS["float64"])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_truncated(tmp_path, protocol):
    content = write(tmp_path, ARRAYS, protocol).read_bytes()
    path = tmp_path / "cut.pkl"
    for size in (1, 10, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(DataFileError, match="cut.pkl: .*truncated"):
            safe_pickle.load(path)


def test_no_pickle(tmp_path):
    path = tmp_path / "data.pkl"
    with pytest.raises(DataFileError, match="missing"):
        safe_pickle.load(path)
    path.write_bytes(b"")
    with pytest.raises(DataFileError, match="empty"):
        safe_pickle.load(path)
    path.write_bytes(b"<html>Quota exceeded</html>")
    with pytest.raises(DataFileError, match="damaged"):
        safe_pickle.load(path)
