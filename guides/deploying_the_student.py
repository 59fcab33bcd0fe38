"""
Title: Deploying the student
Author: The keras_xkd contributors
Date created: 2026/11/21
Last modified: 2026/11/21
Description: Save, export, quantize and measure it; modalities that are missing.
Accelerator: None
"""

"""
## Introduction

Distillation ends with a student that does without its teacher: it is the
network that you passed in, an ordinary Keras model. This guide

1. saves it, during training and afterwards, and loads it without `keras_xkd`;
2. exports it to ONNX and SavedModel, and says what works where;
3. quantizes a copy to int8;
4. compares size, speed and accuracy with intervals;
5. makes a student of two modalities that still answers when one is missing.
"""

"""
## Setup

The export to ONNX uses other packages on each backend: `tf2onnx` on
TensorFlow, `jax2onnx` on JAX, `onnxscript` on PyTorch.
"""

"""shell
pip install -q "keras-xkd[jax,tensorflow,viz,export]"
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # or "tensorflow", "torch"

import pathlib
import subprocess
import sys

import keras
import numpy as np
import onnxruntime
from keras import layers

import keras_xkd as xkd

output = pathlib.Path(os.environ.get("OUTPUT", "."))
keras.utils.set_random_seed(0)
(x, y), (x_val, y_val), _ = xkd.datasets.av_digits.load_data()


def network(modality, units):
    inputs = keras.Input(x[modality].shape[1:], name=modality)
    features = layers.Flatten()(inputs)
    features = layers.Dense(units, activation="relu")(features)
    return keras.Model(inputs, layers.Dense(10)(features), name=modality)


teacher = network("image", 512)
teacher.compile(
    "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
teacher.fit(x["image"], y, epochs=8, verbose=0)

"""
## Saving

`StudentCheckpoint` is `keras.callbacks.ModelCheckpoint` for the student alone.
Monitor a metric and not `val_loss`: the validation data here has no images, so
that its loss lacks the teacher's term.
"""

distiller = xkd.distillers.CrossModalDistiller(
    student=network("audio", 24), teacher=teacher
)
distiller.compile("adam", metrics=["accuracy"])
distiller.fit(
    {name: x[name] for name in ("audio", "image")},
    epochs=8,
    validation_data=({"audio": x_val["audio"]}, y_val),
    callbacks=[
        xkd.callbacks.StudentCheckpoint(
            output / "best.keras", monitor="val_accuracy", save_best_only=True
        )
    ],
    verbose=0,
)
student = distiller.student
student.save(output / "student.keras")

"""
The file holds a plain Keras model. Another process, which does not know this
package, loads it:
"""

program = [
    "import sys, keras, numpy as np",
    f"student = keras.models.load_model({str(output / 'student.keras')!r})",
    "print(student.predict(np.zeros((1, 40, 32)), verbose=0).shape)",
    "assert 'keras_xkd' not in sys.modules",
]
subprocess.run([sys.executable, "-c", "\n".join(program)], check=True)

"""
Exceptions are students with layers or models of this package inside, such as
`LateFusion` or an `Encoder`: import `keras_xkd` before you load these from a
`.keras` file. Exported files below need neither package.

To go on with the training later, save the distiller: `distiller.save(...)`.

## Exporting

`export` is Keras' own. It comes with a signature whose batch is open; check
with another batch than the one that it was called on. On JAX a student must
have been called once before.
"""

some = x_val["audio"][:5]
expected = student.predict(some, verbose=0)
student.export(output / "student.onnx", format="onnx", verbose=False)
session = onnxruntime.InferenceSession(output / "student.onnx")
(found,) = session.run(None, {session.get_inputs()[0].name: some})
print(f"ONNX differs by {np.abs(found - expected).max():.1e}")
np.testing.assert_allclose(found, expected, atol=1e-3, rtol=1e-3)

"""
A SavedModel is for TensorFlow Serving and its relatives. Keras writes it on
TensorFlow and JAX. On PyTorch its exporter fails: save the student as `.keras`
there, and export it on another backend. Weights are the same on all.
"""

if keras.backend.backend() != "torch":
    import tensorflow as tf

    student.export(str(output / "student"), verbose=False)
    loaded = tf.saved_model.load(str(output / "student"))
    served = loaded.serve(some).numpy()
    print(f"SavedModel differs by {np.abs(served - expected).max():.1e}")
    np.testing.assert_allclose(served, expected, atol=1e-3, rtol=1e-3)

"""
What worked with other students, compared on another batch
(`python -m keras_xkd benchmark export`):

