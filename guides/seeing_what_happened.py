"""
Title: Seeing what happened
Author: The keras_xkd contributors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: Curves, embeddings, attention, TensorBoard and a report of a run.
Accelerator: None
"""

"""
## Introduction

A number says whether a student is good. It does not say whether a term of the
objective ever fell, whether sounds and images of the same digit came together,
or what the student listens to. This guide trains one student and looks at it:

| Question | Look with |
|---|---|
| Did every term fall? Does the student overfit? | `plot_terms` |
| Is it better than its baselines? | `plot_comparison` |
| Do the modalities share a space? | `plot_embeddings`, `plot_similarity` |
| What does a query find? | `plot_retrieval` |
| What is mistaken for what? | `plot_confusion` |
| What if a modality is missing? | `plot_missing_modalities` |
| What does the network attend to? | `saliency`, `grad_cam`, `plot_attention` |
| All of it, while training goes on | `callbacks.RunReport`, `callbacks.TensorBoard` |

They are in `keras_xkd.visualization`, but the callbacks. Every `plot_` function
returns a figure of matplotlib and draws into `ax=` if you have axes; none
changes a global style. Retrieval is in `examples/cmcd_sketch_retrieval.py`,
missing modalities are in `examples/missing_modalities.py`.
"""

"""
## Setup
"""

"""shell
pip install -q "keras-xkd[jax,tensorflow,viz]"
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # or "tensorflow", "torch"

import pathlib

import keras
import numpy as np
from keras import layers
from matplotlib.figure import Figure

import keras_xkd as xkd
from keras_xkd import visualization

output = pathlib.Path(os.environ.get("OUTPUT", "."))
keras.utils.set_random_seed(0)

"""
## Two networks and a baseline

`av_digits` has images of handwritten digits, and spectrograms of spoken ones. A
teacher that reads the images teaches a student that hears the sounds, without
labels. The baseline is the same network as the student, trained on five labels
for each digit.

Both networks name the layer before the logits, and give it the same width: what
comes out of it can be compared across modalities.
"""

(x, y), (x_val, y_val), _ = xkd.datasets.av_digits.load_data()


def network(modality, seed=0):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(x[modality].shape[1:], name=modality)
    z = inputs
    if modality == "audio":
        z = layers.Reshape((*inputs.shape[1:], 1))(z)
    z = layers.Conv2D(16, 3, padding="same", activation="relu")(z)
    z = layers.MaxPooling2D(2)(z)
    z = layers.Conv2D(32, 3, padding="same", activation="relu", name="maps")(z)
    z = layers.MaxPooling2D((2, 4) if modality == "audio" else 2)(z)
    z = layers.Dense(64, "relu", name="features")(layers.Flatten()(z))
    outputs = layers.Dense(10, name="logits")(z)
    return keras.Model(inputs, outputs, name=f"{modality}_network")


loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
teacher = network("image")
teacher.compile("adam", loss)
teacher.fit(x["image"], y, epochs=15, batch_size=60, verbose=0)

few, y_few = xkd.data.few_labels(x, y, 5, seed=0)
baseline = network("audio")
baseline.compile("adam", loss)
baseline.fit(few["audio"], y_few, epochs=60, verbose=0)

"""
## Training, with somebody who takes notes

The objective has two terms: the teacher's soft targets, and the squared distance
of the features of a sound to those of its image.

Two callbacks take notes. `RunReport` writes a page that needs nothing but
itself. `TensorBoard` is that of Keras with the terms' weights, every player's
learning rate, the student's features for the projector, and your own figures;
its files are written by TensorFlow, on every backend.
"""

student = network("audio")
distiller = xkd.distillers.CrossModalDistiller(student=student, teacher=teacher)
distiller.compile(
    "adam",
    distillation_loss={
        "kd": xkd.losses.SoftTargets(4.0),
        "features": xkd.losses.FeatureMatching(),
    },
    loss_weights={"kd": 0.1, "features": 1.0},
    metrics=["accuracy"],
)


def confusion(model):
    heard = model.predict({"audio": x_val["audio"]}, verbose=0).argmax(-1)
    return visualization.plot_confusion(y_val, heard)


report = xkd.callbacks.RunReport(
    output / "report.html",
    title="Images teach sounds",
    figures={"What was mistaken for what": confusion},
    notes="The pairs of av_digits were made by matching the digit.",
)
board = xkd.callbacks.TensorBoard(
    output / "logs",
    embeddings={"sounds": ({"audio": x_val["audio"]}, y_val)},
    figures=lambda model, epoch: {"confusion": confusion(model)},
    freq=5,
)
pairs = {name: x[name] for name in ("audio", "image")}
validation = {name: x_val[name] for name in ("audio", "image")}
history = distiller.fit(
    pairs,
    batch_size=60,
    epochs=25,
    verbose=0,
    validation_data=(validation, y_val),
    callbacks=[report, board],
)

"""
While training goes on, `report.html` can be looked at: it is brought up to date,
and if training stops by an error, it says so. `tensorboard --logdir logs` shows
the rest (`pip install tensorboard`).

## Did every term fall?

