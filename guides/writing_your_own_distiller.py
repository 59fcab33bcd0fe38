"""
Title: Writing your own distiller
Author: The keras_xkd contributors
Date created: 2026/11/21
Last modified: 2026/11/21
Description: A new method in 20 lines, then a second player, a memory and tests.
Accelerator: None
"""

"""
## Introduction

A distiller is a `keras.Model` whose networks play roles: a student, a teacher,
perhaps others. A method is a subclass with one function, `compute_losses`. It
runs the networks once and returns named terms. The base class,
`keras_xkd.distillers.Distiller`, does the rest, on TensorFlow, JAX and
PyTorch: weights of the terms, gradients, logs, metrics, several devices,
mixed precision and saving.

This guide writes a method in 20 lines, and then adds, one at a time, what
methods need: a weight of their own, labels of their own, a term that compares
samples, a layer, a memory, a second player that learns against the first. At
the end the method is tested.

The example is cross-modal: the teacher sees handwritten digits, the student
hears spoken ones, and it gets no labels. Nothing is downloaded.
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
from keras import ops

import keras_xkd as xkd

output = pathlib.Path(os.environ.get("OUTPUT", "."))
keras.utils.set_random_seed(0)
(x_train, y_train), (x_val, y_val), _ = xkd.datasets.av_digits.load_data()


def network(modality):
    """A classifier of one modality, which its input is named after."""
    inputs = keras.Input(x_train[modality].shape[1:], name=modality)
    x = layers.Flatten()(inputs)
    x = layers.Dense(64, activation="relu", name="features")(x)
    return keras.Model(inputs, layers.Dense(10, name="logits")(x))


teacher = network("image")
teacher.compile(
    "adam",
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
teacher.fit(x_train["image"], y_train, epochs=10, verbose=0)
_, accuracy = teacher.evaluate(x_val["image"], y_val, verbose=0)
print(f"the teacher: {accuracy:.3f}")

"""
## A method in 20 lines

The student imitates the probabilities of its teacher, and a sample counts the
more, the surer the teacher is.
"""


@keras.saving.register_keras_serializable("guide")
class SureTeacher(xkd.distillers.Distiller):
    """The student imitates the teacher where the teacher is sure."""

    def __init__(self, *, student, teacher, power=1.0, **kwargs):
        super().__init__(student=student, teacher=teacher, **kwargs)
        self.power = power

    def compute_losses(self, x, y, sample_weight, training):
        student = self.run("student", x, training)
        teacher = self.ask("teacher", x)
        p = ops.softmax(teacher["logits"])
        sureness = ops.max(p, axis=-1) ** self.power
        distance = keras.losses.categorical_crossentropy(
            p, student["logits"], from_logits=True
        )
        terms = self.task_terms(y, student, sample_weight)
        terms["imitation"] = sureness * distance
        return {"student": student}, terms, {"sureness": ops.mean(sureness)}

    def get_config(self):
        return {**super().get_config(), "power": self.power}


"""
What it uses:

- `self.run(role, x, training)` runs a network that learns. It gets the
  modalities that its inputs are named after, and returns a dict; a single
  tensor is called `"logits"`.
- `self.ask(role, x)` runs a frozen network: in inference mode, without
  gradient. By default the role `"teacher"` is frozen (`frozen = ("teacher",)`).
- `self.task_terms(y, outputs, sample_weight)` is the `loss` of `compile` as a
  term `"task"`, or nothing where there are no labels.
- A term is a scalar, or one value for each sample. The latter is weighted by
  `sample_weight` and averaged for you, and so is one value for each position
  of a sequence: reduce what should count as a sum.
- What is returned: the outputs of the networks by role, which the metrics
  read; the terms; further numbers to log. A role whose outputs are not
  returned has no metrics in that step.

The training step calls `compute_losses` once. Use `keras.ops` in it, and it
runs on every backend.
"""

distiller = SureTeacher(student=network("audio"), teacher=teacher, power=2.0)
distiller.compile("adam", metrics=["accuracy"])
history = distiller.fit(
    x_train,  # Images and sounds, no labels.
    epochs=8,
    validation_data=({"audio": x_val["audio"]}, y_val),
    verbose=0,
)
print({name: round(v[-1], 3) for name, v in history.history.items()})
assert history.history["val_accuracy"][-1] > 0.5

"""
The validation data has no images: `evaluate` needs what the student reads, and
leaves out the terms that ask the teacher. With labels, pass `y` to `fit` and a
`loss` to `compile`; every term has weight 1 unless `loss_weights` says
otherwise:

