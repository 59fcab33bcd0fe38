"""
Title: Will it help?
Author: The keras_xkd contributors
Date created: 2026/11/21
Last modified: 2026/11/21
Description: What two modalities have in common, measured beforehand.
Accelerator: None
"""

"""
## Introduction

A student can learn from a teacher only what its own modality shows. If what
decides the label is heard but not seen, no teacher makes a student see it; and
a teacher that knows other things than the student can even harm.

`keras_xkd.diagnostics` asks before you distil:

| Function | Question | Needs |
|---|---|---|
| `mutual_information` | how much do two views share? | pairs |
| `complementarity` | do teacher and student share more than the student already knows of the labels? | two networks trained on labels, pairs with labels |
| `modality_distance` | how far apart are the embeddings of two modalities? | pairs of embeddings |
| `modality_subsets` | what does each modality add to a trained network? | that network, labels |

None of them trains a distiller. Here each is tried on data whose answer is
known, so that you see what it tells and what it does not. The claim to be
checked at the end: where `complementarity` expects no help, distillation
harms, and where it expects help, distillation helps.
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
from keras_xkd import diagnostics
from keras_xkd.datasets import correlated_gaussians
from keras_xkd.datasets import latent_factors

output = pathlib.Path(os.environ.get("OUTPUT", "."))
keras.utils.set_random_seed(0)

"""
## How much do two views share?

`latent_factors` makes two views of shared and private Gaussian factors, and
says their mutual information. The estimate learns on one half of the pairs
which rows belong together, and is tested on the other half: it is a lower
bound, in nats (natural units of information: 1 nat is 1.44 bits).
"""

print("shared factors   true   estimate   95 % interval")
for shared in (0, 2, 4):
    data = latent_factors.load_data(shared=shared, label_share={"a": 1.0})
    found = diagnostics.mutual_information(data.x["a"], data.x["b"])
    true = data.mutual_information["a;b"]
    low, high = found.interval
    print(
        f"{shared:14} {true:6.3f} {found.estimate:10.3f}"
        f"   {low:.3f} to {high:.3f}"
    )
    assert found.estimate < true + 0.05

"""
Labels work as well. What a view knows of them can be at most the entropy of
the labels, 0.693 nats for two equal classes:
"""

found = diagnostics.mutual_information(data.x["a"], data.y)
print(found)
print(f"The true value is {data.mutual_information['a;y']:.3f}.")

"""
Two things to keep in mind. The estimate cannot exceed `log(pairs / 2)`, and
says so when it comes close. And the pairs must be independent: clips of one
recording on both sides let it recognise the recording.

## Does the teacher know what the student lacks?

Shared information is not yet useful information: two views may share what
has nothing to do with the label. `correlated_gaussians` has two views of one
linear problem, and `gamma` is the share of the decisive dimensions that both
see. 200 samples train; of the others, half are for the diagnosis and half for
the verdict.

To have ten seeds at once, each network below holds ten linear classifiers
side by side, one for each seed. This is only to save time.
"""

SEEDS = 10
STEPS = 500


def load(gamma):
    """Training, diagnosis and verdict; each array has an axis of seeds."""
    load_data = correlated_gaussians.load_data
    draws = [load_data(gamma, seed=seed) for seed in range(SEEDS)]
    splits = []
    for part in zip(*draws):
        x = {
            view: np.stack([x[view] for x, _ in part], axis=1)
            for view in ("teacher", "student")
        }
        splits.append((x, np.stack([y for _, y in part], axis=1)))
    train, (x, y) = splits
    first, second = slice(None, 500), slice(500, None)
    return train, *((xkd.data.take(x, r), y[r]) for r in (first, second))


def classifiers(view, width):
    inputs = keras.Input((SEEDS, width), name=view)
    logits = layers.EinsumDense(
        "bsd,sdc->bsc", (SEEDS, 2), kernel_initializer="zeros"
    )(inputs)
    return keras.Model(inputs, logits)


def train(model, x, y):
    """Gradient descent on all samples at once."""
    batches = ((x, y) for _ in range(STEPS))
    model.fit(batches, steps_per_epoch=STEPS, shuffle=False, verbose=0)


def alone(view, x, y):
    model = classifiers(view, x[view].shape[-1])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1 * SEEDS), loss)
    train(model, x[view], y)
    return model


def distilled(teacher, x, y):
    student = classifiers("student", x["student"].shape[-1])
    distiller = xkd.distillers.CrossModalDistiller(
        student=student, teacher=teacher
    )
    distiller.compile(
        keras.optimizers.SGD(0.1 * SEEDS),
        "sparse_categorical_crossentropy",
        distillation_loss=xkd.losses.SoftTargets(temperature=1.0),
        loss_weights={"task": 1.0, "distillation": 1.0},
    )
    train(distiller, x, y)
    return student


def logits(model, x):
    return keras.ops.convert_to_numpy(model(x))


"""
The diagnosis trains teacher and student on the labels alone, and compares
what they give for pairs that neither has seen. The default,
`compare="decisions"`, takes from both only what decides the label.
"""


def diagnose(teacher, student, x, y, seed, compare="decisions"):
    return diagnostics.complementarity(
        logits(teacher, x["teacher"])[:, seed],
        logits(student, x["student"])[:, seed],
        y[:, seed],
        compare=compare,
    )


gammas, gains, differences = (0.0, 0.25, 1.0), {}, {}
student = None
for gamma in gammas:
    (x, y), (x_diagnosis, y_diagnosis), (x_verdict, y_verdict) = load(gamma)
    teacher = alone("teacher", x, y)
    # What the student sees and its labels are the same for every gamma.
    student = student or alone("student", x, y)
    results = [
        diagnose(teacher, student, x_diagnosis, y_diagnosis, seed)
        for seed in range(SEEDS)
    ]
    taught = distilled(teacher, x, y)
    correct = [
        logits(m, x_verdict["student"]).argmax(axis=-1) == y_verdict
        for m in (taught, student)
    ]
    gains[gamma] = 100 * np.subtract(*[c.mean(axis=0) for c in correct])
    differences[gamma] = np.array([r.difference for r in results])
    if gamma in (0.0, 1.0):
        print(f"gamma {gamma}, the first seed: {results[0]}\n")

print("gamma   teacher;student - student;labels   gain (points)")
for gamma in gammas:
    gain, difference = gains[gamma], differences[gamma]
    print(f"{gamma:5.2f}   {difference.mean():+20.2f} {gain.mean():+25.1f}")

"""
The difference of the two sides changes its sign where the gain does. With a
hundred seeds the gains are -3.1, -0.6 and +3.0 points (`RESULTS.md`).

