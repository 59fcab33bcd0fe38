"""What an epoch from a teacher's cache costs, against the student alone.

A convolutional student learns from pictures, by its labels alone, with the
cached outputs of a teacher, and with the teacher itself. The epochs take turns,
so that whatever else the machine does meets all of them; the time of the
processor leaves that out, but counts reading that runs beside the training.
"""

import pathlib
import tempfile
import time
import warnings

import keras
import numpy as np
from keras import layers

from keras_xkd.benchmark import record
from keras_xkd.benchmark.statistics import ratio
from keras_xkd.benchmark.table import table
from keras_xkd.data import cache_teacher
from keras_xkd.data import take
from keras_xkd.distillers import CrossModalDistiller
from keras_xkd.layers import CachedTeacher
from keras_xkd.losses import FeatureMatching
from keras_xkd.losses import SoftTargets

CLASSES, BATCH = 100, 64
TITLES = {
    "student": "student alone",
    "cached": "with cached logits and features",
    "live": "with the teacher",
}


def network(filters, width, name):
    """A small convolutional classifier of 32 x 32 pictures."""
    inputs = keras.Input((32, 32, 3), name="image")
    x = layers.Conv2D(filters, 5, 2, activation="relu")(inputs)
    x = layers.Conv2D(2 * filters, 3, 2, activation="relu")(x)
    x = layers.Conv2D(4 * filters, 3, activation="relu")(x)
    x = layers.Dense(width, activation="relu")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(CLASSES)(x), name=name)


class _Examples:
    """Examples one by one, in a random order that stays."""

    def __init__(self, x, y):
        self.x, self.y = x, y
        self.order = np.random.default_rng(0).permutation(len(y))

    def __len__(self):
        return len(self.y)

    def __getitem__(self, index):
        row = int(self.order[index])
        return take(self.x, row), self.y[row]


def as_dataset(x, y):
    """What is natural on the backend, in random order."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        order = _Examples(x, y).order
        dataset = tf.data.Dataset.from_tensor_slices((take(x, order), y[order]))
        return dataset.batch(BATCH).prefetch(tf.data.AUTOTUNE)
    if backend == "torch":
        import torch

        return torch.utils.data.DataLoader(_Examples(x, y), BATCH)
    import grain

    return grain.MapDataset.source(_Examples(x, y)).batch(BATCH)


def make(folder, samples, filters=64):
    """Functions that train for an epoch, by name."""
    rng = np.random.default_rng(0)
    x = {
        "image": rng.normal(size=(samples, 32, 32, 3)).astype("float32"),
        "sample_id": np.arange(samples),
    }
    y = rng.integers(0, CLASSES, samples).astype("int32")
    data = as_dataset(x, y)
    teacher = network(2 * filters, 8 * filters, "teacher")
    cached = cache_teacher(teacher, data, folder, dtype="float16", verbose=0)

    def fit(model, dataset):
        with warnings.catch_warnings():
            # Keras says so at the end of data of unknown length.
            warnings.filterwarnings("ignore", "Your input ran out of data")
            model.fit(dataset, verbose=0, shuffle=False)

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    student = network(filters, 4 * filters, "student")
    student.compile("adam", loss)
    epochs = {"student": lambda: fit(student, _pictures(data))}
    stands = {"cached": CachedTeacher.from_cache(folder), "live": teacher}
    for name, stand in stands.items():
        distiller = CrossModalDistiller(
            student=network(filters, 4 * filters, "student"), teacher=stand
        )
        losses = {"soft": SoftTargets(), "match": FeatureMatching()}
        distiller.compile("adam", loss, losses)
        own = cached if name == "cached" else data
        epochs[name] = lambda d=distiller, own=own: fit(d, own)
    return epochs


def _pictures(data):
    """The same data; the student itself takes no `sample_id`."""

    def pick(x, y):
        return x["image"], y

    backend = keras.backend.backend()
    if backend == "tensorflow":
        return data.map(pick)
    if backend == "jax":
        return data.map(lambda batch: pick(*batch))
    import torch

    collate = torch.utils.data.default_collate
    return torch.utils.data.DataLoader(
        data.dataset, BATCH, collate_fn=lambda batch: pick(*collate(batch))
    )


def run(seeds, output, quick=False, arguments=("benchmark", "teacher-cache")):
    """Prints and writes seconds per epoch, the first epochs left out.

    Args:
        seeds: The number of seeds is the number of epochs.
        output: Folder for the results.
        quick: Whether to train on a few pictures only.
        arguments: The command that led here, for the record.
    """
    samples = 2 * BATCH if quick else 1024
    clocks = {"wall": time.perf_counter, "processor": time.process_time}
    with tempfile.TemporaryDirectory() as folder:
        epochs = make(folder, samples, filters=2 if quick else 64)
        seconds = {clock: {name: [] for name in epochs} for clock in clocks}
        for _ in range(len(seeds) + 2):
            for name, train in epochs.items():
                start = {clock: now() for clock, now in clocks.items()}
                train()
                for clock, now in clocks.items():
                    seconds[clock][name].append(now() - start[clock])
    ratios = {}
    for clock, own in seconds.items():
        own = seconds[clock] = {n: times[2:] for n, times in own.items()}
        ratios[clock] = {n: ratio(t, own["student"]) for n, t in own.items()}
        rows = [
            [
                TITLES[name],
                f"{1e3 * np.median(own[name]):.0f}",
                f"{found['ratio']:.2f}",
                f"{found['low']:.2f} to {found['high']:.2f}",
            ]
            for name, found in ratios[clock].items()
        ]
        header = [f"an epoch, {clock} time", "ms, median", "ratio", "95 %"]
        print(f"{table(header, rows)}\n")
    print(record.describe())
    results = {"seconds": seconds, "ratios": ratios, "samples": samples}
    path = pathlib.Path(output) / "teacher_cache.json"
    record.write(path, results, arguments, seeds)
    return results