```python
distiller.compile(
    "adam",
    loss="sparse_categorical_crossentropy",
    loss_weights={"task": 0.1, "imitation": 0.9},
)
```

`get_config` has what the constructor got beside the networks, and the
decorator tells Keras the class. Then the distiller saves and loads with its
optimizer:
"""

distiller.save(output / "sure_teacher.keras")
again = keras.models.load_model(output / "sure_teacher.keras")
again.fit(x_train, epochs=1, verbose=0)
assert again.power == 2.0
distiller.student.save(output / "student.keras")  # The student alone.

"""
## Labels of your own

`targets` says what labels mean in training. What it returns takes the place of
`y`, in the task's loss. Here it is the teacher's decision, so that the
compiled loss trains without labels. In evaluation `y` stays what it is.
"""


class PseudoLabels(xkd.distillers.Distiller):
    """The student learns what its teacher would say."""

    def targets(self, x, y):
        return ops.argmax(self.ask("teacher", x)["logits"], axis=-1)

    def compute_losses(self, x, y, sample_weight, training):
        student = self.run("student", x, training)
        terms = self.task_terms(y, student, sample_weight)
        return {"student": student}, terms, {}


distiller = PseudoLabels(student=network("audio"), teacher=teacher)
distiller.compile("adam", "sparse_categorical_crossentropy")
history = distiller.fit(x_train, epochs=2, verbose=0).history
print(f"loss on pseudo-labels: {history['loss'][-1]:.3f}")

"""
### Labels that are missing

`fit(x)` has no labels at all: `y` is `None`, and `task_terms` returns nothing.
Where some samples have one, the others have -1, as `keras_xkd.data.hide_labels`
writes. The loss leaves these out if it is told to, by
`SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)`; a loss given
by name knows nothing of it, and JAX does not even fail. Metrics count -1 as a
wrong answer, as in Keras, unless the distiller says which samples have a label:

```python
def labels(self, y):
    return ops.maximum(y, 0), y >= 0
```

`task_terms(..., mask=present)` does the same for samples that lack a modality:
the mean is over those where the mask is true. A batch may say so itself, under
the key `"present"`; see the guide on data and loaders.

## A term that compares samples

Networks that return features beside their logits let terms compare these.
`keras_xkd.models.tap` gives a model further outputs; it shares its layers with
the model that you have, so that training one trains the other.

The term below wants two samples to be as similar for the student as they are
for the teacher. It compares every sample with every other, and so it needs all
of the batch. Where several devices share a batch, each of them sees only its
own samples: `self.gather` gives the rows of all. On one device it returns what
it gets. A mean over samples, as above, needs nothing of this kind.
"""


class Relations(xkd.distillers.Distiller):
    """Similar for the teacher, similar for the student."""

    def compute_losses(self, x, y, sample_weight, training):
        student = self.run("student", x, training)
        teacher = self.ask("teacher", x)
        rows = student["features"], teacher["features"]
        s, t = [self.cosines(v) for v in self.gather(rows)]
        terms = self.task_terms(y, student, sample_weight)
        terms["relations"] = ops.mean(ops.square(s - t))
        return {"student": student}, terms, {}

    def cosines(self, rows):
        rows = ops.normalize(rows, axis=-1)
        return ops.matmul(rows, ops.transpose(rows))


def tapped(model):
    return xkd.models.tap(model, {"features": "features"})


student = network("audio")
distiller = Relations(student=tapped(student), teacher=tapped(teacher))
distiller.compile("adam", "sparse_categorical_crossentropy")
history = distiller.fit(x_train, y_train, epochs=2, verbose=0).history
print({name: round(v[-1], 3) for name, v in history.items()})

"""
A tapped student predicts a dict of all its outputs. The model that was tapped
learned the same: `student` above is what you deploy.

## A layer of the method

What a method needs beside its networks, such as a projection where student and
teacher have features of different widths, is a layer that the constructor makes
and builds. The distiller trains and saves it, and `summary` lists it.
"""


class Projected(xkd.distillers.Distiller):
    """Projected features of the student come close to the teacher's."""

    def __init__(self, *, student, teacher, **kwargs):
        super().__init__(student=student, teacher=teacher, **kwargs)
        width = teacher.output["features"].shape[-1]
        self.bridge = layers.Dense(width, name="bridge")
        self.bridge.build(student.output["features"].shape)

    def compute_losses(self, x, y, sample_weight, training):
        student = self.run("student", x, training)
        teacher = self.ask("teacher", x)
        gap = self.bridge(student["features"]) - teacher["features"]
        terms = self.task_terms(y, student, sample_weight)
        terms["features"] = ops.mean(ops.square(gap), axis=-1)
        return {"student": student, "teacher": teacher}, terms, {}


