"""What a training step moves and computes when devices share a batch.

Closed forms. Collectives are rings, as in gloo and NCCL: all-gather hands the
rows of each device on to all others; all-reduce does it twice with a part of
the tensor for each device.
"""

import math

import keras

ITEM = 4  # Bytes of a float32.
# What a contrast gathers: the embeddings of the teacher and of the student.
TENSORS = 2


def gathered(devices, batch, width, tensors=TENSORS):
    """Bytes that each device sends for the rows of all.

    Args:
        devices: Number of devices.
        batch: Rows of each device.
        width: Numbers in a row.
        tensors: Tensors that are gathered.

    Example:

    >>> gathered(devices=3, batch=32, width=128)
    65536
    """
    return (devices - 1) * tensors * batch * width * ITEM


def reduced(devices, parameters):
    """Bytes that each device sends for the sum of all gradients.

    Example:

    >>> reduced(devices=2, parameters=1000)
    4000.0
    """
    return 2 * (devices - 1) * parameters * ITEM / devices


def remaining(devices):
    """Bytes that each device sends beside: how many samples it has.

    Before the gather, 8 bytes to each other, and before the gradients, 4 bytes
    that are added up.
    """
    return (devices - 1) * 8 + 2 * (devices - 1) * 4 / devices


def gather_exceeds(parameters, batch, width):
    """The least number of devices whose gather moves more than the gradients.

    `gathered > reduced` where `devices * batch * width > parameters`.

    Example:

    >>> gather_exceeds(parameters=10_000, batch=32, width=64)
    5
    """
    return max(2, parameters // (batch * width) + 1)


def matrix_operations(rows, width, chunks=False):
    """Operations of the products of the similarity matrix, on every device.

    Forward, and backward to the student's embeddings. In chunks, rows and
    columns are computed apart, and both once more for the backward pass.
    Softmax is not counted: it takes few operations, but the time to read the
    matrix.
    """
    return (12 if chunks else 4) * rows**2 * width


def network_operations(forward, batch):
    """Operations of the networks on a device: a student, which takes three
    times its forward pass, and a frozen teacher like it."""
    return 4 * forward * batch


def peak_devices(forward, batch, width, chunks=False):
    """The number of devices with the highest throughput.

    `n` devices with batch `b` train `n b` samples in a time proportional to
    `A + G n + C n^2`: networks and gradients, the gather, the matrix. The
    throughput is highest where `C n^2 = A`, whatever `G` is; from there on,
    more devices train fewer samples in a second. `A` here are operations
    only, without gradients, which do not depend on `n` as long as it is large.

    Args:
        forward: Operations of a forward pass for one sample.
        batch: Rows of each device.
        width: Numbers in a row.
        chunks: Whether the loss has a `chunk_size`.
    """
    matrix = matrix_operations(batch, width, chunks)
    return math.sqrt(network_operations(forward, batch) / matrix)


def speedup(devices, forward, batch, width):
    """Samples in a second by `devices`, relative to one without a matrix."""
    return devices / (1 + (devices / peak_devices(forward, batch, width)) ** 2)


def forward_operations(model):
    """Operations of the matrix products of a forward pass for one sample.

    Args:
        model: A functional model of dense layers, convolutions and attention;
            other layers count nothing.
    """
    return sum(_operations(layer) for layer in model.layers)


def _operations(layer):
    sizes = {
        v.path: math.prod(v.shape) for v in layer.weights if v.name == "kernel"
    }
    if isinstance(layer, keras.layers.MultiHeadAttention):
        length = layer.output.shape[1]
        # Each position with each other, for the weights and for the values.
        width = layer.num_heads * (layer.key_dim + layer.value_dim)
        return 2 * sum(sizes.values()) * length + 2 * length**2 * width
    if isinstance(layer, (keras.layers.Dense, keras.layers.Conv2D)):
        (size,) = sizes.values()
        positions = math.prod(layer.output.shape[1:]) // layer.kernel.shape[-1]
        return 2 * size * positions
    return 0
