"""What a frozen teacher adds to the memory of a training step, on PyTorch."""

import pathlib

import keras
import numpy as np
from keras import layers

from keras_xkd.benchmark import record
from keras_xkd.benchmark.table import table
from keras_xkd.distillers import CrossModalDistiller


class _WithGraph(CrossModalDistiller):
    """The mistake to compare with: the teacher runs like a trained network."""

    def ask(self, role, x):
        return self.run(role, x, training=False)


def make(method, teacher_width=512, teacher_depth=8):
    """A small student and a large teacher."""

    def network(modality, width, depth):
        inputs = keras.Input((32,), name=modality)
        x = inputs
        for _ in range(depth):
            x = layers.Dense(width, activation="relu")(x)
        return keras.Model(inputs, layers.Dense(10)(x))

    distiller = method(
        student=network("audio", 32, 2),
        teacher=network("image", teacher_width, teacher_depth),
    )
    distiller.compile("sgd", "sparse_categorical_crossentropy")
    return distiller


def saved_bytes(distiller, batch_size=256):
    """Bytes of activations that one step keeps for its backward pass.

    Weights do not count: they are there anyway. PyTorch only.
    """
    import torch

    x = {m: np.ones((batch_size, 32), "float32") for m in ("audio", "image")}
    y = np.zeros(batch_size, "int32")
    weights = {v.value.data_ptr() for v in distiller.variables}
    kept = {}

    def pack(tensor):
        if tensor.data_ptr() not in weights:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        distiller.train_on_batch(x, y)
    return sum(kept.values())


def compare():
    """Bytes kept for the backward pass: with our teacher and with a graph."""
    return {
        "frozen": saved_bytes(make(CrossModalDistiller)),
        "with_graph": saved_bytes(make(_WithGraph)),
    }


def run(seeds, output, quick=False, arguments=("benchmark", "teacher-memory")):
    """Prints and writes the comparison; there is nothing random in it."""
    if keras.backend.backend() != "torch":
        raise SystemExit(
            "This benchmark counts what PyTorch keeps for the backward pass. "
            "Run it with `--backend torch`."
        )
    results = compare()
    titles = {"frozen": "`ask`, frozen", "with_graph": "run like the student"}
    rows = [
        [titles[name], f"{kept / 2**20:.2f}"] for name, kept in results.items()
    ]
    header = ["teacher", "activations kept in a step, MiB"]
    print(f"{table(header, rows)}\n\n{record.describe()}")
    path = pathlib.Path(output) / "teacher_memory.json"
    record.write(path, results, arguments, seeds)
    return results