| Student | SavedModel: TF / JAX / torch | ONNX: TF / JAX / torch | ONNX, fixed sizes |
|---|---|---|---|
| dense; convolutional; `LateFusion` with attention | yes / yes / no | yes / yes / yes | yes / yes / yes |
| keras-hub BERT, any length | yes / no / no | yes / no / no | yes / yes / yes |
| keras-hub BERT, 12 tokens | yes / yes / no | yes / no / no | yes / yes / yes |
| keras-hub ViT | yes / yes / no | no / no / no | no / no / yes |

"Fixed sizes" means an `input_signature` with a batch size, such as
`student.export(path, format="onnx", input_signature=[...])`. Encoders of raw
sound export with `LogMel(fft=False)`.

## Quantizing

`quantize` is Keras' own, too, and changes the model: quantize a copy. It knows
dense layers, attention and embeddings; convolutions stay float32.
"""

int8 = keras.models.clone_model(student)
int8.set_weights(student.get_weights())
int8.quantize("int8")

"""
## What it costs and what it is worth

`deployment_report` compares networks. Each reads its own modality from the same
batches. Latency is that of `predict_on_batch` on this machine.
"""

networks = {"teacher": teacher, "student": student, "student, int8": int8}
report = xkd.diagnostics.deployment_report(networks, x_val, y_val)
print(report)
sizes = {name: report[name]["weight_bytes"] for name in networks}
accuracies = {name: report[name]["accuracy"] for name in networks}
assert sizes["student, int8"] < 0.3 * sizes["student"]
assert abs(accuracies["student, int8"] - accuracies["student"]) < 0.03

"""
Teacher and student are about as large here: what the student is worth is that it
needs no image. In your case it may be the smaller one as well.

int8 makes the student smaller. Do not expect it to be faster on a processor: it
was not where we measured it.

## Modalities that are missing

A student that hears and sees can do more, until the microphone fails.
`LateFusion` reads `x["present"]`, which says for every sample which modalities
are there, and merges these. With `dropout` it also practises: whole modalities
are taken away in training, never all of a sample.
"""


def encoder(modality):
    inputs = keras.Input(x[modality].shape[1:], name=modality)
    features = layers.Flatten()(inputs)
    return keras.Model(inputs, layers.Dense(64, activation="relu")(features))


def fused(dropout):
    keras.utils.set_random_seed(0)
    model = xkd.models.LateFusion(
        {m: encoder(m) for m in ("audio", "image")},
        units=10,
        dropout=dropout,
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=8, batch_size=60, verbose=0)
    return model


results = {}
for name, dropout in (("no dropout", None), ("dropout 0.3", 0.3)):
    model = fused(dropout)
    results[name] = xkd.diagnostics.modality_subsets(model, x_val, y_val)
    print(f"{name}\n{results[name]}\n")
figure = xkd.visualization.plot_missing_modalities(results)
figure.savefig(output / "deploying_the_student.png", bbox_inches="tight")

silent = {name: r["image"]["accuracy"] for name, r in results.items()}
assert silent["dropout 0.3"] > silent["no dropout"] + 0.05

"""
Without practice the network relies on what it always had: an image without its
sound is recognised much worse than the same image by a network that practised.
What it costs with both modalities is in the last row.

When you call it, say what is there. What is absent may hold anything.
"""

batch = {
    "audio": np.zeros_like(x_val["audio"][:4]),
    "image": x_val["image"][:4],
    "present": {"audio": np.zeros(4), "image": np.ones(4)},
}
logits = model.predict(batch, verbose=0)
batch["audio"] = batch["audio"] + 100.0
np.testing.assert_allclose(model.predict(batch, verbose=0), logits, rtol=1e-4)
print("decisions without sound:", logits.argmax(axis=-1), "labels:", y_val[:4])

"""
A student of a single modality needs nothing of this: what it never reads
cannot be missing. This is what cross-modal distillation is for.

## Where to read on

- `guides/data_and_loaders.py`: `present` in training, for data with gaps.
- `guides/fair_evaluation.py`: whether the student is as good as you think.
- `guides/keras_hub_encoders.py`: students with pretrained encoders.
"""
