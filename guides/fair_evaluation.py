"""
Title: Evaluating students fairly
Author: The keras_xkd contributors
Date created: 2026/11/21
Last modified: 2026/11/21
Description: Baselines, seeds, intervals, probes, and a gain that is none.
Accelerator: None
"""

"""
## Introduction

A student was distilled and its accuracy is higher than before. Is the method
better, or was it luck? This guide measures the same small problem with care:

1. what to compare with: the student alone, with the same labels and steps;
2. a "gain" of a method that does nothing, and how it vanishes over seeds;
3. a gain that stays, with its interval, from paired seeds;
4. a probe, to compare representations and not heads;
5. why the test split waits until the end.

The problem: 1,200 pairs of images of digits and spoken digits
(`keras_xkd.datasets.av_digits`), a teacher that sees, a student that hears and
has 50 labels.
"""

"""
## Setup
"""

"""shell
pip install -q "keras-xkd[jax,viz]"
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # or "tensorflow", "torch"

import itertools
import pathlib

import keras
import numpy as np
from keras import layers

import keras_xkd as xkd

output = pathlib.Path(os.environ.get("OUTPUT", "."))
SEEDS = range(5)
(x, y), (x_val, y_val), _ = xkd.datasets.av_digits.load_data()
x = {name: x[name] for name in ("audio", "image")}

"""
The third split, the test, is thrown away here: everything below looks at the
validation split. Its voices and images are in no other split. When you split
data of your own, keep the recordings of one person, or the clips of one video,
together.
"""


def network(modality):
    inputs = keras.Input(x[modality].shape[1:], name=modality)
    features = layers.Flatten()(inputs)
    features = layers.Dense(64, activation="relu", name="features")(features)
    return keras.Model(inputs, layers.Dense(10)(features))


def in_order(rows, seed):
    """Eight epochs of rows, each shuffled, one after the other."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.permutation(rows) for _ in range(8)])


def train(model, x, y=None, loss=None, **arguments):
    """The budget is the same for everybody: 160 steps of 60 samples."""
    model.compile(keras.optimizers.Adam(2e-3), loss, **arguments)
    model.fit(x, y, batch_size=60, shuffle=False, verbose=0)
    return model


def decisions(model):
    logits = model(x_val["audio"], training=False)
    return keras.ops.convert_to_numpy(logits).argmax(axis=-1)


def accuracy(model):
    return 100 * np.mean(decisions(model) == y_val)


"""
## The baselines

Three numbers belong beside that of any distilled student:

- **The student alone**: the same network from the same initial weights, with
  the same labels and as many steps. 50 labels make a short epoch; they are
  repeated, so that the steps are as many as those of the student that sees
  1,200 pairs. Without this the longer training would count as a gain.
- **The teacher**, which says how much there is to learn.
- **The student with all labels**, if you have them: what the pairs replace.
"""

loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


everything = np.arange(len(y))


def few(seed):
    """50 rows, repeated until they are as many as all, in a random order."""
    labels = xkd.data.hide_labels(y, per_class=5, seed=seed)
    return in_order(np.resize(np.flatnonzero(labels >= 0), len(y)), seed)


def alone(rows, seed):
    keras.utils.set_random_seed(seed)
    return train(network("audio"), x["audio"][rows], y[rows], loss)


keras.utils.set_random_seed(100)
rows = in_order(everything, 100)
teacher = train(network("image"), x["image"][rows], y[rows], loss)
of_teacher = teacher.predict(x_val["image"], verbose=0).argmax(axis=-1)
print(f"teacher: {100 * np.mean(of_teacher == y_val):.1f} %")

models = {
    "alone, 50 labels": [alone(few(seed), seed) for seed in SEEDS],
    "alone, all labels": [
        alone(in_order(everything, seed), seed) for seed in SEEDS
    ],
}

"""
The seed chooses the initial weights, the order of the batches and the 50
labels: all that is left to chance in the student. The teacher is the same for
all seeds, so that what follows is about students of this teacher.

The order is given as an array, with `shuffle=False`. `fit` would draw it from
the random state, which two programs may have used differently by then, with
the same seed at their start.

## A gain that is none

Here is a distiller with a mistake: its distillation term has weight 0. It does
the same as the student alone.
"""


def mistaken(rows, seed):
    keras.utils.set_random_seed(seed)
    distiller = xkd.distillers.CrossModalDistiller(
        student=network("audio"), teacher=teacher
    )
    weights = {"task": 1.0, "distillation": 0.0}
    pairs = xkd.data.take(x, rows)
    return train(distiller, pairs, y[rows], loss, loss_weights=weights).student


"""
What would somebody see who trains each once, as one does? The runs of the
student alone are what such a method would give, with other random numbers. So
take any two of them, one as the "baseline", one as the "method":
"""

scores = {name: [accuracy(m) for m in own] for name, own in models.items()}
runs = scores["alone, 50 labels"]
lucky = max(b - a for a, b in itertools.permutations(runs, 2))
typical = np.mean([abs(b - a) for a, b in itertools.permutations(runs, 2)])
print(f"student alone, by seed: {np.round(runs, 1)}")
print(f"two runs of the same differ by {typical:.1f} points on average,")
print(f"and a lucky pair shows a gain of {lucky:+.1f} points")
assert lucky > 1

