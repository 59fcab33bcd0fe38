"""
Title: Choosing a method
Author: The keras_xkd contributors
Date created: 2026/11/21
Last modified: 2026/11/21
Description: Which way of distilling across modalities fits what you have.
Accelerator: None
"""

"""
## Introduction

In cross-modal distillation a network that reads one modality, such as sound
(the *student*), learns from networks that read others, such as images (its
*teachers*). Whether and how that can
be done depends on what you have: labels, pairs, trained networks, and which
modalities will be there at test time. This guide

1. has a table that leads from what you have to a method;
2. says of each method what it needs, what it costs, and what we found when we
   measured it, also where it did not help;
3. runs some of them on the same small data.

The numbers of part 2 are those of `RESULTS.md`, which has the commands that
produce them. They are about small problems. Read them as what can happen, not
as what will happen on your data.
"""

"""
## What do you have?

Always begin with the student alone, trained on the labels that you have: it
may be enough, and everything else is compared with it.

| You have | At test time there is | Use |
|---|---|---|
| a trained network of another modality (or several), and pairs; with labels or without | the student's modality | `CrossModalDistiller` |
| labelled data with modalities that will be missing later; no trained teacher | the student's modality | `AMID` |
| unlabelled data of a rich modality, unlabelled pairs, few labels of a poor modality | the poor modality | `ContrastivePretraining`, `CMCD`, `LinearProbe` |
| pairs of video and text, some with a score or a class | the text | `VideoAdviser` |
| labelled data of all modalities | all of them | `UME` or `UMT`: ask `choose_late_fusion` |
| a trained network of one modality, unlabelled data with more modalities | all of them | `MKE` |
| labelled data of all modalities | any of them, some missing | `LateFusion` with `dropout` |

A pair is a sample of both modalities that belong together, such as the frames
and the sound of a clip. The same by properties:

| | Labels | Pairs | At test time | Teachers | Trains beside the student |
|---|---|---|---|---|---|
| `CrossModalDistiller` | none, few or all | yes | the student's | one or several, frozen | nothing |
| `AMID` | yes | of all modalities | the student's | one, learns along | teacher, auxiliary network, discriminator |
| `CMCD` | few, for the last stage | unlabelled | the target's | one, frozen, trained without labels | nothing |
| `VideoAdviser` | some | yes | text | one, learns along or before | the teacher |
| `UME` | yes | none | all, or some | each network is one | nothing is trained |
| `UMT` | yes | yes | all | one for each modality, frozen | nothing |
| `MKE` | none | yes | all | one, frozen | nothing |

Two questions should come before any of these:

- **Is there enough in common?** What the student cannot perceive, it cannot
  learn. `guides/will_it_help.py` measures it.
- **How good is the teacher?** On one family of problems a poor teacher brought
  no gain to a student with labels, even where all that decides was shared.
"""

