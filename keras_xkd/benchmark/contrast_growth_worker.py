"""The worker of `contrast_growth`: one step of a loss, for sizes that grow.

Forward and backward pass of the loss alone, without networks. Run by
`keras_xkd.benchmark.backends_link.Worker`.
"""

import statistics
import time

import keras
import numpy as np
from keras import ops

from keras_xkd import losses
from keras_xkd.benchmark import backends_device
from keras_xkd.benchmark import peak_memory
from keras_xkd.benchmark.backends_worker import serve_parent
from keras_xkd.benchmark.contrast_growth_names import QUEUE_BATCH
from keras_xkd.benchmark.contrast_growth_names import QUEUES

CLASSES = {
    "info_nce": losses.InfoNCE,
    "cross_modal_contrast": losses.CrossModalContrast,
    "nt_xent": losses.NTXent,
    "similarity_distribution": losses.SimilarityDistribution,
    "probabilistic_transfer": losses.ProbabilisticTransfer,
    "contrastive_representation": losses.ContrastiveRepresentation,
}
# Steps shorter than this are repeated, after one that warms up.
LONG = 10.0


class Growth:
    """What the worker is asked to do. Each method is an action."""

    def describe(self):
        """Where this runs."""
        return backends_device.describe()

    def choose(self, loss, chunk, width):
        """Chooses a loss and its form: `chunk` rows at a time, or `None`."""
        self.loss, self.chunk, self.width = loss, chunk, width
        if keras.backend.backend() == "tensorflow":
            # Loads what any step needs.
            _step(*self._problem(2))[0]()
        self.before = backends_device.host_peak()
        return {}

    def measure(self, size, limit, expected=0.0, patience=1.0):
        """Seconds and bytes of one step.

        Args:
            size: Rows of the batch, or of the queue.
            limit: Bytes. On JAX, where the compiler knows what a step will
                take, one that takes more does not run: `seconds` is `None`.
            expected: Seconds that the step is expected to take.
            patience: Seconds to spend on repeating a short step.
        """
        step, needs = _step(*self._problem(size))
        if needs is not None and needs > limit:
            return {"seconds": None, "bytes": needs}
        seconds = []
        if expected < LONG:
            step()  # Warms up.
        if needs is None:
            start = time.perf_counter()
            _, needs = peak_memory.peak(step, self.before)
            if expected >= LONG:  # What the measurement adds is little then.
                seconds.append(time.perf_counter() - start)
        while not seconds or (sum(seconds) < patience and len(seconds) < 20):
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
        return {"seconds": statistics.median(seconds), "bytes": needs}

    def _problem(self, size):
        """A scalar function, its arguments, and which of them are learned."""
        rng = np.random.default_rng(0)
        queue = self.loss in QUEUES
        shape = (QUEUE_BATCH if queue else size, self.width)
        t, s = rng.normal(size=(2, *shape)).astype("float32")
        make = CLASSES[self.loss.removesuffix("_queue")]
        if not queue:
            loss = make(chunk_size=self.chunk)
            learned = (0, 1) if loss.moves_teacher else (1,)
            return lambda t, s: ops.mean(loss.call(t, s)), (t, s), learned
        width = {"embedding_dim": self.width}
        if make is losses.SimilarityDistribution:
            width = {}
        loss = make(chunk_size=self.chunk, queue=size, **width)
        layer = loss.companion(shape, shape)
        fixed, state = (
            [ops.convert_to_numpy(v) for v in variables]
            for variables in (
                layer.trainable_variables,
                layer.non_trainable_variables,
            )
        )
        state = [
            unit_rows(rng, v.shape) if v.shape == (size, self.width) else v
            for v in state
        ]

        def total(t, s, *state):
            values, _ = layer.stateless_call(
                fixed, list(state), t, s, training=True
            )
            return ops.mean(values)

        return total, (t, s, *state), (1,)


def unit_rows(rng, shape):
    """Random rows of length one: a queue that is full."""
    rows = rng.normal(size=shape).astype("float32")
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _step(function, arrays, learned):
    """A function that runs a step, and the bytes that it takes, if known."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        arrays = [jax.device_put(a) for a in arrays]
        gradient = jax.value_and_grad(function, argnums=learned)
        compiled = jax.jit(gradient).lower(*arrays).compile()
        found = compiled.memory_analysis()
        needs = found.temp_size_in_bytes + found.output_size_in_bytes
        return lambda: jax.block_until_ready(compiled(*arrays)), needs
    if backend == "torch":
        import torch

        tensors = [ops.convert_to_tensor(a) for a in arrays]
        moved = [tensors[i].requires_grad_() for i in learned]

        def step():
            torch.autograd.grad(function(*tensors), moved)
            if tensors[0].is_cuda:
                torch.cuda.synchronize()

        return step, None
    import tensorflow as tf

    tensors = [tf.constant(a) for a in arrays]

    @tf.function
    def gradients(*tensors):
        moved = [tensors[i] for i in learned]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(moved)
            total = function(*tensors)
        return tape.gradient(total, moved)

    gradients = gradients.get_concrete_function(*tensors)
    return lambda: [g[0].numpy() for g in gradients(*tensors)], None


if __name__ == "__main__":
    serve_parent(Growth())
