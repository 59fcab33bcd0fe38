"""
Title: Cross-modal distillation: pictures teach a network to hear
Author: The keras_xkd contributors
Date created: 2026/11/21
Last modified: 2026/11/21
Description: An image network teaches an audio network that gets no label.
Accelerator: None
"""

"""
## Introduction

Labels are plentiful for some kinds of data and scarce for others. There are
large labelled collections of pictures, and few of sounds, depth images or
radar. But recordings often come in pairs: a video has frames *and* a sound
track. Can a network that understands the one teach a network that reads the
other?

**Cross-modal distillation** does this. A *teacher* is trained on the modality
that has labels. Then it is shown the pairs: it looks at its side of a pair and
says what it sees, and the *student* learns to say the same from the other side.
No label is needed for the pairs. The idea was published as *supervision
transfer* by [Gupta et al. (2016)](https://arxiv.org/abs/1507.00448), for depth
images taught by colour images; the objective that we use here, to match
softened predictions, is that of [Hinton et al.
(2015)](https://arxiv.org/abs/1503.02531).

In this example a teacher that reads handwritten digits teaches a student that
hears spoken ones. What we want to see, on the test set and over three seeds:

- the student, **without a label**, is at least 20 points better than the same
  network trained on five labels per digit;
- it is within 5 points of the same network trained on all 1,200 labels;
- and it owes this to the pairs: with half of them wrong it is at least 5 points
  worse.

The script checks these at its end.
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

import keras
import numpy as np
from keras import layers

import keras_xkd as xkd

SEEDS = (0, 1, 2)
EPOCHS = 12  # of 20 steps
BATCH_SIZE = 60
PER_DIGIT = 5  # labels of the baseline

output = pathlib.Path(os.environ.get("OUTPUT", "."))

"""
## The data

`av_digits` comes with the package: 1,797 pairs of a real 8x8 image of a
handwritten digit and the spectrogram of a spoken one (40 frames of 32 mel
bands, synthetic voices in noise). Images and voices of the test set do not
occur in the other splits.

**The pairs were made by matching the digit.** The person who wrote is not the
one who speaks: the two sides of a pair have the digit in common, and nothing
else. This makes the pairs of this data set as informative as pairs can be. Keep
it in mind when you read the numbers.
"""

splits = xkd.datasets.av_digits.load_data()
(x_train, y_train), _, (x_test, y_test) = splits
print({name: values.shape for name, values in x_train.items()})

"""
## The networks

Two small convolutional networks that return logits. A network reads the
modality that its input is named after, here `"image"` or `"audio"`; this is how
the batches of the distiller, dicts `{modality: array}`, find their networks.
"""


def image_network():
    inputs = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, classify(x), name="image_network")


def audio_network():
    inputs = keras.Input((40, 32), name="audio")
    x = layers.Conv1D(32, 5, padding="same", activation="relu")(inputs)
    x = layers.MaxPooling1D(2)(x)
    x = layers.Conv1D(64, 3, padding="same", activation="relu")(x)
    x = layers.GlobalMaxPooling1D()(x)
    return keras.Model(inputs, classify(x), name="audio_network")


def classify(x):
    x = layers.Dropout(0.3)(x)
    x = layers.Dense(64, activation="relu", name="features")(x)
    return layers.Dense(10, name="logits")(x)


"""
## The distiller

The student gets pairs and no labels. In each step `CrossModalDistiller` runs
the teacher on the images, without training it, and the student on the sounds.
The default objective is `SoftTargets(temperature=4)`, the divergence between
the predictions of both. They are softened, so that the student also learns
which other digits the teacher finds similar. Another objective would be one
argument of `compile`.
"""

teacher, student = image_network(), audio_network()
distiller = xkd.distillers.CrossModalDistiller(student=student, teacher=teacher)
baseline = audio_network()


def compile(model, **arguments):
    rate = keras.optimizers.schedules.CosineDecay(3e-3, EPOCHS * 20)
    model.compile(keras.optimizers.Adam(rate), **arguments)


loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
compile(teacher, loss=loss)
compile(baseline, loss=loss)
compile(distiller)

"""
## Fair comparisons

All networks get the same number of steps, with a rate that falls to zero. The
audio networks of a seed also start from the same weights. What differs is what
they are trained on.

`train` gives a network new weights and its optimizer a new start, so that it is
compiled once and not for every seed.
"""


def train(model, network, make_network, seed, x, y=None):
    keras.utils.set_random_seed(seed)
    network.set_weights(make_network().get_weights())
    for variable in model.optimizer.variables:
        variable.assign(np.zeros(variable.shape))
    model.fit(x, y, batch_size=BATCH_SIZE, epochs=EPOCHS, verbose=0)


"""
The baseline with few labels repeats its 50 samples, so that its epochs have as
many steps as those of the others.
"""


def few_labels(seed):
    x, y = xkd.data.few_labels(x_train, y_train, PER_DIGIT, seed)
    rows = np.resize(np.arange(len(y)), len(y_train))
    return x["audio"][rows], y[rows]


"""
To see what the pairs are worth, another student gets pairs of which half are
wrong: their images are exchanged at random. Pairs from the wild have such
errors, where a sound does not belong to what is seen.
"""


def exchange_half(pairs, seed):
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(pairs["image"]))[::2]
    images = pairs["image"].copy()
    images[rows] = images[rng.permutation(rows)]
    return {**pairs, "image": images}


"""
## Training

