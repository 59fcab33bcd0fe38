"""What data are: shapes, data types and numbers, without reading them."""

import types
from typing import Any

import keras

NAMES = ("x", "y", "sample_weight")


def specification(data: Any) -> Any:
    """`(shape, dtype)` in the place of every tensor.

    Example:

    >>> import numpy as np
    >>> specification({"audio": np.zeros((8, 4), "float32")})
    {'audio': ((8, 4), 'float32')}
    """
    if isinstance(data, dict):
        return {key: specification(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)) and _has_arrays(data):
        return [specification(value) for value in data]
    if data is None:
        return None
    shape = getattr(data, "shape", ())
    dtype = getattr(data, "dtype", None) or type(data).__name__
    try:
        dtype = keras.backend.standardize_dtype(dtype)
    except ValueError:  # Of objects, or of texts.
        dtype = str(dtype)
    return tuple(shape), dtype


def seen(x: Any, y: Any, sample_weight: Any) -> types.SimpleNamespace:
    """The specification of a batch; not a list, which Keras would track."""
    found = specification([x, y, sample_weight])
    return types.SimpleNamespace(specification=found)


def rows(found: Any, main: str = "x") -> list[list[str]]:
    """`[name, shape, dtype]` of each tensor of a specification.

    The parts of `x` are named by their keys, the first axis is left out.

    Args:
        found: The specification of `(x, y, sample_weight)`, or of `x`.
        main: The name of `x` if it is a single tensor.
    """
    parts = found if isinstance(found, list) else [found]
    lines = []
    for name, part in zip((main, *NAMES[1:]), parts):
        under = "" if isinstance(part, dict) and name == main else name
        for path, shape, dtype in _leaves(part, under):
            size = " × ".join("?" if s is None else str(s) for s in shape[1:])
            lines.append([path, size or "one number", dtype])
    return lines


def sizes(data: Any) -> dict[str, Any]:
    """Numbers of samples and batches, as far as they are known."""
    kind = {"kind": type(data).__name__}
    if isinstance(data, (dict, list, tuple)) or hasattr(data, "dtype"):
        leaves = keras.tree.flatten(data)
        shapes = [
            leaf.shape for leaf in leaves if len(getattr(leaf, "shape", ()))
        ]
        return {"kind": "arrays", "samples": shapes and int(shapes[0][0])}
    try:
        count = (
            int(data.cardinality())
            if hasattr(data, "cardinality")
            else len(data)
        )
    except (TypeError, ValueError):
        return kind
    return kind | ({"batches": count} if count > 0 else {})


def _leaves(found, name):
    if isinstance(found, dict):
        for key, value in found.items():
            yield from _leaves(value, f"{name} {key}".strip())
    elif isinstance(found, list):
        for index, value in enumerate(found):
            yield from _leaves(value, f"{name} {index}".strip())
    elif found is not None:
        yield name, *found


def _has_arrays(data):
    return any(
        hasattr(value, "shape") or isinstance(value, (dict, list, tuple))
        for value in data
        if value is not None
    )