distiller = Projected(student=tapped(network("audio")), teacher=tapped(teacher))
distiller.compile(
    "adam",
    "sparse_categorical_crossentropy",
    metrics={"student": "accuracy", "teacher": "accuracy"},
)
halve = xkd.callbacks.LossWeightSchedule("features", lambda n: 1 / (1 + n))
history = distiller.fit(
    x_train, y_train, epochs=2, callbacks=[halve], verbose=0
).history
print({name: round(v[-1], 3) for name, v in history.items()})

"""
The teacher's outputs are returned as well, so that it can have metrics. The
callback halves the weight of a term in the second epoch;
`distiller.set_loss_weight("features", 0.5)` does so at any time.

## A memory

A memory is a layer with variables that no gradient trains. It is a role as the
networks are: the distiller owns it, saves it, and keeps it out of the
optimizer. This one keeps a mean of the teacher's features for each class, and
changes only in training.
"""


@keras.saving.register_keras_serializable("guide")
class Prototypes(keras.layers.Layer):
    """A running mean of the features of each class."""

    def __init__(self, classes, width, momentum=0.9, **kwargs):
        super().__init__(**kwargs)
        self.classes, self.width = classes, width
        self.momentum = momentum
        self.rows = self.add_weight(
            shape=(classes, width), initializer="zeros", trainable=False
        )
        self.built = True

    def call(self, features, labels, training=None):
        rows = ops.convert_to_tensor(self.rows)
        if training:
            members = ops.one_hot(labels, self.classes, dtype=features.dtype)
            count = ops.expand_dims(ops.sum(members, axis=0), 1)
            mean = ops.matmul(ops.transpose(members), features)
            mean = mean / ops.maximum(count, 1)
            moved = rows + (1 - self.momentum) * (mean - rows)
            rows = ops.where(count > 0, moved, rows)
            self.rows.assign(rows)
        return rows

    def get_config(self):
        own = {"classes": self.classes, "width": self.width}
        return {**super().get_config(), **own, "momentum": self.momentum}


@keras.saving.register_keras_serializable("guide")
class TowardsPrototypes(xkd.distillers.Distiller):
    """Features of the student go to the teacher's prototype of the class."""

    def compute_losses(self, x, y, sample_weight, training):
        student = self.run("student", x, training)
        teacher = self.ask("teacher", x)
        labels = ops.argmax(teacher["logits"], axis=-1)
        rows, of = self.gather((teacher["features"], labels))
        prototypes = self.memory(rows, of, training=training)
        gap = student["features"] - ops.take(prototypes, labels, axis=0)
        terms = self.task_terms(y, student, sample_weight)
        terms["prototypes"] = ops.mean(ops.square(gap), axis=-1)
        return {"student": student}, terms, {}


distiller = TowardsPrototypes(
    student=tapped(network("audio")),
    teacher=tapped(teacher),
    memory=Prototypes(10, 64),
)
distiller.compile("adam", "sparse_categorical_crossentropy")
distiller.fit(x_train, y_train, epochs=2, verbose=0)
lengths = np.linalg.norm(ops.convert_to_numpy(distiller.memory.rows), axis=1)
print(f"lengths of prototypes: {lengths.min():.1f} to {lengths.max():.1f}")
distiller.save(output / "prototypes.keras")
again = keras.models.load_model(output / "prototypes.keras")
rows = ops.convert_to_numpy(again.memory.rows)
np.testing.assert_allclose(np.linalg.norm(rows, axis=1), lengths, rtol=1e-5)

"""
`gather` comes before the memory, so that it is the same on all devices. The
layer makes a tensor of its variable before it computes with it: on JAX, not
every function of `keras.ops` takes a variable.
`keras_xkd.layers.ContrastiveMemory` and `SimilarityQueue` are memories of
published methods.

## A second player

`players` says who minimises which terms. Each player's terms are
differentiated with respect to that player's own variables only, in the same
forward pass, and each may have an optimizer of its own. A player has the
networks of the role of its name; the one with None has the remaining terms
and networks.

Here a critic learns to tell the teacher's features from the student's, and the
student learns to be taken for its teacher. `summary` shows who is who.
"""


