"""The worker of the comparison of backends: trains when it is told to.

Run by `keras_xkd.benchmark.backends_link.Worker`, with the backend in the
environment. A request is a line of JSON, `{"action": ..., ...}`, the answer is
one too: what the function of that name returns, or `{"error": ...}`.
"""

import importlib.metadata
import importlib.util
import json
import os
import sys
import time
import traceback

import keras
import numpy as np

from keras_xkd.benchmark import backends_device
from keras_xkd.benchmark import workloads

# Of the environment, what changes the speed.
VARIABLES = (
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "XLA_FLAGS",
    "TF_XLA_FLAGS",
    "JAX_PLATFORMS",
)


class Clock(keras.callbacks.Callback):
    """Seconds that an epoch takes, from the beginning of its first step.

    The end of an epoch waits for the results. The end of a step must not be
    asked for here: Keras would wait for the results after every step, which
    `fit` alone does not do.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self.start = None

    def on_train_batch_begin(self, batch, logs=None):
        if self.start is None:
            self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds = time.perf_counter() - self.start


class Trainer:
    """What a worker is asked to do. Each method is an action."""

    def describe(self):
        """Versions and device."""
        backend = keras.backend.backend()
        return {
            "backend": backend,
            "version": importlib.metadata.version(backend),
            "device": backends_device.describe(),
            "image_data_format": keras.config.image_data_format(),
            "environment": {
                name: os.environ[name]
                for name in VARIABLES
                if name in os.environ
            },
        }

    def prepare(
        self,
        method,
        size,
        seed,
        batches,
        tests,
        dtype="float32",
        batch_size=None,
        **options,
    ):
        """Networks, data and weights from the seed; nothing is trained.

        Args:
            method, size, seed: What `workloads.make` makes.
            batches: Number of batches of training data.
            tests: Number of samples after them, for `evaluate`.
            dtype: Name of a dtype policy.
            batch_size: Samples in a batch, by default that of the size.
            **options: Further arguments of `workloads.make`.
        """
        start = time.perf_counter()
        imported = backends_device.host_peak()
        keras.utils.clear_session()
        keras.config.set_dtype_policy(dtype)
        keras.utils.set_random_seed(seed)
        if not batch_size:
            shapes = workloads.TINY if options.get("tiny") else workloads.FULL
            batch_size = shapes[size].batch_size
        self.rows = batches * batch_size
        samples = self.rows + tests
        self.work = workloads.make(
            method, size, seed, batch_size, samples, **options
        )
        self.done = 0
        return {
            "seconds": time.perf_counter() - start,
            "parameters": self.work.distiller.count_params(),
            "batch_size": batch_size,
            "host_memory": imported,
        }

    def train(self, steps):
        """Trains on the next batches; the data comes round in its order."""
        work, clock = self.work, Clock()
        numbers = self.done * work.batch_size + np.arange(
            steps * work.batch_size
        )
        x, y = self._take(numbers % self.rows)
        history = work.distiller.fit(
            x,
            y,
            batch_size=work.batch_size,
            shuffle=False,
            verbose=0,
            callbacks=[clock],
        )
        self.done += steps
        return {
            "steps": steps,
            "seconds": clock.seconds,
            "loss": float(history.history["loss"][0]),
        }

    def evaluate(self):
        """Accuracy on samples that were not trained on, and memory."""
        rows = np.arange(len(self.work.labels))
        seen, new = rows[: self.rows], rows[self.rows :]
        correct = self._classes(seen, new) == self.work.labels[new]
        return {
            "accuracy": float(correct.mean()),
            "host_memory": backends_device.host_peak(),
            "device_memory": backends_device.device_peak(),
        }

    def _classes(self, seen, new):
        """What the student says; without a head, the class of nearest mean."""
        outputs = self._predict(new)
        if not isinstance(outputs, dict):  # The logits themselves.
            return outputs.argmax(axis=-1)
        if "logits" in outputs:
            return outputs["logits"].argmax(axis=-1)
        features = self._predict(seen)["features"].astype("float32")
        labels = self.work.labels[seen]
        classes = np.unique(labels)
        means = [features[labels == c].mean(axis=0) for c in classes]
        away = outputs["features"][:, None] - np.stack(means)
        return classes[np.linalg.norm(away, axis=-1).argmin(axis=-1)]

    def _predict(self, rows):
        x, _ = self._take(rows)
        return self.work.distiller.predict(
            x, batch_size=self.work.batch_size, verbose=0
        )

    def _take(self, rows):
        work = self.work
        x = {name: value[rows] for name, value in work.x.items()}
        return x, None if work.y is None else work.y[rows]


def serve(actions, requests, answers):
    """Answers every request until there are no more.

    Args:
        actions: An object whose methods are the actions.
        requests: A stream of lines to read.
        answers: A stream to write to.
    """
    for line in requests:
        request = json.loads(line)
        try:
            answer = getattr(actions, request.pop("action"))(**request)
        except Exception as error:
            # The whole of it goes where the parent finds it.
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def serve_parent(actions):
    """Serves the process that started this one."""
    # The answers have a pipe of their own; whatever else is printed goes with
    # the errors, also by libraries in C.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(actions, sys.stdin, answers)


def main():
    if importlib.util.find_spec("tensorflow"):
        # Keras imports it in `fit`, where it would count as compilation.
        importlib.import_module("tensorflow")
    serve_parent(Trainer())


if __name__ == "__main__":
    main()