Terms are drawn as they are logged, without their weights. The names are those
of the logs, with or without `_loss`.
"""

figure = visualization.plot_terms(history, ["kd", "features"])
figure.savefig(output / "terms.png")
for term in ("kd_loss", "features_loss"):
    values = history.history[f"val_{term}"]
    print(f"{term} of the validation data: {values[0]:.2f}, {values[-1]:.2f}")

"""
A term that does not move has nothing to learn from, or too small a weight. One
that falls in training and rises in validation is being learnt by heart.

## Do the modalities share a space?

`tap` gives the features of a trained network, by the name of the layer. Sounds
and images of the validation set are drawn in one map: a colour and a filling is
a digit, a shape is a modality. PCA is exact and shows most of the variance; with
`method="tsne"` neighbours stay together, and distances mean little.
"""


def features(model, modality):
    tapped = xkd.models.tap(model, {"features": "features"})
    return tapped.predict(x_val[modality], verbose=0)["features"]


images = features(teacher, "image")
before, after = features(baseline, "audio"), features(student, "audio")
shown = np.flatnonzero(y_val < 5)  # Five digits are enough for the eye.

figure = Figure((11, 5), layout="constrained")
for ax, sounds, title in zip(
    figure.subplots(1, 2), (before, after), ("five labels a digit", "distilled")
):
    visualization.plot_embeddings(
        {"audio": sounds[shown], "image": images[shown]},
        y_val[shown],
        method="tsne",
        ax=ax,
    )
    ax.set_title(title)
figure.savefig(output / "embeddings.png")

"""
The network with labels has a space of its own, away from that of the images,
although both have the same width. The sounds of the student lie next to the
images of the same digit.

The same as numbers: each sound against each image, sorted by digit. What comes
out of a ReLU is not negative, so that any two such vectors are similar; what the
images have in common is subtracted first.
"""

middle = images.mean(axis=0)
figure = Figure((11, 5), layout="constrained")
for ax, sounds in zip(figure.subplots(1, 2), (before, after)):
    visualization.plot_similarity(
        sounds - middle,
        images - middle,
        y_val,
        row_name="audio",
        column_name="image",
        ax=ax,
    )
    ax.images[0].set_clim(-1, 1)  # The same colours in both.
figure.savefig(output / "similarity.png")


def agreement(sounds):
    """Mean cosine similarity of the pairs, and of unlike digits."""
    a, b = (sounds - middle, images - middle)
    a, b = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (a, b))
    similarity = a @ b.T
    pairs = similarity.trace() / len(similarity)
    return pairs, similarity[y_val[:, None] != y_val].mean()


for name, sounds in {"baseline": before, "student": after}.items():
    same, other = agreement(sounds)
    print(f"{name}: pairs {same:.2f}, other digits {other:.2f}")

"""
The blocks along the diagonal are what a search of images by sound needs.

## What does the network attend to?

`grad_cam` finds the positions of a layer that speak for an answer, `saliency`
the values of the input that would change it most. Both return an array from 0
to 1 in the shape of the input, for images, spectrograms and videos. On
TensorFlow the work is done by tf-keras-vis where it can; on JAX, PyTorch, and
for networks that it cannot see into, by code of this package that agrees with
it.

The same spoken digit, for the network with few labels and for the student; above
by `grad_cam`, below by `saliency`:
"""

heard = student.predict(x_val["audio"], verbose=0).argmax(-1)
missed = baseline.predict(x_val["audio"], verbose=0).argmax(-1) != y_val
one = np.flatnonzero((heard == y_val) & missed)[0]
sound = {"audio": x_val["audio"][[one]]}
networks = {"five labels a digit": baseline, "distilled": student}
figure = Figure((8, 5), layout="constrained")
for ax, attention in zip(
    figure.subplots(2, 1), (visualization.grad_cam, visualization.saliency)
):
    maps = {
        name: attention(model, sound, target=int(y_val[one]))[0]
        for name, model in networks.items()
    }
    visualization.plot_attention(sound["audio"][0], maps, ax=ax)
figure.savefig(output / "attention.png")
print(f"a spoken {y_val[one]}, which the network with few labels mistakes")

"""
Such pictures are good for finding what should not be there: an answer from the
margin of the picture, or from silence. They do not show why a network is right,
and one sample proves nothing. Pass `target` when you compare two networks, as
here: without it each map explains the answer that the network prefers.

## The report, once more

The report was written at the end of training. What is known only now can be
added, and the page written again. Without the callback, `distiller.report(path)`
writes a page after `fit`.
"""


def accuracy(model):
    logits = model.predict(x_val["audio"], verbose=0)
    return float(np.mean(logits.argmax(-1) == y_val))


report.comparison = {
    "five labels a digit": [accuracy(baseline)],
    "distilled, no label": [accuracy(student)],
}
report.chance = 0.1
page = report.write(distiller)
print(f"{page.name}: {page.stat().st_size / 1024:.0f} KiB")
for name, (score,) in report.comparison.items():
    print(f"{name}: {score:.2f}")

"""
One seed is a picture, not a finding: for several, with intervals, give each row
one number per seed, as in `guides/fair_evaluation.py`.

What was seen above, as this script checks it:
"""

assert agreement(after)[0] > agreement(before)[0] + 0.2
for term in ("val_kd_loss", "val_features_loss"):
    assert history.history[term][-1] < history.history[term][0]
