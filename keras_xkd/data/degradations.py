"""How `degrade` makes the arrays of a modality worse."""

import zlib

import numpy as np

DEGRADATIONS = ("noise", "resolution")


def block_average(name, values, resolution):
    shape = values.shape[1:]
    if isinstance(resolution, (int, np.integer)):
        channel = len(shape) > 1 and shape[-1] == 1
        resolution = (int(resolution),) * (len(shape) - channel)
    resolution = tuple(resolution) + shape[len(resolution) :]
    if len(resolution) != len(shape) or any(
        r < 1 or size % r for r, size in zip(resolution, shape)
    ):
        raise ValueError(
            f"The resolution of '{name}' must divide its shape {shape}. "
            f"Received: {resolution}"
        )
    for axis, (r, size) in enumerate(zip(resolution, shape), 1):
        before, after = values.shape[:axis], values.shape[axis + 1 :]
        values = values.reshape(before + (r, size // r) + after).mean(axis + 1)
        values = np.repeat(values, size // r, axis)
    return values


def add_noise(name, values, strength, std, seed):
    if not is_number(strength) or strength < 0:
        raise ValueError(
            f"The noise of '{name}' must be a number that is not negative. "
            f"Received: {strength!r}"
        )
    noise = generator_of(name, seed).standard_normal(values.shape)
    dtype = np.result_type(values.dtype, "float32")
    return (values + strength * std * noise).astype(dtype)


def generator_of(name, seed):
    """A generator of its own for each modality, whatever the others do."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def is_number(value):
    return isinstance(value, (int, float, np.number)) and not isinstance(
        value, bool
    )
