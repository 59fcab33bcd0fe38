"""
Title: Distil from a teacher that runs only once
Author: The keras_xkd contributors
Date created: 2026/11/21
Last modified: 2026/11/21
Description: Ask an expensive teacher once, and train from its answers.
Accelerator: None
"""

"""
## Introduction

In distillation a small student learns from a large teacher ([Hinton et al.,
2015](https://arxiv.org/abs/1503.02531)): from its probabilities, and often
from its hidden features as well. The teacher does not learn. Its answers to
the same training samples are therefore the same in every epoch, and yet it is
asked anew each time. As it is the large one, most of the time goes there.

So ask it once, and keep the answers: `keras_xkd.data.cache_teacher` writes
them to a folder, and `keras_xkd.layers.CachedTeacher` stands where the teacher
stood. Nothing else changes. The claims of this example:

- the student has **the same weights** as with the teacher itself, up to
  rounding;
- **the teacher's share of the time is gone**: what remains of an epoch is the
  training of the student, and reading the answers.

How much time that is depends on the machine: it is measured here, and you are
to judge it.
"""

"""
## Setup
"""

"""shell
pip install -q "keras-xkd[jax,viz]"
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # or "tensorflow", "torch"

import pathlib
import tempfile
import time

import keras
import numpy as np
from keras import layers

import keras_xkd as xkd

output = pathlib.Path(os.environ.get("OUTPUT", "."))
keras.utils.set_random_seed(0)

EPOCHS = 8

"""
## Data

The *AV digits* come with the package: pairs of a handwritten digit, 8 x 8
pixels, and the spectrogram of the same digit, spoken. The teacher sees the
image, the student hears the sound.

`x` also has a `sample_id`, a whole number for each sample. By it the cache
finds what the teacher said, in whatever order and batches the data comes.
"""

(x_train, y_train), (x_val, y_val), _ = xkd.datasets.av_digits.load_data()
print({name: values.shape for name, values in x_train.items()})

"""
## An expensive teacher

Three convolutional networks that vote: an ensemble is a good teacher, and a
slow one. Each is trained for a few epochs here.
"""


def convolutional(seed):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(32, 3, activation="relu", padding="same")(inputs)
    x = layers.Conv2D(32, 3, activation="relu", padding="same")(x)
    x = layers.Dense(64, activation="relu")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(10)(x), name=f"member_{seed}")


def student():
    """The same weights each time: the comparison asks for that."""
    keras.utils.set_random_seed(7)
    inputs = keras.Input((40, 32), name="audio")
    x = layers.Dense(32, activation="relu")(layers.Flatten()(inputs))
    return keras.Model(inputs, layers.Dense(10)(x), name="student")


from_logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
members = [convolutional(seed) for seed in range(3)]
for member in members:
    member.compile(keras.optimizers.Adam(2e-3), from_logits)
    member.fit(x_train["image"], y_train, batch_size=64, epochs=4, verbose=0)

image = keras.Input((8, 8, 1), name="image")
votes = layers.Average()([member(image) for member in members])
teacher = keras.Model(image, votes, name="teacher")
guess = teacher.predict(x_val["image"], verbose=0).argmax(-1)
print(f"accuracy of the teacher: {np.mean(guess == y_val):.3f}")
print(f"parameters: teacher {teacher.count_params():,}, ", end="")
print(f"student {student().count_params():,}")

"""
## Asking it once

`cache_teacher` takes a data set in any form that `fit` takes, runs the teacher
over it, and returns the same data with the answers added. When the script runs
again, the files are read and the teacher does not run. If the teacher was
trained in between, or the data is not the same, that is noticed and refused: a
cache that does not fit is worse than none.

`dtype="float16"` halves the size of the files, and rounds.
"""

temporary = tempfile.TemporaryDirectory()  # Yours would stay.
folder = pathlib.Path(temporary.name)
data = (x_train, y_train)
cached = {}
for dtype in ("float32", "float16"):
    start = time.perf_counter()
    cached[dtype] = xkd.data.cache_teacher(
        teacher, data, folder / dtype, dtype=dtype, verbose=0
    )
    seconds = time.perf_counter() - start
    files = [f for f in (folder / dtype).rglob("*") if f.is_file()]
    size = sum(file.stat().st_size for file in files) / 2**10
    print(f"{dtype}: {seconds:.1f} s, {size:.0f} KiB in {len(files)} files")

x_cached, _ = cached["float32"]
print(keras.tree.map_structure(np.shape, x_cached["teacher_outputs"]))

"""
Each sample has its ten logits. For a teacher with one linear head, its
features are kept beside them, in case that a loss asks for these; an average
of three networks has none.

## Four students

