"""Helpers that the tests of every area share."""

import json
import os
import pathlib

import keras
import numpy as np

GOLDEN = pathlib.Path(__file__).parent / "golden" / "numbers.json"


def to_numpy(x):
    """A NumPy array from a tensor of any backend, without its gradient."""
    return keras.ops.convert_to_numpy(keras.ops.stop_gradient(x))


def gradient(fn, *arrays):
    """Gradients of the scalar `fn(*tensors)` as NumPy, on any backend."""
    arrays = [np.asarray(a, "float32") for a in arrays]
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        grads = jax.grad(fn, argnums=tuple(range(len(arrays))))(*arrays)
    elif backend == "tensorflow":
        import tensorflow as tf

        tensors = [tf.constant(a) for a in arrays]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = fn(*tensors)
        grads = tape.gradient(
            value, tensors, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
    else:
        import torch

        tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
        grads = torch.autograd.grad(
            fn(*tensors), tensors, allow_unused=True, materialize_grads=True
        )
    return [to_numpy(g) for g in grads]


def assert_golden(key, value, rtol=1e-4, atol=1e-6):
    """Compares with `golden/numbers.json`, the same on every backend.

    Set `UPDATE_GOLDEN=1` to write the value instead; do so on one backend and
    run the tests on the others.
    """
    numbers = json.loads(GOLDEN.read_text())
    value = np.asarray(value, "float64")
    if os.environ.get("UPDATE_GOLDEN"):
        numbers[key] = np.round(value, 7).tolist()
        GOLDEN.write_text(json.dumps(numbers, indent=1, sort_keys=True) + "\n")
    np.testing.assert_allclose(
        value, numbers[key], rtol=rtol, atol=atol, err_msg=key
    )