"""
## The methods

### `CrossModalDistiller`

*Needs* a trained teacher and pairs. *Costs* a forward pass of the teacher in
each step, or one for all epochs with `keras_xkd.data.cache_teacher`: an epoch
then took 0.99 to 1.09 of the time of the student alone, and 1.35 to 2.14
with the teacher. *Found*: without one label for sound, a student learnt from
an image teacher what it learns from all 1,200 labels (89.0 % and 89.1 %; 50
labels give 50.0 %). With all labels, on problems whose answer is known, the
gain follows what the views share: +3.0 points if both see the same
decisive dimensions, and **-3.1 if they share none**.

The objective is an argument of `compile`:

| `distillation_loss` | Compares | Choose it when |
|---|---|---|
| `SoftTargets()`, the default | probabilities | both have the same classes |
| `DecoupledSoftTargets()` | the same, with a weight for the wrong classes | there are labels |
| `FeatureMatching()` | features, by a learned projection | the teacher has no head, or other classes |
| `InfoNCE()`, `ContrastiveRepresentation()` | which features belong together | features matter more than decisions; large batches, or a queue |
| `RelationalDistance()`, `RelationalAngle()`, `ProbabilisticTransfer()` | how samples lie to each other | widths differ, and no projection is wanted |
| `Matching(loss)` | any two outputs by a Keras loss | the output is a number |

### `AMID`

*Needs* labels, and modalities that exist only in training. *Costs* three
networks that train, and a discriminator. *Found*: a teacher that shares
everything with its student became weaker, by 3 to 15 points, which is what the
paper warns of (though not as weak as the student), and the auxiliary modality
gave back part of that. The student gained 1.2 points with
1,000 samples, lost 4.1 with 300, and was no different on digits. **Its student
was not the best one** in any of the three problems. Smaller weights of the
contrasts helped where samples were few.

### `UME` and `UMT`

*Need* labels and all modalities at test time. `UME` averages the
probabilities of networks that were trained each by itself: it *costs* no
further training, and takes a missing modality as it is. `UMT` trains a joint
network whose encoders imitate these networks. *Found*: trained together, the
encoder of the weaker modality lost 9 points, and `UMT` gave back all of them;
but **the prediction gained nothing**, and `UME` was the better by 1.4 points.
Where only the pair of modalities tells the class, `UMT` beat `UME` by 38
points, and plain joint training beat both. On two synthetic problems, this one
and one of uni-modal features, `choose_late_fusion` picked the better method in
39 of 40 cases.

### `MKE`

*Needs* a trained network of one modality and unlabelled data with more.
*Costs* a pass of the teacher in each step. The inputs must be perturbed: this
is the method. *Found*: the student outgrew its teacher by 5.4 points, and by
none without perturbation. But **30 labels with both modalities were worth 13
points more** than the method.

### `CMCD`

*Needs* unlabelled data of a rich modality, unlabelled pairs, and few labels of
the other modality. *Costs* three trainings. *Found*: with everything in
common, 4 to 5 points fewer errors than training from scratch on 64 labels;
**with half in common or less, a linear probe was worse** than training from
scratch (for one of three objectives not clearly so). Fine-tuning is the safer
choice.

### `VideoAdviser`

*Needs* pairs of video and text, some with a score. *Costs* a teacher that
trains, along with the student or before. *Found*: the error of a text student
with 60 noisy labels fell from 0.874 to 0.715, three quarters of what 1,500
labels without noise bring. **Step one of the paper did not help** there.
"""

"""
## A small comparison

Now the code. The data is `av_digits`: images of handwritten digits, and spoken
ones. The student listens. Labels of the sounds are scarce, 5 for each digit, or
there are all 1,200; the pairs have no labels. The networks are small, and
every training takes 160 steps. (CMCD consists of three.)

We expect: without labels of its own, the distilled student beats the student
that was trained on 50 labels alone.
"""

"""
### Setup
"""

"""shell
pip install -q "keras-xkd[jax,viz]"
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # or "tensorflow", "torch"

import pathlib

import keras
import numpy as np
from keras import layers

import keras_xkd as xkd

output = pathlib.Path(os.environ.get("OUTPUT", "."))
SEEDS = 3
(x, y), (x_val, y_val), _ = xkd.datasets.av_digits.load_data()
x = {name: x[name] for name in ("audio", "image")}


def network(*modalities, classes=10):
    """Logits; with `classes=0` features."""
    inputs = {m: keras.Input(x[m].shape[1:], name=m) for m in modalities}
    parts = [layers.Flatten()(tensor) for tensor in inputs.values()]
    features = parts[0] if len(parts) == 1 else layers.Concatenate()(parts)
    features = layers.Dense(64, activation="relu")(features)
    return keras.Model(
        inputs, layers.Dense(classes)(features) if classes else features
    )


def train(model, x, y=None, loss=None, optimizer=None):
    """The same budget for everybody."""
    model.compile(optimizer or keras.optimizers.Adam(2e-3), loss)
    model.fit(x, y, epochs=8, batch_size=60, verbose=0)
    return model


def accuracy(model, *modalities):
    read = {m: x_val[m] for m in modalities}
    logits = keras.ops.convert_to_numpy(model(read, training=False))
    return float(np.mean(logits.argmax(axis=-1) == y_val))


"""
### The candidates

