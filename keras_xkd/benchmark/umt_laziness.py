"""Modality laziness, and whether uni-modal teachers cure it.

Du et al. (ICML 2023): trained together, the encoder of a weak modality learns
less than it would by itself. AV digits, with noise on both modalities, so that
images are the strong one and audio is the weak one. What an encoder has learnt
is read off by a linear probe: logistic regression on its features of the
training set, accuracy on the test set.

Each modality alone, both together (late fusion) and late fusion with uni-modal
teachers (`UMT`) are trained alike: same networks, optimizer, batches and number
of epochs, and the same initial weights for the last two. UMT also had two
teachers; so joint training has a second row with twice the epochs, which is
what UMT and its teachers cost together, up to the heads.
"""

import functools

import keras
import numpy as np
from keras import layers

from keras_xkd.benchmark import record
from keras_xkd.benchmark import rows
from keras_xkd.benchmark.study import Restarts
from keras_xkd.benchmark.study import Study
from keras_xkd.datasets import av_digits
from keras_xkd.distillers import UME
from keras_xkd.distillers import UMT
from keras_xkd.models import LateFusion
from keras_xkd.utils.linear_probe import linear_probe
from keras_xkd.visualization import canvas
from keras_xkd.visualization import seed_rows

NOISE = {"audio": 1.0, "image": 0.5}
EPOCHS, BATCH, RATE, WIDTH, CLASSES = 40, 100, 2e-3, 64, 10
PROBES = {
    "alone": "audio alone",
    "joint": "joint",
    "long": "joint, twice as long",
    "umt": "UMT",
}
ACCURACIES = {
    "audio": "audio alone",
    "image": "images alone",
    "ume": "UME",
    "joint": "joint",
    "long": "joint, twice as long",
    "umt": "UMT",
}
LAZINESS, CURE = "joint - alone", "UMT - joint"


