"""What tells one teacher, and one data set, from another."""

import hashlib
import json
import re

import keras
import numpy as np

# Raised when stored values mean something else than before.
CACHE_VERSION = 1

# What the hash of a configuration begins with where there is none.
UNKNOWN = "class "

_SIZE = 8  # Bytes of the hash of a sample.
# What says how a network was made or trained, not what it computes.
_LEFT_OUT = ("build_config", "compile_config", "shared_object_id", "trainable")


def fingerprint(network, version, **settings):
    """What must be the same for outputs to be the same, a dict of text.

    Args:
        network: The teacher.
        version: What the user calls the preprocessing.
        **settings: What is stored, and how.
    """
    return {
        "weights": hash_weights(network),
        "configuration": hash_configuration(network),
        "version": str(version),
        "cache_version": str(CACHE_VERSION),
        **{name: json.dumps(value) for name, value in settings.items()},
    }


def hash_weights(network):
    """A hash of all weights in their order, without random states."""
    digest = hashlib.sha256()
    for variable in network.weights:
        value = keras.ops.convert_to_numpy(variable.value)
        if value.dtype.kind not in "iub":
            value = np.asarray(value, "float32")  # bfloat16, on any backend.
        head = f"{variable.name} {value.dtype} {value.shape} "
        digest.update(head.encode())
        digest.update(value.tobytes())
    return digest.hexdigest()[:32]


def hash_configuration(network):
    """A hash of the configuration; of the class where there is none.

    Names that Keras numbers, such as `dense_3`, depend on what was made
    before: they count by their order.
    """
    try:
        config = keras.saving.serialize_keras_object(network)
    except Exception:  # Whatever a class without `get_config` raises.
        config = None
    if config is None:
        kind = type(network)
        return f"{UNKNOWN}{kind.__module__}.{kind.__qualname__}"
    names = {}
    _collect(config, names)
    text = json.dumps(
        _plain(config, names),
        sort_keys=True,
        default=lambda value: type(value).__qualname__,
    )
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def hash_samples(inputs):
    """A hash of each sample of a nested dict of arrays, uint64 `(batch,)`.

    Numbers count by their value: float32 and float64, int32 and int64 are the
    same where their values are. Zeros at the end do not count, since a sequence
    may be padded to the longest of its batch.
    """
    leaves = [(path, _comparable(value)) for path, value in _flat(inputs)]
    head = repr([(p, v.dtype.str, v.shape[2:]) for p, v in leaves]).encode()
    start = hashlib.blake2b(head, digest_size=_SIZE)
    size = len(leaves[0][1])
    hashes = np.empty(size, "uint64")
    for row in range(size):
        digest = start.copy()
        for _, value in leaves:
            content = _bytes(value[row]).rstrip(b"\0")
            digest.update(len(content).to_bytes(8, "little") + content)
        hashes[row] = int.from_bytes(digest.digest(), "little")
    return hashes


def _collect(config, names):
    """Finds the names that Keras gave, in the order of their appearance."""
    if isinstance(config, dict):
        own = config.get("config")
        name = own.get("name") if isinstance(own, dict) else None
        kind = re.sub(r"_\d+$", "", name) if isinstance(name, str) else ""
        if kind and kind == _snake(str(config.get("class_name"))):
            names.setdefault(name, f"{kind}#{len(names)}")
        for key in sorted(config):
            _collect(config[key], names)
    elif isinstance(config, (list, tuple)):
        for value in config:
            _collect(value, names)


def _plain(config, names):
    if isinstance(config, dict):
        return {
            key: _plain(value, names)
            for key, value in config.items()
            if key not in _LEFT_OUT
        }
    if isinstance(config, (list, tuple)):
        return [_plain(value, names) for value in config]
    return names.get(config, config) if isinstance(config, str) else config


def _snake(name):
    """As Keras names a layer after its class."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _flat(value, path=""):
    if not isinstance(value, dict):
        yield path, np.asarray(value)
        return
    for key in sorted(value):
        yield from _flat(value[key], f"{path}/{key}")


def _comparable(value):
    if value.dtype.kind in "OSU":
        return value.astype(object)
    kinds = {"f": "<f4", "V": "<f4", "i": "<i8", "u": "<i8", "b": "<i8"}
    kind = kinds.get(value.dtype.kind, value.dtype)
    return np.ascontiguousarray(value, kind)


def _bytes(row):
    if isinstance(row, (np.ndarray, np.generic)) and row.dtype != object:
        return row.tobytes()
    texts = np.ravel(np.asarray(row, object)).tolist()
    texts = [t if isinstance(t, bytes) else str(t).encode() for t in texts]
    return b"".join(len(t).to_bytes(8, "little") + t for t in texts)
