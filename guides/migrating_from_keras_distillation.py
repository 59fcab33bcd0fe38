"""
Title: From keras.distillation to keras_xkd
Author: The keras_xkd contributors
Date created: 2026/11/21
Last modified: 2026/11/21
Description: The same training in both, and what changes when you move over.
Accelerator: None
"""

"""
## Introduction

Keras has a small distillation API of its own, `keras.distillation`. For one
teacher and one student that read the same input it may be all you need. You
will want to move over when

- teacher and student read **different inputs**, such as images and sound;
- there is more than one teacher, or a network that trains beside the student;
- you have no labels, or weights for the samples;
- you save the distiller and want to go on training;
- you use the default loss on logits, which is not the textbook's.

This guide shows the two side by side. Each difference is shown by code that
runs, and at the end the two train the same student to the same weights. What
is said about `keras.distillation` is what Keras 3.15.1 does.
"""

"""
## Setup
"""

"""shell
pip install -q "keras-xkd[jax]"
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # or "tensorflow", "torch"

import tempfile
import warnings

import keras
import numpy as np
from keras import distillation
from keras import layers
from keras import ops

import keras_xkd as xkd

rng = np.random.default_rng(0)
image = rng.normal(size=(64, 6)).astype("float32")
sound = rng.normal(size=(64, 4)).astype("float32")
labels = rng.integers(0, 3, 64)


def network(modality, width, *more):
    """Features and logits of a modality; `more` are layers in between."""
    inputs = keras.Input((width,), name=modality)
    x = layers.Dense(8, activation="relu", name="features")(inputs)
    for layer in more:
        x = layer(x)
    return keras.Model(inputs, layers.Dense(3, name="logits")(x))


def error_of(call):
    """What a call raises, up to the first full stop."""
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {str(error).split('. ')[0]}."
    return "no error"


"""
## The same in both

This is the training that you may have now. The loss is
`student_loss_weight` times the loss of the student, and the rest times the
distillation loss:

```python
distiller = keras.distillation.Distiller(
    teacher=teacher,
    student=student,
    distillation_losses=keras.distillation.LogitsDistillation(
        temperature=3.0, loss=keras.losses.KLDivergence()
    ),
    student_loss_weight=0.5,
)
distiller.compile("adam", loss=..., metrics=["accuracy"])
distiller.fit(x, y)
```

and this is what it becomes:

```python
distiller = xkd.distillers.CrossModalDistiller(
    teacher=teacher, student=student
)
distiller.compile(
    "adam",
    loss="sparse_categorical_crossentropy",
    distillation_loss=xkd.losses.SoftTargets(temperature=3.0),
    loss_weights={"task": 0.5, "distillation": 0.5},
    metrics=["accuracy"],
)
distiller.fit({"image": x}, y)
```

| `keras.distillation` | `keras_xkd` |
|---|---|
| `distillation_losses` of the constructor | `distillation_loss` of `compile` |
| a list of losses | a dict `{term: loss}` |
| `student_loss_weight`, `distillation_loss_weights` | `loss_weights` |
| `LogitsDistillation(3.0, loss=KLDivergence())` | `SoftTargets(3.0)` |
| `FeatureDistillation("mse", layer, layer)` | `FeatureMatching()` |
| layer names in the loss | `keras_xkd.models.tap(model, {name: layer})` |
| `loss` reads logits only if it says so | a loss by name reads logits |
| `student_loss`, `distillation_loss` in logs | `task_loss`, `<term>_loss` |
| `distiller.student` | `distiller.student` |

Objectives and their weights are arguments of `compile`: they belong to a
training, and not to a network. The defaults differ: 0.5 and 0.5 there, 0.1
for the task and 0.9 for distillation here, both if you say nothing.

