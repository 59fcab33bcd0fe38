"""What a frozen teacher adds to the memory of a training step, on PyTorch.

A step with a teacher should take what training the student alone takes, the
weights of the teacher, and what one of its layers makes: nothing of it is
differentiated. Two counts say whether it does: the activations that are kept
for the backward pass, and the most memory that is allocated at any time.
"""

import pathlib

import keras
import numpy as np
from keras import layers

from keras_xkd.benchmark import peak_memory
from keras_xkd.benchmark import record
from keras_xkd.benchmark.table import table
from keras_xkd.distillers import CrossModalDistiller

CLASSES, FEATURES = 10, 32
TITLES = {
    "student": "the student alone, peak of a step",
    "weights": "+ weights of the teacher",
    "layer": "+ largest layer of the teacher: what it reads and makes",
    "target": "= target",
    "frozen": "distillation, peak of a step",
    "with_graph": "the same, the teacher run like the student",
}


class _WithGraph(CrossModalDistiller):
    """The mistake to compare with: the teacher runs like a trained network."""

    def ask(self, role, x):
        return self.run(role, x, training=False)


def network(modality, width, depth):
    """Dense layers that read one modality."""
    inputs = keras.Input((FEATURES,), name=modality)
    x = inputs
    for _ in range(depth):
        x = layers.Dense(width, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(CLASSES)(x))


def make(method, teacher_width=512, teacher_depth=8, student_width=32):
    """A small student and a large teacher."""
    distiller = method(
        student=network("audio", student_width, 2),
        teacher=network("image", teacher_width, teacher_depth),
    )
    distiller.compile("sgd", "sparse_categorical_crossentropy")
    return distiller


def batch(size):
    """Samples of both modalities, with labels."""
    x = {m: np.ones((size, FEATURES), "float32") for m in ("audio", "image")}
    return x, np.zeros(size, "int32")


def saved_bytes(distiller, batch_size=256):
    """Bytes of activations that one step keeps for its backward pass.

    Weights do not count: they are there anyway. PyTorch only.
    """
    import torch

    weights = {v.value.data_ptr() for v in distiller.variables}
    kept = {}

    def pack(tensor):
        if tensor.data_ptr() not in weights:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        distiller.train_on_batch(*batch(batch_size))
    return sum(kept.values())


def bytes_of(variables):
    """Bytes of variables."""
    return sum(int(np.prod(v.shape)) * 4 for v in variables)


def peak_bytes(model, batch_size):
    """Most bytes allocated during a step, those of all variables included."""
    x, y = batch(batch_size)
    if not isinstance(model, CrossModalDistiller):
        x = x["audio"]
    model.train_on_batch(x, y)  # Makes the variables of the optimizer.
    _, most = peak_memory.peak(lambda: model.train_on_batch(x, y))
    return (
        most + bytes_of(model.variables) + bytes_of(model.optimizer.variables)
    )


def largest_layer(teacher, batch_size):
    """Bytes that the largest layer of a teacher reads and makes.

    A dense layer makes two tensors of its width: before and after its
    activation.
    """
    return max(
        4
        * batch_size
        * (int(layer.input.shape[-1]) + 2 * int(layer.output.shape[-1]))
        for layer in teacher.layers[1:]
    )


def peaks(
    batch_size=1024, teacher_width=2048, teacher_depth=12, student_width=512
):
    """The parts of the target, what a step takes, and their ratio.

    Returns:
        A dict of bytes by the names of `TITLES`, and `ratio`, of `frozen` to
        `target`.
    """
    student = network("audio", student_width, 2)
    student.compile("sgd", "sparse_categorical_crossentropy")
    sizes = (teacher_width, teacher_depth, student_width)
    distiller = make(CrossModalDistiller, *sizes)
    found = {
        "student": peak_bytes(student, batch_size),
        "weights": bytes_of(distiller.teacher.variables),
        "layer": largest_layer(distiller.teacher, batch_size),
    }
    found["target"] = sum(found.values())
    found["frozen"] = peak_bytes(distiller, batch_size)
    found["with_graph"] = peak_bytes(make(_WithGraph, *sizes), batch_size)
    found["ratio"] = found["frozen"] / found["target"]
    return found


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
    kept = compare()
    titles = {"frozen": "`ask`, frozen", "with_graph": "run like the student"}
    rows = [[titles[name], mebibytes(size)] for name, size in kept.items()]
    print(table(["teacher", "activations kept in a step, MiB"], rows) + "\n")
    most = peaks(64, 64, 4, 16) if quick else peaks()
    rows = [[title, mebibytes(most[name])] for name, title in TITLES.items()]
    print(table(["memory of a training step", "MiB"], rows))
    print(f"\nDistillation over target: {most['ratio']:.3f}")
    print(f"\n{record.describe()}")
    results = {**kept, "peaks": most}
    path = pathlib.Path(output) / "teacher_memory.json"
    record.write(path, results, arguments, seeds)
    return results


def mebibytes(size):
    return f"{size / 2**20:.2f}"
