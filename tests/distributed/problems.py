"""Small training problems, one for each method, that devices may share.

Every problem starts from the same weights and sees the same data wherever it
runs; there is no dropout and no batch normalisation.
"""

import itertools
import os

import keras
import numpy as np
from keras import layers
from keras import ops

from keras_xkd import distillers
from keras_xkd import losses
from keras_xkd import models

BATCH, BATCHES, EPOCHS, CLASSES = 16, 5, 4, 3


def data(rows=BATCH * BATCHES):
    """Modalities, labels and weights of all samples."""
    rng = np.random.default_rng(0)
    audio = rng.normal(size=(rows, 6)).astype("float32")
    image = rng.normal(size=(rows, 5)).astype("float32")
    present = {
        "audio": (rng.random(rows) < 0.8).astype("float32"),
        "image": (rng.random(rows) < 0.7).astype("float32"),
    }
    y = rng.integers(0, CLASSES, rows).astype("int32")
    weight = rng.uniform(0.5, 1.5, rows).astype("float32")
    ids = np.arange(rows).astype("int32")
    scores = rng.uniform(-3, 3, (rows, 1)).astype("float32")
    half = np.where(rng.random((rows, 1)) < 0.5, scores, np.float32("nan"))
    return {
        "audio": audio,
        "image": image,
        "present": present,
        "sample_id": ids,
        "labels": y,
        "scores": scores,
        "half_scores": half,
        "weight": weight,
    }


def network(modality, outputs=CLASSES, width=6):
    inputs = keras.Input((6 if modality == "audio" else 5,), name=modality)
    hidden = layers.Dense(width, activation="tanh", name=f"hidden_{modality}")
    return keras.Model(inputs, layers.Dense(outputs)(hidden(inputs)))


def encoder(modality, width=6):
    inputs = keras.Input((6 if modality == "audio" else 5,), name=modality)
    x = layers.Dense(width, activation="tanh")(inputs)
    return keras.Model(inputs, layers.Dense(width)(x), name=f"e_{modality}")


def whole():
    inputs = {
        "audio": keras.Input((6,), name="audio"),
        "image": keras.Input((5,), name="image"),
    }
    x = layers.Concatenate()([inputs["audio"], inputs["image"]])
    x = layers.Dense(6, activation="tanh")(x)
    return keras.Model(inputs, layers.Dense(CLASSES)(x), name="whole")


def scorer(modality):
    inputs = keras.Input((6 if modality == "audio" else 5,), name=modality)
    x = layers.Dense(6, activation="tanh")(inputs)
    outputs = {
        "logits": layers.Dense(7)(x),
        "score": layers.Dense(1)(x),
        "features": x,
    }
    return keras.Model(inputs, outputs, name=f"scorer_{modality}")


def reader(outputs=CLASSES):
    """A network with an embedding, whose gradients are sparse."""
    inputs = keras.Input((), dtype="int32", name="sample_id")
    x = layers.Embedding(100, 6)(inputs)
    return keras.Model(inputs, layers.Dense(outputs)(x))


class OwnLoss(distillers.Distiller):
    """A method of a user's that has a Keras loss of its own."""

    def compute_losses(self, x, y, sample_weight, training):
        student = self.run("student", x, training)
        teacher = self.ask("teacher", x)
        terms = self.task_terms(
            teacher["logits"],
            student,
            sample_weight,
            name="own",
            loss=keras.losses.MeanSquaredError(),
        )
        return {"student": student}, terms, {}


class Spread(distillers.Distiller):
    """A method of a user's: a term that couples samples, by `gather`."""

    def compute_losses(self, x, y, sample_weight, training):
        student = self.run("student", x, training)
        terms = self.task_terms(y, student, sample_weight)
        logits = self.gather(student["logits"])
        terms["spread"] = -ops.mean(ops.var(logits, axis=0))
        return {"student": student}, terms, {}