def encoder(modality):
    """A small CNN over the pixels of an image or the frames of speech."""
    image = modality == "image"
    inputs = keras.Input((8, 8, 1) if image else (40, 32), name=modality)
    x = inputs
    for filters in (16, 32) if image else (32, 64):
        convolve = layers.Conv2D if image else layers.Conv1D
        pool = layers.MaxPooling2D if image else layers.MaxPooling1D
        size = 3 if image else 5
        x = convolve(filters, size, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
        x = pool(2)(x)
    x = layers.Flatten()(x) if image else layers.GlobalMaxPooling1D()(x)
    # Linear: no unit of a student can be dead where its teacher's is not.
    x = layers.Dense(WIDTH, name="features")(x)
    return keras.Model(inputs, x, name=modality)


def classifier(modality):
    """The same encoder with a linear head of its own."""
    inputs = encoder(modality)
    logits = layers.Dense(CLASSES, name="head")(inputs.output)
    return keras.Model(inputs.input, logits, name=f"{modality}_classifier")


def late_fusion():
    """Both encoders with one linear head."""
    return LateFusion({name: encoder(name) for name in NOISE}, CLASSES)


class Runner:
    """Trains every model, seed after seed, without compiling it again.

    Args:
        epochs: Epochs of each model.
        split: Where to measure: 1 is validation, 2 the test.
    """

    def __init__(self, epochs, split=2):
        self.epochs = epochs
        self.split = split
        self.start = Restarts(
            lambda model: model.compile(
                keras.optimizers.Adam(RATE),
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            )
        )

    def __call__(self, seed):
        """All accuracies of one seed, in percent."""
        degrade = {name: {"noise": noise} for name, noise in NOISE.items()}
        splits = av_digits.load_data(degrade=degrade, seed=seed)
        data, test = splits[0], splits[self.split]
        found, teachers = {}, {}
        for name in NOISE:
            make = functools.partial(classifier, name)
            teachers[name] = self.train(name, make, data, seed)
            found[name] = accuracy(teachers[name], test[0][name], test[1])
            features = teachers[name].get_layer("features").output
            alone = keras.Model(teachers[name].input, features)
            found[f"{name} alone"] = probe(alone, name, data, test)
        found["ume"] = accuracy(UME(models=teachers), *test)

        def umt():
            return UMT(student=late_fusion(), teachers=teachers)

        for row, make, times in (
            ("joint", late_fusion, 1),
            ("long", late_fusion, 2),  # The same model, trained again.
            ("umt", umt, 1),
        ):
            model = self.train(make.__name__, make, data, seed, times)
            student = model.student if row == "umt" else model
            found[row] = accuracy(student, *test)
            for name in NOISE:
                encoder = student.encoders[name]
                found[f"{name} {row}"] = probe(encoder, name, data, test)
        return found

    def train(self, key, make, data, seed, times=1):
        """A model trained from the initial weights of a seed."""
        model = self.start(key, make, seed)
        x, y = data
        model.fit(
            x[key] if key in NOISE else x,
            y,
            batch_size=BATCH,
            epochs=times * self.epochs,
            verbose=0,
        )
        return model


def accuracy(model, x, y):
    """Percent of right predictions."""
    return 100 * float(np.mean(predict(model, x).argmax(-1) == y))


def probe(encoder, modality, data, test):
    """Percent that a linear classifier gets right on frozen features."""
    (x, y), (x_test, y_test) = data, test
    features = [predict(encoder, part[modality]) for part in (x, x_test)]
    return 100 * float(
        np.mean(linear_probe(features[0], y, features[1]) == y_test)
    )


def predict(model, x):
    # Not `predict`, which would be compiled for each of these models.
    return keras.ops.convert_to_numpy(model(x, training=False))


def judge(results):
    """Rows, paired differences and the verdict."""
    values = rows.columns(results)
    probes = {
        LAZINESS: ("audio joint", "audio alone"),
        "twice as long - alone": ("audio long", "audio alone"),
        CURE: ("audio umt", "audio joint"),
        "UMT - twice as long": ("audio umt", "audio long"),
        "UMT - alone": ("audio umt", "audio alone"),
        "images: UMT - joint": ("image umt", "image joint"),
    }
    tests = {
        "UMT - joint ": ("umt", "joint"),
        "UMT - twice as long ": ("umt", "long"),
        "UMT - UME ": ("umt", "ume"),
    }
    probe_text, found = rows.differences(values, probes)
    test_text, more = rows.differences(values, tests)
    lazy = found[LAZINESS]["verdict"] == "worse"
    cured = found[CURE]["verdict"] == "better"
    parts = [lazy, cured]
    return {
        "values": values,
        "probes": probe_text,
        "tests": test_text,
        "differences": found | more,
        "lazy": lazy,
        "cured": cured,
        "claim": "holds" if all(parts) else "in part" if any(parts) else "not",
    }


def text(judged):
    """The tables and the verdict."""
    values = judged["values"]
    probes = {f"audio {row}": title for row, title in PROBES.items()}
    return "\n".join(
        [
            "Linear probe of the audio encoder, accuracy on the test set:",
            "",
            rows.means(values, probes),
            "",
            judged["probes"],
            "",
            "Test accuracy of the models:",
            "",
            rows.means(values, ACCURACIES),
            "",
            judged["tests"],
            "",
            f"Joint training is {'' if judged['lazy'] else 'not '}lazy, and "
            f"UMT {'cures' if judged['cured'] else 'does not cure'} it: "
            f"{judged['claim']}.",
        ]
    )


def draw(judged, path):
    """The probes of the weak modality, and the accuracy of the models."""
    values = judged["values"]
    figure, (left, right) = canvas.new(1, 2, size=(11, 4.2))
    probes = {f"audio {row}": title for row, title in PROBES.items()}
    colors = {"audio umt": canvas.ORANGE, "umt": canvas.ORANGE}
    colors |= {"audio alone": canvas.GREY, "audio": canvas.GREY}
    colors |= {"image": canvas.GREY}
    seed_rows.draw(left, values, probes, colors)
    left.set_title("What the audio encoder learns", fontsize=11, loc="left")
    left.set_xlabel("linear probe of its features, test accuracy (%)")
    seed_rows.draw(right, values, ACCURACIES, colors)
    right.set_title("What the models predict", fontsize=11, loc="left")
    right.set_xlabel("test accuracy (%)")
    count = len(values["umt"])
    figure.suptitle(
        f"AV digits, strong images and weak audio: every seed ({count}), "
        "mean and 95 % interval",
        fontsize=11,
    )
    return canvas.save(figure, path)


def run(seeds, output, quick=False, arguments=()):
    """Measures, prints the tables and writes JSON and a picture.

    Args:
        seeds: List of seeds.
        output: Folder for `umt-laziness.json` and `umt-laziness.png`.
        quick: A smoke run of one epoch.
        arguments: The arguments of the command, for the record.
    """
    canvas.check_matplotlib()
    epochs = 1 if quick else EPOCHS
    settings = {"epochs": epochs, "batch": BATCH, "rate": RATE, "noise": NOISE}
    print(f"AV digits, {epochs} epochs, {len(seeds)} seeds:")
    study = Study("umt-laziness", output, settings, arguments)
    judged = judge(study.measure(seeds, Runner(epochs)))
    print(f"\n{text(judged)}\n{record.describe()}\n")
    written = study.write(verdict=judged)
    print(f"Wrote {written} and {draw(judged, f'{output}/umt-laziness.png')}")
    return judged