Here are both, from the same weights, with plain gradient descent:
"""

teacher = network("image", 6)
old_student = network("image", 6)
new_student = keras.models.clone_model(old_student)
new_student.set_weights(old_student.get_weights())

old = distillation.Distiller(
    teacher=teacher,
    student=old_student,
    distillation_losses=distillation.LogitsDistillation(
        temperature=3.0, loss=keras.losses.KLDivergence()
    ),
    student_loss_weight=0.5,
)
old.compile(
    keras.optimizers.SGD(0.1),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
new = xkd.distillers.CrossModalDistiller(teacher=teacher, student=new_student)
new.compile(
    keras.optimizers.SGD(0.1),
    loss="sparse_categorical_crossentropy",
    distillation_loss=xkd.losses.SoftTargets(temperature=3.0),
    loss_weights={"task": 0.5, "distillation": 0.5},
)
options = dict(epochs=5, batch_size=32, shuffle=False, verbose=0)
old.fit(image, labels, **options)
new.fit({"image": image}, labels, **options)

pairs = zip(old_student.get_weights(), new_student.get_weights())
difference = max(np.abs(a - b).max() for a, b in pairs)
print(f"largest difference of a weight after 10 steps: {difference:.1e}")
assert difference < 1e-5

"""
## Pitfall 1: the default loss on logits

Above, `LogitsDistillation` was given an object, `keras.losses.KLDivergence()`.
Its default is the string `"kl_divergence"`, and then no softmax is taken: the
logits, divided by the temperature, go into the divergence as if they were
probabilities. The value is another one, and it changes if a number is added to
all logits, which changes no probability.
"""

of_teacher = ops.convert_to_tensor([[8.0, 0.0, -4.0], [1.0, 5.0, 2.0]])
of_student = ops.convert_to_tensor([[0.0, 6.0, -2.0], [3.0, 1.0, 2.0]])


def values(loss):
    return [
        float(loss(of_teacher + shift, of_student + shift)) for shift in (0, 1)
    ]


default = values(distillation.LogitsDistillation(3.0).compute_loss)
textbook = values(
    distillation.LogitsDistillation(
        3.0, loss=keras.losses.KLDivergence()
    ).compute_loss
)
soft_targets = values(xkd.losses.SoftTargets(temperature=3.0))
rows = {
    "LogitsDistillation()": default,
    "LogitsDistillation(loss=KLDivergence())": textbook,
    "SoftTargets()": soft_targets,
}
print(f"{'':40} as they are   plus one")
for name, (plain, shifted) in rows.items():
    print(f"{name:40} {plain:11.3f} {shifted:10.3f}")
assert abs(default[0] - default[1]) > 1
np.testing.assert_allclose(textbook, 9.465, atol=1e-3)
np.testing.assert_allclose(soft_targets, 9.465, atol=1e-3)

"""
9.465 is the textbook's value: the squared temperature times the divergence of
the softened probabilities, averaged over the two samples. A run with the
default has minimised something else. When you move it over its results change,
and its temperature and weights need not fit.

## Pitfall 2: different inputs

`keras.distillation` compares the inputs of Functional and Sequential networks,
and refuses those that differ. Here a batch is a dict `{modality: tensor}`, and
each network takes what its inputs are named after. The student below listens,
its teacher sees.
"""

teacher, student = network("image", 6), network("audio", 4)
print(
    "keras.distillation raised",
    error_of(
        lambda: distillation.Distiller(
            teacher, student, distillation.LogitsDistillation()
        )
    ),
)
distiller = xkd.distillers.CrossModalDistiller(student=student, teacher=teacher)
distiller.compile("adam", "sparse_categorical_crossentropy")
x = {"image": image, "audio": sound}
distiller.fit(x, labels, verbose=0)
print("keras_xkd: trained on", sorted(x))

"""
A modality that is missing is named. `evaluate` and `predict` need only what
the student reads.
"""

print(error_of(lambda: distiller.fit({"audio": sound}, labels, verbose=0)))
distiller.evaluate({"audio": sound}, labels, verbose=0)

"""
## Pitfall 3: features of another width