class InParts(losses.InfoNCE):
    """What a contrast within a device is, on one device."""

    def call(self, y_true, y_pred, mask=None):
        bounds = np.linspace(0, BATCH, int(os.environ["XKD_PARTS"]) + 1)
        parts = [slice(*pair) for pair in itertools.pairwise(map(int, bounds))]
        values = [
            super(InParts, self).call(
                y_true[rows], y_pred[rows], None if mask is None else mask[rows]
            )
            for rows in parts
        ]
        return ops.concatenate(values)


def within_a_device():
    if os.environ.get("XKD_ENGINE", "alone") == "alone":
        return cross_modal(InParts())
    return cross_modal(losses.InfoNCE(across_replicas=False))


TASK = "sparse_categorical_crossentropy"


def cross_modal(loss, task=TASK, rate=0.1, **kwargs):
    distiller = distillers.CrossModalDistiller(
        student=network("audio"), teacher=network("image")
    )
    distiller.compile(
        keras.optimizers.SGD(rate, **kwargs), task, loss, metrics=["accuracy"]
    )
    return distiller


def amid(entropy="adversarial", **kwargs):
    distiller = distillers.AMID(
        student=network("audio"),
        teacher=whole(),
        auxiliary=network("image"),
        projection_dim=4,
        entropy=entropy,
    )
    optimizer = keras.optimizers.SGD(0.1)
    if entropy == "adversarial":
        optimizer = {
            "student": optimizer,
            "discriminator": keras.optimizers.SGD(0.05, momentum=0.9),
        }
    distiller.compile(
        optimizer, TASK, metrics={"teacher": ["accuracy"]}, **kwargs
    )
    return distiller


def umt():
    encoders = {m: encoder(m) for m in ("audio", "image")}
    distiller = distillers.UMT(
        student=models.LateFusion(encoders, CLASSES),
        teachers={m: network(m) for m in ("audio", "image")},
    )
    distiller.compile(keras.optimizers.SGD(0.02), TASK, metrics=["accuracy"])
    return distiller


def mke():
    distiller = distillers.MKE(student=whole(), teacher=network("image"))
    distiller.compile(keras.optimizers.SGD(0.1))
    return distiller


def video_adviser():
    distiller = distillers.VideoAdviser(
        student=scorer("audio"),
        teacher=scorer("image"),
        class_values=list(range(-3, 4)),
    )
    distiller.compile(keras.optimizers.SGD(0.05))
    return distiller


def cmcd(loss):
    distiller = distillers.CMCD(
        student=encoder("audio"), teacher=encoder("image")
    )
    distiller.compile(keras.optimizers.SGD(0.1), distillation_loss=loss)
    return distiller


def pretraining():
    distiller = distillers.ContrastivePretraining(
        encoder=encoder("audio"), augment={"audio": lambda x: x + ops.sin(x)}
    )
    distiller.compile(keras.optimizers.SGD(0.1))
    return distiller


def own_loss():
    distiller = OwnLoss(student=network("audio"), teacher=network("image"))
    distiller.compile(keras.optimizers.SGD(0.1))
    return distiller


def embedded():
    distiller = distillers.CrossModalDistiller(
        student=reader(), teacher=network("image")
    )
    distiller.compile(keras.optimizers.SGD(0.1, clipnorm=0.01), TASK)
    return distiller


def spread():
    distiller = Spread(student=network("audio"))
    distiller.compile(keras.optimizers.SGD(0.1), TASK, loss_weights=None)
    return distiller