Close to balance a verdict of one sample goes either way, and the gain is small.
`"unclear"` is a frequent answer, and an honest one.

`compare="features"` compares all that the two sets of features share,
relevant or not: the hypothesis as it was published ([Xie et al.,
2025](https://arxiv.org/abs/2510.13182)). On 22 problems of
`RESULTS.md` it contradicted the measured gain in nine, while decisions never
did. Here are both for the raw views at gamma 0.11, where distillation harms:
"""

_, (x, y) = correlated_gaussians.load_data(0.11, seed=0)
for compare in ("decisions", "features"):
    found = diagnostics.complementarity(
        x["teacher"], x["student"], y, compare=compare
    )
    print(f"{compare}: {found.verdict}, difference {found.difference:+.2f}")

"""
## How far apart are two modalities?

A method such as `CMCD` brings the embeddings of two modalities together. How
far they are still apart is measured by a classifier that tries to tell them
apart, and by the cosine of the pairs. For two Gaussians whose means are 3
apart in one of 16 dimensions the total variation (0: one distribution, 1: no
overlap) is 0.866:
"""

a, b = np.random.default_rng(0).normal(size=(2, 1000, 16))
b[:, 0] += 3
found = diagnostics.modality_distance(a, b)
print(found)
assert abs(found.total_variation - 0.866) < 0.05

"""
A small distance is no promise. In `RESULTS.md` the distance follows the error
of the student while the number of common factors changes; when only the label
moves from private to common factors, no distance notices.

## What does each modality add?

For a network that reads several modalities, `modality_subsets` takes each
away. Below, half of what decides the label is shared, a quarter is in each
view alone: both together must know more than either.
"""

problem = dict(
    shared=2,
    private=2,
    label_share={"shared": 0.5, "a": 0.25, "b": 0.25},
    seed=0,
)
train_data = latent_factors.load_data(4000, sample_seed=0, **problem)
held_out = latent_factors.load_data(2000, sample_seed=1, **problem)


def encoder(view):
    inputs = keras.Input((16,), name=view)
    return keras.Model(inputs, layers.Dense(32, activation="relu")(inputs))


model = xkd.models.LateFusion(
    {view: encoder(view) for view in ("a", "b")},
    units=2,
    fusion="mean",
    dropout=0.3,
)
model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
model.fit(train_data.x, train_data.y, epochs=8, batch_size=100, verbose=0)
found = diagnostics.modality_subsets(model, held_out.x, held_out.y)
print(found)
figure = xkd.visualization.plot_missing_modalities(found)
figure.savefig(output / "will_it_help.png", bbox_inches="tight")

known = held_out.mutual_information
print({name: round(known[name], 3) for name in ("a;y", "b;y", "a,b;y")})
assert found["a", "b"]["accuracy"] > found["a"]["accuracy"] + 0.02

"""
What is missing when `b` is absent is what a student that reads only `a` can
never get back from a teacher that reads both: here, what `b` alone knows. The
information that the data was made with, in nats, is printed below the table.

## The claim
"""

for gamma in (0.0, 1.0):
    helps = gamma == 1.0
    assert (gains[gamma].mean() > 0) == helps
    assert (differences[gamma].mean() > 0) == helps
print("No help was expected at gamma 0, and help at gamma 1. So it was.")

"""
## In practice

1. Train teacher and student on the labels that you have, each alone. You need
   both anyway, as baselines.
2. Run `complementarity` on held-out pairs with labels. `"help"`: distil.
   `"not"`: expect no gain over the student alone with these labels.
   `"unclear"`: a small gain at best; try with several seeds.
3. All of this is about problems like those that were measured: two classes,
   linear networks. It is evidence, and no theorem.

## Where to read on

- `guides/choosing_a_method.py`: what to use when the answer is yes.
- `guides/fair_evaluation.py`: to see whether it did help.
- `RESULTS.md`, "Can a gain be foreseen?": all 22 problems.
"""
