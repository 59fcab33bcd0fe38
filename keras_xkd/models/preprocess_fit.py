"""Arrays in the form, and under the names, of the inputs of an encoder."""

import numpy as np

MASK = "padding_mask"


def split_mask(raw, named, name):
    """Raw data and the mask that they came with.

    Args:
        raw: `{"frames": values, "padding_mask": mask}`.
        named: The inputs of the encoder, which must have a mask.
        name: Its name, for errors.
    """
    if set(raw) != {"frames", MASK}:
        raise ValueError(
            f"'{name}' preprocesses an array, or a dict of 'frames' and "
            f"'{MASK}'. Received: a dict of {sorted(raw)}"
        )
    if not any(key.endswith(MASK) for key in named):
        raise ValueError(
            f"'{name}' reads no mask and would take padding for data. Make it "
            "with `mask=True`, or load the data without a mask. Received: a "
            f"dict of {sorted(raw)}"
        )
    return raw["frames"], np.asarray(raw[MASK]).astype("bool")


def check_mask(there, values):
    """Raises unless a mask has an entry for each position of the values."""
    if there.shape != values.shape[:2]:
        raise ValueError(
            f"'{MASK}' must have the shape {values.shape[:2]}, one entry for "
            f"each frame or sample. Received: shape {there.shape}"
        )


def by_name(found, named):
    """Values and their mask under the names of the inputs."""
    values, mask = found if isinstance(found, tuple) else (found, None)
    arrays = {}
    for name in named:
        if name.endswith(MASK):
            if mask is not None:
                arrays[name] = mask
        elif name == "segment_ids":
            arrays[name] = np.zeros_like(values)
        else:
            arrays[name] = values
    return arrays


def fit(array, tensor, where):
    """An array with the type of a symbolic input, if its shape is possible."""
    array = np.asarray(array)
    dtype = str(tensor.dtype)
    if "float" in dtype:
        dtype = "float32"  # NumPy has no bfloat16; the encoder casts.
    array = array.astype(dtype, copy=False)
    rank = len(tensor.shape)
    if array.ndim == rank - 1 and tensor.shape[-1] == 1:
        array = array[..., None]
    elif array.ndim == rank + 1 and array.shape[-1] == 1:
        array = array[..., 0]
    fits = array.ndim == rank and all(
        n in (None, m) for n, m in zip(tensor.shape, array.shape)
    )
    if not fits:
        raise ValueError(
            f"{where} reads the shape {tuple(tensor.shape)}. Received: data "
            f"that have the shape {array.shape} after preprocessing"
        )
    return array