"""
Whoever tries a few seeds of the new method, and keeps the best, finds a gain.
Now with equal seeds on both sides: the same initial weights, the same 50
labels, the same batches. What luck does to one it does to the other.
"""

for seed in (0, 1):
    gain = accuracy(mistaken(few(seed), seed)) - runs[seed]
    print(f"seed {seed}: the mistaken method gains {gain:+.1f} points")
    assert abs(gain) <= 1

"""
## A gain that stays

Now the method as it should be: the student learns from its teacher, on all
pairs, and has no labels at all.
"""


def distilled(rows, seed):
    keras.utils.set_random_seed(seed)
    distiller = xkd.distillers.CrossModalDistiller(
        student=network("audio"), teacher=teacher
    )
    return train(distiller, xkd.data.take(x, rows)).student


models["distilled, no labels"] = [
    distilled(in_order(everything, seed), seed) for seed in SEEDS
]
scores["distilled, no labels"] = [
    accuracy(m) for m in models["distilled, no labels"]
]

"""
Take the difference seed by seed, then the mean of the differences and its
interval, which is that of Student's t over the seeds:
"""

compare = xkd.diagnostics.compare_seeds
result = compare(scores, baseline="alone, 50 labels")
print(result)
assert result["distilled, no labels"]["difference"]["low"] > 5

figure = xkd.visualization.plot_comparison(
    scores, metric="validation accuracy (%)", chance=10
)
figure.savefig(output / "fair_evaluation.png", bbox_inches="tight")

"""
If the interval contains zero, the result is "unclear", and this is what to
write: not "a small gain", and not "no gain" either. More seeds make the
interval shorter, with the square root of their number.

Report the mean, the interval, the number of seeds and what a seed chooses. Do
not drop seeds that failed.

**What the interval does not cover**: the choice of the samples. It says what
other seeds would give on these 297 samples. A proportion has a standard error
of its own:
"""

p, n = np.mean(scores["distilled, no labels"]) / 100, len(y_val)
print(
    f"{100 * p:.1f} % of {n} samples: +- {100 * (p * (1 - p) / n) ** 0.5:.1f}"
)

"""
`keras_xkd.diagnostics.modality_subsets` and `deployment_report` give intervals
over samples.

## Representations: a probe

A student that learns features has no head, or one that learned from other
labels. To compare features, train the same small head on all of them.
`LinearProbe` trains a linear layer and leaves the encoder as it is. The
baseline is the same network without any training: random features are better
than one thinks.
"""


def probe(model, seed):
    rows = few(seed)
    encoder = keras.Model(model.input, model.get_layer("features").output)
    keras.utils.set_random_seed(seed)
    probe = xkd.models.LinearProbe(encoder, units=10)
    return train(probe, x["audio"][rows], y[rows], loss)


scores["probe, untrained"] = []
scores["probe, distilled"] = []
for seed in SEEDS:
    keras.utils.set_random_seed(seed)
    untrained, student = network("audio"), models["distilled, no labels"][seed]
    scores["probe, untrained"].append(accuracy(probe(untrained, seed)))
    scores["probe, distilled"].append(accuracy(probe(student, seed)))
probes = {name: v for name, v in scores.items() if name.startswith("probe")}
result = compare(probes)
print(result)
assert result["probe, distilled"]["difference"]["low"] > 5

"""
The probes have 50 labels, those of the student alone: so the two can be
compared as well. Give every encoder the same probe, with the same rate and
steps, or choose these for each by the same search.

## The test split waits

Each choice that is made by a split makes the numbers on that split too good:
the epoch, the learning rate, the seed. This can be seen with the validation
split alone. Split it at random, choose the best of five students by one half,
and look at its accuracy on both:
"""

right = np.stack([decisions(m) == y_val for m in models["alone, 50 labels"]])
rng = np.random.default_rng(0)
chosen_by, other = [], []
for _ in range(300):
    order = rng.permutation(len(y_val))
    first, second = order[: n // 2], order[n // 2 :]
    best = right[:, first].mean(axis=1).argmax()
    chosen_by.append(100 * right[best, first].mean())
    other.append(100 * right[best, second].mean())
print(
    f"the best of five, on the half that chose it: {np.mean(chosen_by):.1f} %"
)
print(f"on the other half:                           {np.mean(other):.1f} %")
assert np.mean(chosen_by) > np.mean(other)

"""
Nothing was trained in between: the difference is the choice, of five, alone.
Choose on the validation split, and look at the test split once, for all rows of
the table, when nothing is left to choose. The benchmarks of this package do so
(`python -m keras_xkd demo`).

## A checklist

- The student alone: same labels, steps, initial weights and search.
- At least five seeds; a seed chooses all that is left to chance.
- Differences by seed, their mean and interval; "unclear" if it contains 0.
- The teacher, and the student with all labels where there are some.
- No person, recording or video on two sides of a split.
- The test split once, at the end.
- What was tried and did not help.

## Where to read on

- `RESULTS.md`: every table of this package was made like this, and says what
  it does not show.
- `guides/will_it_help.py`: what can be known before training.
- `guides/deploying_the_student.py`: size and speed, with intervals.
"""
