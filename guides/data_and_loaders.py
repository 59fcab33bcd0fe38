"""
Title: Data and loaders
Author: The keras_xkd contributors
Date created: 2026/11/21
Last modified: 2026/11/21
Description: The form of a batch, gaps, kinds of loaders, and cached teachers.
Accelerator: None
"""

"""
## Introduction

Networks of several modalities read several inputs, and not all of them read
the same. One form of batch serves them all:

```
(x, y)  or  (x, y, sample_weight)  or  x alone
x = {"audio": tensor, "image": tensor, ...}
```

This guide shows the form and its reserved names, the kinds of data sets that
`fit` takes, a folder of files that becomes batches, views such as few labels,
and a teacher that runs only once.
"""

"""
## Setup
"""

"""shell
pip install -q "keras-xkd[jax,data]"
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # or "tensorflow", "torch"

import importlib.util
import pathlib
import wave

import keras
import numpy as np
import tensorflow_datasets as tfds
from keras import layers
from PIL import Image

import keras_xkd as xkd

output = pathlib.Path(os.environ.get("OUTPUT", "."))
keras.utils.set_random_seed(0)
(x, y), (x_val, y_val), _ = xkd.datasets.av_digits.load_data()
print({name: value.shape for name, value in x.items()})


def network(modality):
    inputs = keras.Input(x[modality].shape[1:], name=modality)
    features = layers.Flatten()(inputs)
    features = layers.Dense(32, activation="relu")(features)
    return keras.Model(inputs, layers.Dense(10)(features))


def make_distiller(teacher=None):
    keras.utils.set_random_seed(0)
    student = network("audio")
    distiller = xkd.distillers.CrossModalDistiller(
        student=student, teacher=teacher or network("image")
    )
    distiller.compile("adam", "sparse_categorical_crossentropy")
    return distiller


"""
## A batch

**Names decide.** A network gets the modalities that its inputs are named
after; here the student `"audio"` and the teacher `"image"`. What it does not
read is left out, and what it lacks is an error:
"""

distiller = make_distiller()
distiller.fit(x, y, verbose=0)  # `x` has a `sample_id`, too.
try:
    distiller.fit({"audio": x["audio"]}, y, verbose=0)
except ValueError as error:
    print(error)

"""
A subclassed network says so by an attribute, `modalities = ("audio",)`. A
modality of several tensors is a nested dict, for the data and for the inputs:
`keras.Model({"text": {"token_ids": ids, "padding_mask": mask}}, outputs)`.

`evaluate`, `predict` and validation data need only what the student reads.

**Labels** are optional: `fit(x)` trains with the terms that need none.

**Reserved names** of `x` are no modalities:

| Entry | What it is | Who needs it |
|---|---|---|
| `present` | `{modality: (batch,)}`, 1 where a sample has it | data with gaps |
| `sample_id` | a whole number for each sample | banks, cached teachers |
| `teacher_outputs` | what a teacher returned | `CachedTeacher` |

## Missing modalities

`keras_xkd.data.missing` takes modalities away from some samples, to try what
gaps do. In data of your own write `present` yourself, and put anything, such
as zeros, in the place of what is missing.
"""

gaps = xkd.data.missing(x, {"image": 0.5}, seed=0)
print({name: float(mask.mean()) for name, mask in gaps["present"].items()})

"""
Absent samples leave the losses, their means and the metrics. So a step with
them equals a step without them:
"""


def step(x, y):
    """The student's weights after one step of all samples."""
    distiller = make_distiller(teacher)
    distiller.compile(keras.optimizers.SGD(0.1))
    distiller.fit(x, batch_size=len(y), verbose=0)
    return distiller.student.get_weights()


teacher = network("image")
there = gaps["present"]["image"] == 1
without_gaps = step(xkd.data.take(x, there), y[there])
with_gaps = step(gaps, y)
difference = max(np.abs(a - b).max() for a, b in zip(with_gaps, without_gaps))
print(f"largest difference of a weight: {difference:.1e}")
assert difference < 1e-5

