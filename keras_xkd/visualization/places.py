"""The tensor of a network's inputs that an explanation is about."""

import keras

from keras_xkd.utils.graph import input_structure
from keras_xkd.utils.graph import output_structure
from keras_xkd.utils.modalities import RESERVED


def choose(network, inputs, names, modality):
    """The keys that lead to a floating tensor of a modality, as a tuple.

    Args:
        network: The network.
        inputs: What it reads, in its own structure.
        names: The names of its modalities, as far as they are known.
        modality: Name of one, keys that lead to a tensor, or None.
    """
    found = {}
    for path in _paths(inputs):
        key = path[0] if path else 0
        if isinstance(key, int):  # A list, or a bare tensor.
            key = names[key] if names else "x"
        if key not in RESERVED:
            found.setdefault(key, []).append(path)
    if modality is None:
        able = [n for n, p in found.items() if _floating(network, inputs, p)]
        if len(able) != 1 and len(found) > 1:
            raise ValueError(
                f"'{network.name}' reads {sorted(found)}, of which "
                f"{sorted(able)} can be explained: say by `modality` which is "
                "meant. Received: modality=None"
            )
        modality = (able or list(found))[0]
    keys = (modality,) if isinstance(modality, str) else tuple(modality)
    if not keys or keys[0] not in found:
        raise ValueError(
            f"`modality` must be one of {sorted(found)}, which "
            f"'{network.name}' reads. Received: modality={modality!r}"
        )
    paths = [p for p in found[keys[0]] if p[1 : len(keys)] == keys[1:]]
    if not paths:
        known = [(keys[0], *p[1:]) for p in found[keys[0]]]
        raise ValueError(
            f"`modality` must lead to a tensor: one of {known}. "
            f"Received: modality={modality!r}"
        )
    floating = _floating(network, inputs, paths)
    if not floating:
        kinds = {
            "/".join(map(str, (keys[0], *p[1:]))): _dtype(get(inputs, p))
            for p in found[keys[0]]
        }
        raise ValueError(
            "Only floating-point inputs have a gradient, which integers such "
            "as token ids have not. Convert pixels by "
            f"`x.astype('float32')`. Received: modality={modality!r} of "
            f"'{network.name}' with {kinds}"
        )
    ranks = [len(get(inputs, path).shape) for path in floating]
    largest = [p for p, n in zip(floating, ranks) if n == max(ranks)]
    if len(largest) > 1:
        raise ValueError(
            f"Several tensors of {modality!r} can be explained. Name one of "
            f"{[(keys[0], *path[1:]) for path in largest]} as `modality`. "
            f"Received: modality={modality!r}"
        )
    return largest[0]


def get(inputs, path):
    """The entry that the keys `path` lead to."""
    for key in path:
        inputs = inputs[key]
    return inputs


def put(inputs, path, value):
    """The same structure with another entry in one place."""
    if not path:
        return value
    inner = put(inputs[path[0]], path[1:], value)
    if isinstance(inputs, dict):
        return {**inputs, path[0]: inner}
    return [inner if i == path[0] else v for i, v in enumerate(inputs)]


def _paths(inputs, path=()):
    if isinstance(inputs, dict):
        for key in inputs:
            yield from _paths(inputs[key], (*path, key))
    elif isinstance(inputs, (list, tuple)):
        for index, value in enumerate(inputs):
            yield from _paths(value, (*path, index))
    else:
        yield path


def _floating(network, inputs, paths):
    """Those of the paths that lead to tensors which can be differentiated.

    Pixels may come as integers where a network declares a floating input.
    """
    found = []
    for path in paths:
        kinds = {_dtype(get(inputs, path))}
        if output_structure(network) is not None:
            try:
                kinds = {_dtype(get(input_structure(network), path))}
            except (KeyError, IndexError, TypeError):
                pass  # It reads more than it declares.
        if all(keras.backend.is_float_dtype(kind) for kind in kinds):
            found.append(path)
    return found


def _dtype(tensor):
    return keras.backend.standardize_dtype(tensor.dtype)
