"""
Title: Missing modalities: train with gaps, and serve with gaps
Author: The keras_xkd contributors
Date created: 2026/11/21
Last modified: 2026/11/21
Description: Learn from samples with gaps, and answer whatever is missing.
Accelerator: None
"""

"""
## Introduction

Multimodal data has gaps. A camera is off, a sound track is silent, a text is
missing. Two questions follow. In *training*: must samples with a gap be thrown
away? In *use*: what does a network do when a modality that it was trained with
is not there?

Three answers:

1. **Mask what is missing.** A batch says which samples have which modality, and
   what is absent does not count: in the fusion of features, in losses and in
   metrics. So all samples can be used.
2. **Modality dropout.** In training, modalities are taken away on purpose,
   whole and from single samples, so that the network learns to do without each
   of them ([Neverova et al., 2016](https://arxiv.org/abs/1501.00102)). This is
   for training data that have no gaps, or too few.
3. **A student for the worst case.** If one modality will *always* be missing, a
   small network for the others, taught by the large one, is enough, and needs
   no label.

What we want to see, on the test set and over three seeds:

- a network trained on all samples is better than one trained on the complete
  ones, with both modalities, and by more than 10 points with either alone;
- on the complete samples, modality dropout is worth more than 5 points with one
  modality alone, and costs less than 3 points with both;
- a small network that listens, taught without a label, is within 6 points of
  what the large network makes of the sound alone.
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
EPOCHS, BATCH_SIZE = 12, 60  # epochs of 20 steps

output = pathlib.Path(os.environ.get("OUTPUT", "."))

"""
## Data with gaps

`av_digits` comes with the package: images of handwritten digits, paired with
spoken ones by the digit. Noise makes the images about as hard as the sounds. In
the training set 30 % of the samples lack their sound, and 50 % their image.

An absent modality is an array of zeros like any other, so that batches keep
their shape. What tells it from real zeros is `x["present"]`, with 1 or 0 for
every sample and modality.
"""


def load(seed):
    splits = xkd.datasets.av_digits.load_data(
        degrade={"image": {"noise": 1.0}},
        missing={"audio": 0.3, "image": 0.5},
        seed=seed,
    )
    (x, y), validation, test = splits
    present = np.stack([x["present"]["audio"], x["present"]["image"]])
    some = present.any(axis=0)  # A sample without both teaches nothing.
    return (xkd.data.take(x, some), y[some]), validation, test


(x, y), _, _ = load(seed=0)
heard, seen = (x["present"][name] > 0 for name in ("audio", "image"))
print(f"{len(y)} samples, {np.sum(heard & seen)} of them complete")

"""
## The networks

A `LateFusion` has an encoder for each modality and one head. It reads `present`
by itself. `fusion="attention"` averages the features with learned weights, of
what is there; `dropout` is the rate at which modalities are dropped in
training. One modality of a sample always stays.
"""


def image_encoder():
    inputs = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(64, activation="relu")(x))


def audio_encoder():
    inputs = keras.Input((40, 32), name="audio")
    x = layers.Conv1D(32, 5, padding="same", activation="relu")(inputs)
    x = layers.MaxPooling1D(2)(x)
    x = layers.Conv1D(64, 3, padding="same", activation="relu")(x)
    x = layers.GlobalMaxPooling1D()(x)
    return keras.Model(inputs, layers.Dense(64, activation="relu")(x))


def fused(dropout=None):
    encoders = {"audio": audio_encoder(), "image": image_encoder()}
    return xkd.models.LateFusion(
        encoders, units=10, fusion="attention", dropout=dropout
    )


def listener():
    encoder = audio_encoder()
    return keras.Model(encoder.input, layers.Dense(10)(encoder.output))


"""
## Five models

Three large networks: on the complete samples, on the complete samples with
modality dropout, and on all samples. Then two small ones that listen: one
learns from labels; the other, without labels, from what the third large network
says, which sees the image too where there is one.
"""

COMPLETE = "complete samples"
DROPOUT = "complete samples, modality dropout"
SAMPLES = "all samples"
LABELS = "small, sound only, from labels"
STUDENT = "small, sound only, distilled"

networks = {
    COMPLETE: fused(),
    DROPOUT: fused(dropout=0.4),
    SAMPLES: fused(),
    LABELS: listener(),
    STUDENT: listener(),
}
distiller = xkd.distillers.CrossModalDistiller(
    student=networks[STUDENT], teacher=networks[SAMPLES]
)
models = {**networks, STUDENT: distiller}
for model in models.values():
    rate = keras.optimizers.schedules.CosineDecay(3e-3, EPOCHS * 20)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss)

"""
`train` gives a network new weights and its optimizer a new start, so that it is
compiled once and not for every seed. Few samples are repeated, so that all take
the same number of steps.
"""


def train(name, fresh, seed, x, y=None):
    keras.utils.set_random_seed(seed)
    networks[name].set_weights(fresh().get_weights())
    model = models[name]
    for variable in model.optimizer.variables:
        variable.assign(np.zeros(variable.shape))
    size = len(keras.tree.flatten(x)[0])
    rows = np.resize(np.arange(size), 20 * BATCH_SIZE)
    x, y = xkd.data.take(x, rows), None if y is None else y[rows]
    model.fit(x, y, batch_size=BATCH_SIZE, epochs=EPOCHS, verbose=0)


def train_all(x, y, seed):
    heard = x["present"]["audio"] > 0
    both = heard & (x["present"]["image"] > 0)
    train(COMPLETE, fused, seed, xkd.data.take(x, both), y[both])
    train(DROPOUT, fused, seed, xkd.data.take(x, both), y[both])
    train(SAMPLES, fused, seed, x, y)
    train(LABELS, listener, seed, x["audio"][heard], y[heard])
    train(STUDENT, listener, seed, xkd.data.take(x, heard))


"""
## What each network does with which modalities

