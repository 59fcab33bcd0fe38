"""
Title: The same training on every backend
Author: The keras_xkd contributors
Date created: 2026/11/21
Last modified: 2026/11/21
Description: Train a student on TensorFlow, JAX and PyTorch, and compare.
Accelerator: None
"""

"""
## Introduction

A Keras model runs on TensorFlow, JAX and PyTorch. Does it also learn the same
on them? The three compute gradients in different ways, and a distiller asks
more of them than a plain classifier does: several networks in one step, some
of them frozen, losses that read hidden features, sometimes several optimizers.

This example trains the same student on each backend that is installed, with
the same teacher, from the same weights, on the same batches in the same order.
Its claim:

- **the numbers are the same**: the loss of every step agrees up to rounding,
  and so does the accuracy of the student in the end;
- **the times are not**, and that is what a backend can be chosen by.

What is compared is `CrossModalDistiller`: a frozen teacher reads one modality,
`image`, the student another, `audio`, and the student learns from labels and
from the teacher's soft targets ([Hinton et al.,
2015](https://arxiv.org/abs/1503.02531)).
"""

"""
## Setup

The example makes sense with two backends at least.
"""

"""shell
pip install -q "keras-xkd[viz,tensorflow,jax,torch]"
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # or "tensorflow", "torch"

import pathlib

import numpy as np
from matplotlib.figure import Figure

import keras_xkd as xkd
from keras_xkd.benchmark import backends

output = pathlib.Path(os.environ.get("OUTPUT", "."))

"""
## A process for each backend

Keras chooses its backend when it is imported, and keeps it. So `compare`
starts one process per backend, and tells them what to do; the backend that
Keras has in *this* process plays no part. They never work at the same time,
since each would slow the others down: they take turns, of 20 steps here.

`compare` makes the networks and the data itself, all from NumPy's random
numbers, since each backend draws other ones from the same seed. The data has
ten classes; each has a pattern in each modality, with noise on top. The
networks of the size `"mlp"` have three hidden layers.

The optimizer is plain gradient descent, for a reason: Adam divides each
gradient by its own size, so that a rounding error in a tiny gradient becomes a
step as large as any other, and the runs drift apart although nothing is wrong.
"""

results = backends.compare(
    methods=["kd"], size="mlp", steps=100, turn=20, optimizer="sgd"
)
case = results["cases"][0]
found = case["backends"]
assert not case["errors"], case["errors"]
assert len(found) > 1, "Install a second backend."

"""
## The same numbers

Of the first steps, each loss is kept. Here are some of them, with all the
digits that float32 has.
"""

print("step  " + "".join(f"{name:>14}" for name in found))
losses = {name: own["losses"][0] for name, own in found.items()}
for step in (1, 2, 5, 10, 20):
    values = "".join(f"{own[step - 1]:14.7f}" for own in losses.values())
    print(f"{step:4}  {values}")

differences = case["differences"]
print(f"largest difference, first 20 steps: {differences['curve']:.1e}")
print(f"largest difference, last 20 steps:  {differences['end']:.1e}")
for name, own in found.items():
    print(f"accuracy of the student, {name}: {own['accuracy'][0]:.4f}")

"""
## Not the same times

A turn is 20 steps of `fit`; its time is divided by 20. The first step is told
apart, because it compiles: TensorFlow traces a graph, JAX compiles with XLA,
PyTorch runs operation by operation unless `compile(jit_compile=True)` asks for
more.
"""

print("backend      first step, s   ms a step, median")
for name, own in found.items():
    first = own["first_step"][0]
    print(f"{name:12} {first:13.2f} {own['median']:18.2f}")
for pair, ratio in case["ratios"].items():
    low, high = ratio["low"], ratio["high"]
    print(f"{pair}: {ratio['ratio']:.2f} (95 %: {low:.2f} to {high:.2f})")

"""
The picture has the losses at the left, one line on the other, so that the
later ones are thinner; and the time of a step at the right, with a dot for
each turn.
"""


def draw(found):
    figure = Figure(figsize=(10, 3.6), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    colors = ["#56B4E9", "#D55E00", "#000000"]  # Of Okabe and Ito.
    for place, (name, own) in enumerate(found.items()):
        left.plot(
            np.arange(1, len(own["losses"][0]) + 1),
            own["losses"][0],
            color=colors[place],
            linewidth=(8, 4, 1.2)[place],
            solid_joinstyle="round",
            label=name,
        )
    left.set_xlabel("step")
    left.set_ylabel("loss")
    left.set_title("the first 20 steps", loc="left")
    left.set_xticks([1, 5, 10, 15, 20])
    left.legend(frameon=False)
    times = {name: own["milliseconds"] for name, own in found.items()}
    xkd.visualization.plot_comparison(
        times, "milliseconds a step", of="turns", ax=right
    )
    right.set_xlim(left=0)
    right.set_title("turns of 20 steps", loc="left")
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    return figure


draw(found).savefig(output / "compare_backends.png")

"""
## What does not hold

- **"Backend A is faster than backend B" is no claim of this example.**
  Networks of a few thousand parameters measure how long it takes to *start*
  operations, not to compute them. With larger networks and on an accelerator
  the order can be another one, and a machine that does other work beside moves
  all times.
- **Equal up to rounding is not equal.** The backends add numbers in different
  orders. In a long training, with Adam, or in half precision, two runs part
  slowly, as two runs on different devices do. What should stay the same is
  what a mean over several seeds says.
- **The same seed is not the same weights.** `keras.utils.set_random_seed(0)`
  draws other numbers on each backend. To carry a training over, save the
  weights on one and load them on the other.

## With the full data

Replace the call by `backends.compare(methods=["kd", "amid"], size=["mlp",
"conv", "transformer"], seeds=range(3))` for a ResNet-18 and a transformer of
12 blocks, on the accelerator if there is one; `python -m keras_xkd benchmark
backends --help` is the same as a command, which writes tables and pictures.

## Does the claim hold?

Rounding of float32 is about 1e-7 of a number; a loss near 3 that went through
20 steps should agree to four digits by far.
"""

assert differences["first"] < 1e-4, differences
assert differences["curve"] < 1e-3, differences
assert differences["end"] < 1e-3, differences
assert differences["accuracy"] < 0.02, differences

"""
## References

- Hinton, G., Vinyals, O., Dean, J. (2015). [Distilling the Knowledge in a
  Neural Network](https://arxiv.org/abs/1503.02531).
- Keras: [Keras 3 benchmarks](https://keras.io/getting_started/benchmarks/),
  with larger models and accelerators.
"""