One learns from its labels alone, one with the teacher itself, and two from the
two caches. `CachedTeacher.from_cache` reads from the folder what the answers
look like. It has no weights: the networks of the teacher could be deleted now.
"""


def distiller(teacher):
    model = xkd.distillers.CrossModalDistiller(
        student=student(), teacher=teacher
    )
    model.compile(
        keras.optimizers.Adam(1e-3),
        loss=from_logits,
        distillation_loss=xkd.losses.SoftTargets(temperature=4.0),
        loss_weights={"task": 0.1, "distillation": 0.9},
    )
    return model


def alone():
    model = student()
    model.compile(keras.optimizers.Adam(1e-3), from_logits)
    return model


stored = xkd.layers.CachedTeacher.from_cache
models = {
    "student alone": (alone(), (x_train["audio"], y_train)),
    "with the teacher": (distiller(teacher), data),
    "from the cache, float32": (
        distiller(stored(folder / "float32")),
        cached["float32"],
    ),
    "from the cache, float16": (
        distiller(stored(folder / "float16")),
        cached["float16"],
    ),
}

"""
## Training in turns

Times are only comparable if whatever else the machine does meets all of them.
So the four take turns, an epoch each, and the first epoch, in which they
compile, is left out of the times. The same seed before each turn shuffles the
samples in the same order.
"""

seconds = {name: [] for name in models}
for epoch in range(EPOCHS + 1):
    for name, (model, (x, y)) in models.items():
        keras.utils.set_random_seed(epoch)
        start = time.perf_counter()
        model.fit(x, y, batch_size=64, verbose=0)
        if epoch:
            seconds[name].append(time.perf_counter() - start)

"""
## The same student?

The largest difference of any weight to that of the student who learnt with the
teacher itself:
"""

networks = {n: getattr(m, "student", m) for n, (m, _) in models.items()}
reference = networks["with the teacher"].get_weights()
difference, accuracy = {}, {}
for name, network in networks.items():
    pairs = zip(network.get_weights(), reference, strict=True)
    difference[name] = max(float(np.abs(a - b).max()) for a, b in pairs)
    guess = network.predict(x_val["audio"], verbose=0).argmax(-1)
    accuracy[name] = float(np.mean(guess == y_val))
    print(f"{name:24} {difference[name]:.1e}, ", end="")
    print(f"accuracy {accuracy[name]:.3f}")

"""
From the cache in float32 it is the same student, up to the last digit of
float32. In float16 the answers are rounded to three digits, and Adam, which
divides each gradient by its size, makes more of that than its size suggests;
the accuracy tells whether it matters. The student who has only its labels is
another one; it is not worse, as every sample here has its label.

## The same time?
"""

for name, times in seconds.items():
    print(f"{name:24} {1e3 * np.median(times):.0f} ms an epoch")

figure = xkd.visualization.plot_comparison(
    seconds, "seconds an epoch", of="epochs"
)
figure.axes[0].set_xlim(left=0)
figure.savefig(output / "distil_from_cached_teacher.png")

"""
What remains above the student alone is reading the answers and the loss that
compares with them: a fraction of a millisecond a step here, from arrays. With
features in the cache and a data pipeline it was a few milliseconds, under a
tenth of a step of 40 ms (`python -m keras_xkd benchmark teacher-cache`).

## What does not hold

- **The teacher must see the same input each time.** If images were turned at
  random before the teacher sees them, one answer per sample would not do:
  `cache_teacher` asks for some samples twice, and refuses data that changes.
  Augmentation of what the student alone reads does no harm.
- **A teacher that learns cannot be cached.** In AMID, or VideoAdviser in its
  joint stage, it changes in every step.
- **The disk is the price.** Ten logits are nothing; a thousand classes and a
  map of features for a million images are. `top_k=50` keeps the largest logits
  only, `outputs=["logits"]` leaves the features out.
- **The first pass is not free.** It costs an epoch of the teacher, its
  compilation, a few batches that are asked twice, and writing. With a teacher
  as small as this one it takes several epochs to earn that; with a large one,
  little more than one.

## With the full data

Pass your `tf.data.Dataset`, torch `DataLoader`, Grain or `PyDataset` pipeline,
or what `keras_xkd.data.load` returns, to `cache_teacher` in place of the
arrays, with `models.image_encoder("dinov2_small")` in the teacher and a folder
that stays.

## Does the claim hold?

The weights are the same up to rounding, and nothing of the teacher is left to
run. Times are not asserted: they belong to the machine and to what else it does.
"""

for name in ("from the cache, float32", "from the cache, float16"):
    assert models[name][0].teacher.count_params() == 0

assert difference["from the cache, float32"] < 1e-4, difference
assert difference["student alone"] > 1e-2, difference
gap = accuracy["from the cache, float16"] - accuracy["with the teacher"]
assert abs(gap) < 0.05, accuracy

"""
## References

- Hinton, G., Vinyals, O., Dean, J. (2015). [Distilling the Knowledge in a
  Neural Network](https://arxiv.org/abs/1503.02531).
- Shen, Z., Xing, E. (2022). [A Fast Knowledge Distillation Framework for
  Visual Recognition](https://arxiv.org/abs/2112.01528): stores a teacher's
  soft labels instead of running it.
"""