`FeatureDistillation` compares two layers that must have the same width. Here
the student gets a learned projection where the widths differ; it belongs to
the distiller, so that the student does not grow. The teacher's features below
are 8 wide, the student's 5. Features are read in the same forward pass: where
`FeatureDistillation` names layers, the student runs twice in each step.
"""

inputs = keras.Input((4,), name="audio")
narrow = layers.Dense(5, activation="relu")(inputs)
narrow = keras.Model(inputs, layers.Dense(3)(narrow))
count = narrow.count_params()
distiller = xkd.distillers.CrossModalDistiller(student=narrow, teacher=teacher)
distiller.compile(
    "adam",
    distillation_loss={
        "kd": xkd.losses.SoftTargets(),
        "features": xkd.losses.FeatureMatching(),
    },
    loss_weights={"kd": 0.9, "features": 0.1},
)
distiller.fit(x, verbose=0)  # No labels: `loss` may be left out.
assert narrow.count_params() == count

"""
Without a name `FeatureMatching` compares what goes into the last layer. For
others, name them on both sides:
"""

tapped = [
    xkd.models.tap(network("image", 6), {"early": "features"}),
    xkd.models.tap(network("audio", 4), {"early": "features"}),
]
distiller = xkd.distillers.CrossModalDistiller(
    teacher=tapped[0], student=tapped[1]
)
distiller.compile(
    "adam",
    distillation_loss={
        "kd": xkd.losses.SoftTargets(),
        "early": xkd.losses.FeatureMatching(output="early"),
    },
)
print("terms:", sorted(distiller.fit(x, verbose=0).history))

"""
## Pitfall 4: weights of samples

`keras.distillation` takes `sample_weight` and does not use it. A sample of
weight zero teaches as much as any other. Here weights count in every term,
that of the teacher too.
"""


def moves(distiller, x, weight):
    """How far a step with these weights moves the student."""
    before = distiller.student.get_weights()
    distiller.fit(x, labels, sample_weight=weight, verbose=0)
    after = distiller.student.get_weights()
    return max(np.abs(a - b).max() for a, b in zip(before, after))


nothing = np.zeros(64, "float32")
old_move = moves(old, image, nothing)
new_move = moves(new, {"image": image}, nothing)
print(f"a step in which all weights are 0 moves the student by {old_move:.4f}")
print(f"with keras_xkd by {new_move:.4f}")
assert old_move > 0 and new_move == 0

"""
## Pitfall 5: evaluation that trains

Where `FeatureDistillation` names layers, the second pass of the student runs
with `training=True`, in `evaluate` too: batch normalisation moves, and dropout
makes two evaluations differ.
"""


def two_evaluations(distiller, x):
    """Whether two calls agree, and whether statistics stay."""

    def statistics():
        layer = distiller.student.get_layer("normalisation")
        return ops.convert_to_numpy(layer.moving_mean)

    before = statistics()
    first, second = [
        distiller.evaluate(x, labels, verbose=0, return_dict=True)
        for _ in range(2)
    ]
    same = all(np.allclose(first[name], second[name]) for name in first)
    return same, np.allclose(before, statistics())


def with_normalisation():
    normalisation = layers.BatchNormalization(name="normalisation")
    return network("image", 6, normalisation, layers.Dropout(0.5))


old_features = distillation.Distiller(
    teacher=network("image", 6),
    student=with_normalisation(),
    distillation_losses=distillation.FeatureDistillation(
        "mse", "features", "features"
    ),
)
old_features.compile(
    "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
new_features = xkd.distillers.CrossModalDistiller(
    teacher=network("image", 6), student=with_normalisation()
)
new_features.compile(
    "adam",
    "sparse_categorical_crossentropy",
    distillation_loss=xkd.losses.FeatureMatching(),
)
old_features.fit(image, labels, verbose=0)
new_features.fit({"image": image}, labels, verbose=0)
old_result = two_evaluations(old_features, image)
new_result = two_evaluations(new_features, {"image": image})
for name, result in ("keras.distillation", old_result), ("xkd", new_result):
    print(f"{name}: calls agree {result[0]}, statistics stay {result[1]}")
assert new_result == (True, True) and not old_result[1]

"""
## Pitfall 6: saving the distiller