"""
## Views

Functions from arrays to arrays, to compare settings on the same data:
"""

x_few, y_few = xkd.data.few_labels(x, y, per_class=5)  # 50 samples
x_rest = xkd.data.unlabelled(x, y, per_class=5)  # all others, no labels
hidden = xkd.data.hide_labels(y, per_class=5)  # -1 where there is no label
noisy = xkd.data.degrade(x, {"audio": {"noise": 1.0}})
half = xkd.data.take(x, slice(None, 600))
print(len(y_few), len(x_rest["audio"]), (hidden >= 0).sum(), len(half["image"]))

"""
With the same seed, `few_labels`, `unlabelled` and `hide_labels` choose the same
samples. Labels of -1 are left out by
`SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)`.

## Kinds of data sets

`fit` takes NumPy arrays, `tf.data`, PyTorch's `DataLoader`, `PyDataset` and
generators, each on every backend. The same batches train the same student,
wherever they come from.
"""


def of_batches():
    """Batches of 100, in order."""
    for start in range(0, len(y), 100):
        rows = slice(start, start + 100)
        yield {name: x[name][rows] for name in ("audio", "image")}, y[rows]


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return len(y) // 100

    def __getitem__(self, index):
        rows = slice(100 * index, 100 * (index + 1))
        return {name: x[name][rows] for name in ("audio", "image")}, y[rows]


data_sets = {"a generator": of_batches(), "PyDataset": Batches()}
if importlib.util.find_spec("tensorflow"):
    import tensorflow as tf

    pairs = {name: x[name] for name in ("audio", "image")}
    data_sets["tf.data"] = tf.data.Dataset.from_tensor_slices((pairs, y))
    data_sets["tf.data"] = data_sets["tf.data"].batch(100)
if importlib.util.find_spec("torch"):
    import torch

    samples = [
        ({name: x[name][i] for name in ("audio", "image")}, int(y[i]))
        for i in range(len(y))
    ]
    data_sets["DataLoader"] = torch.utils.data.DataLoader(
        samples, batch_size=100
    )

distiller = make_distiller(teacher)
distiller.fit(x, y, batch_size=100, shuffle=False, verbose=0)
steps = len(y) // 100
of_arrays = distiller.student.get_weights()
for kind, data in data_sets.items():
    distiller = make_distiller(teacher)
    distiller.fit(data, steps_per_epoch=steps, shuffle=False, verbose=0)
    weights = distiller.student.get_weights()
    difference = max(np.abs(a - b).max() for a, b in zip(weights, of_arrays))
    print(f"{kind}: differs from arrays by {difference:.1e}")
    assert difference < 1e-4

"""
## From a folder to batches

Your own files need a folder of each modality, with files of the same name:

```
media/image/train/three/0.png
media/audio/train/three/0.wav
```

or a table `samples.csv`; see `keras_xkd.datasets.PairedMedia`. This makes such
a folder, with two kinds of clips: dark and low, bright and high.
"""

media = output / "media"