`distiller.fit(pairs)` has no labels. `student` is an ordinary Keras model,
which does not know that it had a teacher: it is evaluated, saved and exported
by itself. The test set is used here, and only here; no setting was chosen on
it.
"""


def predict(network, modality):
    logits = network(x_test[modality], training=False)
    return keras.ops.convert_to_numpy(logits).argmax(-1)


TEACHER = "teacher: images, all labels"
FEW = f"audio, {PER_DIGIT} labels per digit"
ALL = "audio, all labels"
DISTILLED = "audio, no label, distilled"
WRONG = "distilled, half of the pairs wrong"
scores = {row: [] for row in (TEACHER, FEW, ALL, DISTILLED, WRONG)}


def score(row, network, modality):
    right = predict(network, modality) == y_test
    scores[row].append(100 * right.mean())


pairs = {name: x_train[name] for name in ("audio", "image")}
audio = (baseline, baseline, audio_network)
for seed in SEEDS:
    images = x_train["image"]
    train(teacher, teacher, image_network, seed, images, y_train)
    score(TEACHER, teacher, "image")
    train(*audio, seed, *few_labels(seed))
    score(FEW, baseline, "audio")
    train(*audio, seed, pairs["audio"], y_train)
    score(ALL, baseline, "audio")
    wrong = exchange_half(pairs, seed)
    train(distiller, student, audio_network, seed, wrong)
    score(WRONG, student, "audio")
    train(distiller, student, audio_network, seed, pairs)
    score(DISTILLED, student, "audio")

for row, values in scores.items():
    mean, spread = np.mean(values), np.std(values, ddof=1)
    print(f"{row:<34} {mean:5.1f} %, SD {spread:.1f}")

"""
## What happened

Each dot is a seed, the diamond is their mean, and the line is its 95 %
interval.
"""

figure = xkd.visualization.plot_comparison(
    scores, metric="test accuracy (%)", chance=10
)
figure.savefig(output / "cross_modal_distillation.png")

"""
With five labels per digit the network recognises about half of the test sounds.
The student has not seen one label, and comes close to the network with all
1,200 of them. With half of the pairs wrong it still beats few labels, but the
wrong images have cost it a good part.

The student of the last seed, digit by digit. A row is what was said, a column
what the student heard.
"""

figure = xkd.visualization.plot_confusion(y_test, predict(student, "audio"))
figure.savefig(output / "cross_modal_confusion.png")

"""
No digit is lost: the student has learnt all ten, and nobody has named one to
it.

## The claim, checked

The comparison is within seeds: the same initial weights and, with few labels,
the same choice of them.
"""


def gain(row, baseline):
    return np.mean(np.subtract(scores[row], scores[baseline]))


print(f"Distilled against few labels: {gain(DISTILLED, FEW):+.1f} points")
print(f"Distilled against all labels: {gain(DISTILLED, ALL):+.1f} points")
print(f"Half of the pairs wrong:      {gain(WRONG, DISTILLED):+.1f} points")
assert gain(DISTILLED, FEW) > 20
assert gain(DISTILLED, ALL) > -5
assert gain(WRONG, DISTILLED) < -5

"""
## What this does not show

**That pairs come for free.** These pairs were made by matching the digit. Each
of them tells the student, through a teacher that is nearly always right, about
as much as a label would. A sound track says less about its frames than that,
and the student can learn from a pair only what both sides have in common. With
half of the pairs wrong it already falls behind.

**That a student beats its teacher.** The teacher reads images and is much
better. It sets the limit.

The intervals cover the seeds, not the choice of the 300 test samples, whose own
standard error is about 2 points here.

## With the full data

Replace the networks by `models.video_encoder("dinov2_small")` and
`models.audio_encoder("whisper_tiny_en")`, each with a `Dense` head on its
`"features"`, and `av_digits` by your videos: `keras_xkd.data.load` of
`datasets.PairedMedia(...)` with `preprocess=[video.preprocess,
audio.preprocess]`, which makes of files what the encoders read.

## References

- S. Gupta, J. Hoffman and J. Malik, Cross Modal Distillation for Supervision
  Transfer, CVPR 2016. [arXiv:1507.00448](https://arxiv.org/abs/1507.00448)
- G. Hinton, O. Vinyals and J. Dean, Distilling the Knowledge in a Neural
  Network, 2015. [arXiv:1503.02531](https://arxiv.org/abs/1503.02531)
"""