A distiller of `keras.distillation` comes back without optimizer, losses and
metrics: it cannot go on. One of `keras_xkd` comes back compiled, and training
goes on as if it had not been interrupted. For deployment neither matters: save
the student.
"""

with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
    warnings.simplefilter("ignore")
    old.save(f"{folder}/old.keras")
    new.save(f"{folder}/new.keras")
    old_again = keras.models.load_model(f"{folder}/old.keras")
    new_again = keras.models.load_model(f"{folder}/new.keras")
print("fit again:", error_of(lambda: old_again.fit(image, labels)))
steps = int(new_again.optimizer.iterations)
new_again.fit({"image": image}, labels, verbose=0)
print(f"steps: {steps} when saved, {int(new_again.optimizer.iterations)} now")
assert steps == 12

"""
One more trace is left: `keras.distillation` sets `trainable = False` on your
teacher and leaves it so. Here the flag is not touched; the teacher's variables
are left out of the training.
"""

fresh = network("image", 6)
distillation.Distiller(fresh, network("image", 6), [])
kept = network("image", 6)
xkd.distillers.CrossModalDistiller(teacher=kept, student=network("image", 6))
print(f"trainable afterwards: {fresh.trainable} and {kept.trainable}")
assert not fresh.trainable and kept.trainable

"""
## All differences

Checked with Keras 3.15.1 on TensorFlow, JAX and PyTorch. The row on the default
loss has the teacher `[[8, 0, -4], [1, 5, 2]]`, the student
`[[0, 6, -2], [3, 1, 2]]` and temperature 3: the textbook value, averaged over
the samples, is 9.465.

| | `keras.distillation` 3.15.1 | `keras_xkd` |
|---|---|---|
| Inputs | Functional and Sequential networks must have the same number of inputs with the same shapes and dtypes, or `ValueError`. Subclassed networks are not checked. | Each network gets the modalities that it reads from a batch `{modality: tensor}`; one that is missing raises by name. |
| Outputs | Logits of the same shape. Features of different widths fail in the loss, at the first `fit`. | Features of different widths get a learned projection; logits must agree. |
| Teachers | One; a list or a dict raises. | One, a list or a dict, with one loss term for each. |
| Networks that train beside the student | None. | Further roles of a `Distiller`, each player with its own terms and, if wanted, its own optimizer. |
| Without labels | `fit(x)` trains, but `compile` demands a `loss`, and compiled metrics raise `AttributeError`. | `loss` is optional; terms and metrics that need labels are left out. |
| `sample_weight` | Ignored: weights of zero train like no weights. | Weights the rows of every term. |
| The default loss on logits | `LogitsDistillation()` passes logits, divided by the temperature, to the KL divergence as if they were probabilities: 8.425, and 0.434 after adding 1 to all logits. Infinite in float16. With `loss=keras.losses.KLDivergence()`: 9.465. | `SoftTargets()`: 9.465, also after adding 1 and in float16. |
| Student's forward passes in a step | One; two if `FeatureDistillation` names layers. | One. |
| `evaluate` | If `FeatureDistillation` names layers, the second pass of the student runs with `training=True`: BatchNormalization moves, and with Dropout two calls differ. | Inference mode; two calls agree. |
| Evaluating without the teacher's inputs | Not possible: the teacher runs. | Reports the student's loss and metrics. |
| The teacher afterwards | Stays `trainable=False`. A layer that it shares with the student is frozen in both. | Its flag is never touched. A layer shared by a frozen and a trained network raises. |
| Saving the distiller | Loads with a warning and without optimizer, losses and metrics. | Loads compiled; training goes on as if uninterrupted. |

## What to check after moving

1. Terms: `history` has `task_loss` and one `<term>_loss` for each other term.
   They are logged before their weights; `loss` is their weighted sum.
2. Numbers: with `SoftTargets` in the place of the default, choose temperature
   and weights anew, on the validation split.
3. `val_loss` is a sum of fewer terms when the validation data lacks what the
   teacher reads. Monitor a metric.

## Where to read on

- `guides/choosing_a_method.py`: what else `distillation_loss` can be, and when
  another distiller fits better.
- `guides/data_and_loaders.py`: the form of a batch.
- `guides/writing_your_own_distiller.py`: if you had subclassed
  `DistillationLoss` or overridden `compute_loss`.
"""