CRD = losses.ContrastiveRepresentation
# Name: (a function that makes a compiled distiller, what its data have)
PROBLEMS = {
    "kd": (lambda: cross_modal(None), "labels weight"),
    "kd_clipped": (
        lambda: cross_modal(None, global_clipnorm=0.05),
        "labels",
    ),
    "features": (lambda: cross_modal(losses.FeatureMatching()), ""),
    "features_masked": (
        lambda: cross_modal(losses.FeatureMatching()),
        "labels present",
    ),
    "summed": (
        lambda: cross_modal(
            losses.SoftTargets(reduction="sum"),
            keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, reduction="mean_with_sample_weight"
            ),
        ),
        "labels weight",
    ),
    "dkd": (lambda: cross_modal(losses.DecoupledSoftTargets()), "labels"),
    "contrast": (lambda: cross_modal(losses.InfoNCE()), "labels weight"),
    "contrast_masked": (
        lambda: cross_modal(losses.InfoNCE()),
        "labels present",
    ),
    "crd_queue": (
        lambda: cross_modal(CRD(queue=32, embedding_dim=4), rate=0.01),
        "labels present",
    ),
    "crd_bank": (
        lambda: cross_modal(
            CRD(samples=80, negatives=16, embedding_dim=4), rate=0.01
        ),
        "labels sample_id",
    ),
    "rkd": (
        lambda: cross_modal(
            {"d": losses.RelationalDistance(), "a": losses.RelationalAngle()}
        ),
        "labels",
    ),
    "pkt": (lambda: cross_modal(losses.ProbabilisticTransfer()), "labels"),
    "amid": (amid, "labels"),
    "amid_masked": (amid, "labels present"),
    "amid_gaussian": (lambda: amid("gaussian"), "labels weight"),
    "umt": (umt, "labels"),
    "umt_masked": (umt, "labels present"),
    "mke": (mke, ""),
    "mke_masked": (mke, "present"),
    "video_adviser": (video_adviser, "scores"),
    "video_adviser_half_labelled": (video_adviser, "half_scores present"),
    "cmc": (lambda: cmcd(None), ""),
    "cmd": (lambda: cmcd(losses.SimilarityDistribution()), ""),
    "cmd_queue": (
        lambda: cmcd(losses.SimilarityDistribution(queue=24)),
        "",
    ),
    "pretraining": (pretraining, ""),
    "own_method": (spread, "labels"),
    "own_loss": (own_loss, "weight labels"),
    "embedded_clipped": (embedded, "labels sample_id"),
}


# Their reference is another one, by the number of devices in `XKD_PARTS`.
WITHIN = {
    "within_a_device": (within_a_device, "labels weight"),
    "within_a_device_masked": (within_a_device, "labels present"),
}


def make(name):
    """A compiled distiller whose weights do not depend on where it runs."""
    keras.utils.set_random_seed(0)
    distiller = (PROBLEMS | WITHIN)[name][0]()
    fill(distiller)
    return distiller


def fill(distiller):
    """Gives all networks weights that do not depend on the backend."""
    rng = np.random.default_rng(1)
    for variable in distiller.variables:
        if "seed" in variable.name or "loss_weight" in variable.path:
            continue
        if variable.name == "normalizer":
            continue
        variable.assign(rng.normal(0, 0.5, variable.shape))


def batches(name, rows=BATCH * BATCHES, size=BATCH):
    """The batches of a problem, a list of tuples `(x, y, sample_weight)`."""
    has = (PROBLEMS | WITHIN)[name][1].split()
    given = data(rows)
    keys = [
        "audio",
        "image",
        *(k for k in ("present", "sample_id") if k in has),
    ]
    if name == "pretraining":
        keys = ["audio"]
    names = ("labels", "scores", "half_scores")
    label = next((name for name in names if name in has), None)

    def cut(value, start):
        if isinstance(value, dict):
            return {k: cut(v, start) for k, v in value.items()}
        return value[start : start + size]

    found = []
    for start in range(0, rows, size):
        batch = [{k: cut(given[k], start) for k in keys}]
        if label:
            batch.append(cut(given[label], start))
        if "weight" in has:
            batch.append(cut(given["weight"], start))
        found.append(tuple(batch))
    return found


def results(distiller, history, evaluation):
    """What must not depend on the devices, a flat dict of arrays."""
    found = {}
    for i, variable in enumerate(distiller.variables):
        if "seed" not in variable.name:
            value = np.array(variable.numpy())
            found[f"variable {i} {variable.path}"] = value
    found |= {f"fit {k}": np.array(v) for k, v in history.items()}
    found |= {f"evaluate {k}": np.array(v) for k, v in evaluation.items()}
    return found