class Adversarial(xkd.distillers.Distiller):
    """The critic tells teacher from student; the student fools it."""

    players = {"student": None, "critic": ("critic",)}

    def compute_losses(self, x, y, sample_weight, training):
        student = self.run("student", x, training)
        teacher = self.ask("teacher", x)
        fake = self.critic(student["features"], training=training)[:, 0]
        real = self.critic(teacher["features"], training=training)[:, 0]
        terms = self.task_terms(y, student, sample_weight)
        terms["fool"] = ops.softplus(-fake)
        terms["critic"] = ops.softplus(fake) + ops.softplus(-real)
        logs = {"critic_right": (ops.mean(real > 0) + ops.mean(fake < 0)) / 2}
        return {"student": student}, terms, logs


def make_critic():
    return keras.Sequential(
        [keras.Input((64,)), layers.Dense(32, "relu"), layers.Dense(1)]
    )


distiller = Adversarial(
    student=tapped(network("audio")),
    teacher=tapped(teacher),
    critic=make_critic(),
)
distiller.compile(
    optimizer={
        "student": keras.optimizers.Adam(1e-3),
        "critic": keras.optimizers.Adam(1e-3),
    },
    loss="sparse_categorical_crossentropy",
    loss_weights={"fool": 0.1},
    metrics=["accuracy"],
)
distiller.summary()
history = distiller.fit(x_train, y_train, epochs=5, verbose=0)
print({name: round(v[-1], 3) for name, v in history.history.items()})

"""
`distiller.optimizer` is a `keras.optimizers.MultiOptimizer`: keep the
optimizers that you passed to change the rate of one player.

## Testing it

Four tests find most mistakes. They are short because `compute_losses` is a
function that you can call.

**The terms are what the formula says**, in plain NumPy. Compile first: this
is where `task_terms` gets its loss.
"""

student = network("audio")
distiller = SureTeacher(student=student, teacher=teacher, power=2.0)
distiller.compile("adam")
x = {name: value[:16] for name, value in x_train.items()}
_, terms, _ = distiller.compute_losses(x, None, None, training=False)


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


p = softmax(teacher.predict(x["image"], verbose=0))
q = softmax(student.predict(x["audio"], verbose=0))
expected = p.max(axis=1) ** 2 * -(p * np.log(q)).sum(axis=1)
np.testing.assert_allclose(
    ops.convert_to_numpy(terms["imitation"]), expected, rtol=1e-3
)

"""
**Each term trains whom it should, and nobody else.** With all weights but one
set to zero and plain gradient descent, see what moves:
"""


def moved_by(term, terms=("task", "fool", "critic")):
    """The roles that a step with this term alone moves."""
    distiller = Adversarial(
        student=tapped(network("audio")),
        teacher=tapped(teacher),
        critic=make_critic(),
    )
    distiller.compile(
        keras.optimizers.SGD(0.1),
        "sparse_categorical_crossentropy",
        loss_weights={name: float(name == term) for name in terms},
    )
    networks = {r: distiller.roles[r] for r in ("student", "teacher", "critic")}
    before = {role: n.get_weights() for role, n in networks.items()}
    distiller.train_on_batch(x, y_train[:16])
    return [
        role
        for role, n in networks.items()
        if any(np.any(a != b) for a, b in zip(before[role], n.get_weights()))
    ]


for term in ("task", "fool", "critic"):
    print(f"{term} moves {moved_by(term)}")
assert moved_by("task") == moved_by("fool") == ["student"]
assert moved_by("critic") == ["critic"]

"""
**It saves and loads**, and predicts the same:
"""

distiller.save(output / "sure_teacher.keras")
again = keras.models.load_model(output / "sure_teacher.keras")
np.testing.assert_allclose(
    again.predict({"audio": x["audio"]}, verbose=0),
    distiller.predict({"audio": x["audio"]}, verbose=0),
    rtol=1e-5,
    atol=1e-5,
)

"""
**It runs on three backends.** This guide is such a test:

```shell
for backend in tensorflow jax torch; do
    KERAS_BACKEND=$backend python guides/writing_your_own_distiller.py
done
```

Mistakes that these tests find are: a term that depends on nothing that learns
(there is a warning that names the variables without a gradient), a role that
was forgotten in `frozen`, a hyperparameter that was forgotten in `get_config`,
a function of one framework where `keras.ops` was meant, and an `if` on the
value of a tensor.

## Does it help?

That is another question than whether it is right. Compare with the student
alone, on several seeds: `guides/fair_evaluation.py`.

## Where to read on

- `keras_xkd/distillers/cross_modal_distiller.py` and `amid.py`: methods of
  this package, which use nothing else than what you have seen, and `prepare`,
  which checks and connects what `compile` was given.
- `guides/many_devices.py`: the same on several devices.
- `CONTRIBUTING.md`: how to add a method to the package.
"""