def write_clip(label, number, gray, hertz):
    place = pathlib.Path("train", label, str(number))
    image = (media / "image" / place).with_suffix(".png")
    sound = (media / "audio" / place).with_suffix(".wav")
    for path in (image, sound):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((16, 16, 3), gray, "uint8")).save(image)
    time = np.arange(8000) / 8000
    tone = 20_000 * np.sin(2 * np.pi * hertz * time)
    with wave.open(str(sound), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(tone.astype("int16").tobytes())


for number in range(12):
    write_clip("low", number, 40 + number, 300 + 10 * number)
    write_clip("high", number, 200 + number, 1200 + 10 * number)

"""
`PairedMedia` is a builder of tensorflow-datasets. `data.load` prepares it once
and makes batches: `tf.data` on TensorFlow, a `DataLoader` on PyTorch, a Grain
data set on JAX, with the same batches in the same order. It reads every other
data set of tensorflow-datasets, too.
"""

tfds.disable_progress_bar()
clips = xkd.datasets.PairedMedia(
    manual_dir=media,
    data_dir=output / "prepared",
    image_size=16,
    sample_rate=8000,
)
train = xkd.data.load(clips, batch_size=8, length={"audio": 8000}, seed=0)
batch, _ = next(iter(train))
print(type(train).__name__, sorted(batch), tuple(batch["audio"].shape))

"""
- `length` cuts or pads sequences. Without it they are padded to the longest of
  their batch, and JAX compiles a step for every length.
- `few_labels`, `unlabelled` and `missing` are the views from above.
- `preprocess` takes functions from `x` to `x`, such as the `preprocess` of an
  encoder. They run in the threads that make the batches.
- `x["sample_id"]` is there by itself, and so is `x["present"]` where the data
  set says what is missing, as this one does.

These builders read corpora from a folder, in the form in which they are
distributed. Their docstrings say where to get the data, the layout, the licence
and the splits. None was run on the real corpus: all are tested on generated
files in its layout, on the three backends.

| builder | modalities | read from |
|---|---|---|
| `PairedMedia` | video, audio, image, depth, text | your own files: a table, or parallel folders. [paired_media.md](../keras_xkd/datasets/paired_media.md) has tested scripts for VGGSound, Kinetics-400, ActivityNet, IEMOCAP, ModelNet40 views and Sketchy |
| `RAVDESS` | video, audio, text | the mp4 and wav files by their name codes; the splits by actor are ours |
| `UCF101`, and its 51 classes with sound | video, audio | the avi files and the official lists |
| `CMUMOSI`, `CMUMOSEI` | text, audio and video features | the pickles of MMSA and MulT, aligned or not, with an unpickler that executes nothing |
| `VEGAS` | audio and video features | the HDF5 file; its keys are those of published loading code |
| `AVMNIST` | image, audio | `mnist` and `spoken_digit` of tensorflow-datasets; the pairing is ours |
| `NYUDepthV2` | image, depth | FastDepth's archive; equal to tensorflow-datasets' own builder |

A missing or damaged file is named (`DataFileError`); `on_error="skip"` leaves the
sample out, `"absent"` that modality, and both are reported. `MultimodalBuilder` is
the base of builders of your own.

## A teacher that runs once

A large frozen teacher returns the same for a sample in every epoch.
`cache_teacher` runs it once, writes what it returns, and gives back the data
with it; `CachedTeacher` takes the teacher's place. It takes whatever `fit`
takes, and finds samples by their `sample_id`, in whatever order they come.
"""

cache = output / "teacher"
cached = xkd.data.cache_teacher(
    teacher, (x, y), cache, overwrite=True, verbose=0
)
stand_in = xkd.layers.CachedTeacher.from_cache(cache)
print(sorted(cached[0]["teacher_outputs"]["teacher"]))

with_teacher = make_distiller(teacher)
with_cache = make_distiller(stand_in)
with_teacher.fit(x, y, batch_size=100, shuffle=False, verbose=0)
with_cache.fit(*cached, batch_size=100, shuffle=False, verbose=0)
difference = max(
    np.abs(a - b).max()
    for a, b in zip(
        with_teacher.student.get_weights(), with_cache.student.get_weights()
    )
)
print(f"trained from the cache: differs by {difference:.1e}")
assert difference < 1e-4

"""
Called again, it reads the files, and the teacher does not run. A cache of
another teacher is refused:
"""

try:
    xkd.data.cache_teacher(network("image"), (x, y), cache, verbose=0)
except ValueError as error:
    print(str(error).split(". ")[0])

"""
## Where to read on

- `keras_xkd.data.load`: all arguments, and pairs of two data sets by class.
- `keras_xkd/datasets/paired_media.md`: scripts for VGGSound, Kinetics-400 and
  others.
- `guides/keras_hub_encoders.py`: encoders and their preprocessing.
- `guides/many_devices.py`: who reads what when several processes train.
"""
