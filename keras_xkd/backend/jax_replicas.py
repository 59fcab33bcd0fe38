"""Devices that share a batch, on JAX.

With `keras.distribution` a step sees the whole batch, and XLA moves what has
to be moved: there is one replica.
"""

import contextlib
import warnings

import jax
import keras
import numpy as np


def check_keras_distribution():
    """Raises where `keras.distribution` would do nothing. Here it works."""


def check_devices_of(variables):
    """Raises if variables are not where the distribution would have them."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        return
    count = int(np.size(distribution.device_mesh.devices))
    early = [v.path for v in variables if len(v.value.devices()) < count]
    if early:
        raise ValueError(
            "Set the distribution before the networks are made: "
            "`keras.distribution.set_distribution`. Received: a distribution "
            f"over {count} devices, and variables on fewer: {early[:3]}"
        )


def check_processes():
    """Warns where several processes would train by themselves."""
    processes = jax.process_count()
    if processes > 1 and keras.distribution.distribution() is None:
        warnings.warn(
            f"There are {processes} processes, but each trains by itself. Call "
            "`keras.distribution.set_distribution` before the networks are "
            "made.",
            stacklevel=2,
        )


def is_first_process():
    """Whether this process writes files."""
    return jax.process_index() == 0


@contextlib.contextmanager
def by_itself():
    """What this process does alone, such as to save a model.

    Keras makes variables for it, which with a distribution all processes
    would have to make.
    """
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


def replica_count():
    return 1


def gather(tensors):
    return tensors


def replica_total(*values):
    return values


def by_replica(fn, tensors):
    """`fn` of the samples of each device by themselves, in order.

    Args:
        fn: A function of tensors that returns one value per sample.
        tensors: A structure of tensors `(batch, ...)` or None.
    """
    groups = _data_shards()
    if groups == 1:
        return fn(tensors)

    def split(x):
        if x.shape[0] % groups:
            raise ValueError(
                f"A batch must be a multiple of the {groups} devices that "
                f"share it. Received: a batch of {x.shape[0]}"
            )
        return x.reshape(groups, x.shape[0] // groups, *x.shape[1:])

    values = jax.vmap(fn)(jax.tree.map(split, tensors))
    return values.reshape(-1)


def _data_shards():
    """How many parts `keras.distribution` cuts a batch into."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        return 1
    mesh = distribution.device_mesh
    axis = mesh.axis_names.index(distribution.batch_dim_name)
    return int(np.shape(mesh.devices)[axis])