The student alone, as a baseline, and the same for the teacher:
"""


def alone(modality, x, y):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return train(network(modality), {modality: x[modality]}, y, loss)


"""
Soft targets of the teacher, without any label of the sounds:
"""


def soft_targets(teacher):
    distiller = xkd.distillers.CrossModalDistiller(
        student=network("audio"), teacher=teacher
    )
    return train(distiller, x).student


"""
CMCD does without labels of the images, too: an encoder of images learns from
images, one of sounds from pairs, and a linear layer from the few labels. The
default augmentation flips images, which would make digits into something else;
noise leaves them what they are.
"""


def contrastive(few):
    pretraining = xkd.distillers.ContrastivePretraining(
        encoder=network("image", classes=0),
        augment=xkd.layers.ScaledGaussianNoise(0.5),
    )
    train(pretraining, {"image": x["image"]})
    cmcd = xkd.distillers.CMCD(
        student=network("audio", classes=0),
        teacher=pretraining.encoder,
        teacher_projector=pretraining.projector,
    )
    train(cmcd, x)
    probe = xkd.models.LinearProbe(cmcd.student, units=10)
    x_few, y_few = few
    return train(
        probe,
        {"audio": x_few["audio"]},
        y_few,
        "sparse_categorical_crossentropy",
        keras.optimizers.Adam(1e-2),
    )


"""
AMID, with all labels; teacher and auxiliary network train along:
"""


def amid():
    distiller = xkd.distillers.AMID(
        student=network("audio"),
        teacher=network("audio", "image"),
        auxiliary=network("image"),
    )
    loss = "sparse_categorical_crossentropy"
    return train(distiller, x, y, loss).student


"""
### Several seeds

A seed chooses the initial weights, the order of the batches and the 50 labels.
The few samples are repeated, so that the number of steps is the same.
"""

scores = {}


def record(name, model, *modalities):
    scores.setdefault(name, []).append(accuracy(model, *modalities))


for seed in range(SEEDS):
    keras.utils.set_random_seed(seed)
    x_few, y_few = xkd.data.few_labels(x, y, per_class=5, seed=seed)
    rows = np.resize(np.arange(len(y_few)), len(y))
    few = xkd.data.take(x_few, rows), y_few[rows]
    teacher, listener = alone("image", x, y), alone("audio", x, y)
    record("image teacher, all labels", teacher, "image")
    record("alone, 50 labels", alone("audio", *few), "audio")
    record("CMCD, 50 labels", contrastive(few), "audio")
    record("soft targets, no labels", soft_targets(teacher), "audio")
    record("alone, all labels", listener, "audio")
    record("AMID, all labels", amid(), "audio")
    ensemble = xkd.distillers.UME(models={"a": listener, "i": teacher})
    record("UME, hears and sees", ensemble, "audio", "image")

for name, values in scores.items():
    print(f"{name:26} {np.mean(values):.3f}  {np.round(values, 3)}")

"""
### What it shows
"""

figure = xkd.visualization.plot_comparison(scores, chance=0.1)
figure.savefig(output / "choosing_a_method.png", bbox_inches="tight")


def gain(name, baseline):
    return np.mean(np.subtract(scores[name], scores[baseline]))


for name in ("CMCD, 50 labels", "soft targets, no labels"):
    print(f"{name}: {gain(name, 'alone, 50 labels'):+.3f}")
print(f"AMID: {gain('AMID, all labels', 'alone, all labels'):+.3f}")
assert gain("soft targets, no labels", "alone, 50 labels") > 0.15
assert gain("CMCD, 50 labels", "alone, 50 labels") > 0.05
assert gain("UME, hears and sees", "alone, all labels") > 0.05

"""
- Where labels are scarce, both methods that learn from pairs are far ahead of
  the student alone. Soft targets gain more than CMCD, and they may: their
  teacher knows the labels of the images.
- Where labels are plentiful there is little to gain. AMID was within a few
  points of the student alone, below it or above it, depending on the random
  numbers of the backend. In `RESULTS.md`, with ten seeds, it is no different on
  digits either.
- If images are there at test time, the best student is none: the average of
  two networks, which cost nothing more.

The pairs of this data were made by matching the digit, so that each of them
tells nearly what a label would. Real pairs carry less.
"""

"""
## Where to read on

- `guides/will_it_help.py`: how much two modalities have in common, before you
  train anything.
- `guides/fair_evaluation.py`: seeds, intervals and baselines, to find out
  whether it did help.
- `guides/writing_your_own_distiller.py`: if none of these fits.
- `RESULTS.md`: what was measured, with intervals, and what it does not show.
"""