`modality_subsets` takes modalities away from a data set and measures. It asks
each network for all subsets of what it reads. The test set is used here, and
only here; sizes and rates were chosen on the validation set.
"""

results = []
for seed in SEEDS:
    (x, y), _, (x_test, y_test) = load(seed)
    train_all(x, y, seed)
    results.append(
        {
            name: xkd.diagnostics.modality_subsets(network, x_test, y_test)
            for name, network in networks.items()
        }
    )

print(results[0][SAMPLES], "\n")


def score(name, *modalities):
    """Test accuracy in percent, one number for each seed."""
    return [100 * r[name][modalities]["accuracy"] for r in results]


for name in networks:
    for modalities in results[0][name]:
        mean = np.mean(score(name, *modalities))
        print(f"{name:<34} {' + '.join(modalities):<13} {mean:5.1f} %")
sizes = [networks[name].count_params() for name in (SAMPLES, STUDENT)]
print(f"parameters: {sizes[0]:,}, and {sizes[1]:,} of the student")

"""
## What happened

The large networks of the first seed, with intervals over the test samples:
"""

large = {name: results[0][name] for name in (COMPLETE, DROPOUT, SAMPLES)}
figure = xkd.visualization.plot_missing_modalities(large)
figure.savefig(output / "missing_modalities.png")

"""
The network that knows complete samples only is lost when one modality is
missing: it has never been asked to do without. Dropout asks it to, with the
same samples, and goes most of the way. The network trained on all samples has
met gaps from the first step on, and more sounds and images than the other two.

With the sound alone, over all seeds:
"""

alone = {name: score(name, "audio") for name in networks}
figure = xkd.visualization.plot_comparison(
    alone, metric="accuracy, sound alone (%)", chance=10
)
figure.savefig(output / "missing_image.png")

"""
## The claim, checked

Differences are taken seed by seed.
"""


def gain(name, baseline, *modalities):
    found, base = score(name, *modalities), score(baseline, *modalities)
    return np.mean(np.subtract(found, base))


SUBSETS = (("audio",), ("image",), ("audio", "image"))
more = [gain(SAMPLES, COMPLETE, *modalities) for modalities in SUBSETS]
dropped = [gain(DROPOUT, COMPLETE, *modalities) for modalities in SUBSETS]
for modalities, *gains in zip(SUBSETS, more, dropped):
    title = " + ".join(modalities)
    print(f"{title:<13} all samples {gains[0]:+5.1f}, dropout {gains[1]:+5.1f}")
student = gain(STUDENT, SAMPLES, "audio")
print(f"student against the large network, sound alone: {student:+.1f}")
print(f"student against labels alone: {gain(STUDENT, LABELS, 'audio'):+.1f}")
assert min(more[:2]) > 10
assert more[2] > 0
assert min(dropped[:2]) > 5
assert dropped[2] > -3
assert student > -6

"""
## What this does not show

**That a student is better than labels.** The small network that learns from
labels is here as good as the one that is distilled. Where the labels are there,
use them; the student is for sounds without labels.

**That gaps may have any reason.** Here they are drawn at random, and say
nothing about the digit. If sounds are missing where they are hard to record, a
network trained on the rest will be surprised, and no mask helps.

**What the best rate of dropout is.** More of it prepares for the worst case and
costs where nothing is missing. Choose it on validation data that have the gaps
which you expect.

The intervals of the first picture cover the 300 test samples, those of the
second the seeds, which also choose the gaps and the noise.

## With the full data

Replace `load` by `keras_xkd.data.load(..., missing={"audio": 0.3})` of your
data set, or pass your own `x["present"]`, and the encoders by
`image_encoder(...)` and `audio_encoder(...)` of `keras_xkd.models`, whose
`preprocess` goes to `load(preprocess=[...])`.

## References

- N. Neverova, C. Wolf, G. Taylor and F. Nebout, ModDrop: adaptive multi-modal
  gesture recognition, 2016.
  [arXiv:1501.00102](https://arxiv.org/abs/1501.00102)
- G. Hinton, O. Vinyals and J. Dean, Distilling the Knowledge in a Neural
  Network, 2015. [arXiv:1503.02531](https://arxiv.org/abs/1503.02531)
"""
