"""
Title: UMT or UME: what joint training of several modalities leaves unlearnt
Author: The keras_xkd contributors
Date created: 2026/11/21
Last modified: 2026/11/21
Description: Lazy encoders, their cure, and a rule to choose between methods.
Accelerator: None
"""

"""
## Introduction

A network with one encoder for each modality and one head on all their features,
trained from end to end: this is *late fusion*, and how most multimodal
classifiers begin. [Du et al. (2023)](https://arxiv.org/abs/2305.01233) found a
weakness of it. As soon as one modality explains the labels, the gradient
vanishes for the others, and their encoders learn less than each would by
itself. They call this *modality laziness*, and offer two methods, which both
begin with one model for each modality, trained alone:

- **UME**, the uni-modal ensemble: average the predictions of these models.
  Nothing else is trained.
- **UMT**, uni-modal teachers: train the late fusion on the labels, while each
  of its encoders also imitates the features of the model that was trained
  alone.

Which one? That depends on the features that the task needs. *Uni-modal*
features can be learnt from one modality; *paired* features mean something only
if both modalities are seen at once. An average of predictions never sees both
at once. So the paper compares the accuracy A of that average with the accuracy
B of a linear classifier on the features of all models, and chooses UMT if B is
larger.

What we want to see, on test sets that are used for nothing else:

- digits that are seen and heard, three seeds: the audio encoder of a jointly
  trained network is at least 3 points worse than one trained alone, and at
  least 3 points worse than that of UMT. Still UME predicts better than UMT, and
  who follows the rule loses less than 2 points on average against the better of
  the two;
- a task of paired features: the rule chooses UMT, which is at least 20 points
  better.
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
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import keras_xkd as xkd

SEEDS = (0, 1, 2)
STEPS, BATCH_SIZE = 300, 100  # of each model

output = pathlib.Path(os.environ.get("OUTPUT", "."))

"""
## Digits that are seen and heard

`av_digits` comes with the package: 1,797 images of handwritten digits, paired
with spoken digits by the digit. Noise on both makes the image the strong
modality and the sound the weak one. Images and voices of the three splits are
disjoint.
"""


def load_digits(seed):
    noise = {"audio": {"noise": 1.0}, "image": {"noise": 0.5}}
    return xkd.datasets.av_digits.load_data(degrade=noise, seed=seed)


"""
An encoder for each of them, a small convolutional network that returns 64
features. A network reads the modality that its input is named after.
"""


def image_encoder():
    inputs = keras.Input((8, 8, 1), name="image")
    x = inputs
    for filters in (16, 32):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.MaxPooling2D(2)(layers.ReLU()(x))
    x = layers.Dense(64, name="features")(layers.Flatten()(x))
    return keras.Model(inputs, x)


def audio_encoder():
    inputs = keras.Input((40, 32), name="audio")
    x = inputs
    for filters in (32, 64):
        x = layers.Conv1D(filters, 5, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.MaxPooling1D(2)(layers.ReLU()(x))
    x = layers.Dense(64, name="features")(layers.GlobalMaxPooling1D()(x))
    return keras.Model(inputs, x)


"""
## The models

A model for each modality alone: an encoder with a linear head. These are the
ensemble, the teachers, and what the rule looks at. Then the late fusion, once
for joint training and once as the student of `UMT`, a distiller like any other:
each encoder imitates the features of the teacher of its modality, with weight
10.
"""


def classifier(make_encoder, units):
    encoder = make_encoder()
    logits = layers.Dense(units, name="head")(encoder.output)
    return keras.Model(encoder.input, logits)


def late_fusion(encoders, units):
    encoders = {name: make_encoder() for name, make_encoder in encoders.items()}
    return xkd.models.LateFusion(encoders, units)


def compiled(model):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, STEPS)
    model.compile(keras.optimizers.Adam(rate), loss)
    return model


"""
All are trained alike, for as many steps. `train` gives a network new weights
and its optimizer a new start, so that it is compiled once and not for every
seed. UMT and joint training start from the same weights.
"""


def train(model, network, fresh, seed, x, y):
    keras.utils.set_random_seed(seed)
    network.set_weights(fresh().get_weights())
    for variable in model.optimizer.variables:
        variable.assign(np.zeros(variable.shape))
    epochs = STEPS * BATCH_SIZE // len(y)
    model.fit(x, y, batch_size=BATCH_SIZE, epochs=epochs, verbose=0)


"""
`choose_late_fusion` applies the rule to the trained models of one modality,
before anything else is trained. It fits the linear classifier to the training
data, and measures A and B on the validation data. As both are measured on the
same samples, it also has an interval for their difference, and chooses UMT only
if that lies above zero: UME costs nothing.
"""


class Study:
    """All models of one task, trained for one seed after the other."""

    def __init__(self, encoders, units):
        self.encoders, self.units = encoders, units
        self.alone = {
            name: compiled(classifier(make_encoder, units))
            for name, make_encoder in encoders.items()
        }
        self.joint = compiled(late_fusion(encoders, units))
        self.student = late_fusion(encoders, units)
        self.umt = compiled(
            xkd.distillers.UMT(student=self.student, teachers=self.alone)
        )
        self.ume = xkd.distillers.UME(models=self.alone)

    def run(self, data, seed):
        """What the rule says, and the test accuracy of each model."""
        (x, y), validation, test = data
        for name, model in self.alone.items():

            def fresh(make_encoder=self.encoders[name]):
                return classifier(make_encoder, self.units)

            train(model, model, fresh, seed, x[name], y)
        rule = xkd.distillers.choose_late_fusion(
            models=self.alone, train=(x, y), validation=validation
        )

        def fresh():
            return late_fusion(self.encoders, self.units)

        train(self.joint, self.joint, fresh, seed, x, y)
        train(self.umt, self.student, fresh, seed, x, y)
        models = {f"{name} alone": m for name, m in self.alone.items()}
        models |= {
            "joint training": self.joint,
            "UMT": self.student,
            "UME": self.ume,
        }
        return rule, {row: accuracy(m, *test) for row, m in models.items()}


def accuracy(model, x, y):
    return 100 * np.mean(predict(model, x).argmax(-1) == y)


def predict(model, x):
    x = xkd.utils.select_modalities(x, model)  # What it reads, by name.
    return keras.ops.convert_to_numpy(model(x, training=False))


"""
## Lazy encoders

What has an encoder learnt? A *linear probe* tells: its features are frozen,
logistic regression is fitted to them on the training set, and its accuracy is
measured on the test set.
"""


def probe(encoder, data):
    (x, y), _, (x_test, y_test) = data
    classifier = make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=1000)
    )
    classifier.fit(predict(encoder, x), y)
    return 100 * classifier.score(predict(encoder, x_test), y_test)


digits = Study({"audio": audio_encoder, "image": image_encoder}, units=10)
audio = digits.alone["audio"]
encoders = {
    "audio alone": keras.Model(audio.input, audio.get_layer("features").output),
    "joint training": digits.joint.encoders["audio"],
    "UMT": digits.student.encoders["audio"],
}
probes = {row: [] for row in encoders}
scores, choices = {}, []
for seed in SEEDS:
    data = load_digits(seed)
    rule, found = digits.run(data, seed)
    choices.append(rule.choice)
    for row, value in found.items():
        scores.setdefault(row, []).append(value)
    for row, encoder in encoders.items():
        probes[row].append(probe(encoder, data))

for row, values in probes.items():
    print(f"{row:<16} {np.mean(values):.1f} %, by a probe of the sound")

figure = xkd.visualization.plot_comparison(
    probes, metric="linear probe of the audio encoder (%)"
)
figure.savefig(output / "umt_probes.png")

"""
The audio encoder of the jointly trained network is clearly worse than the one
that was trained alone, though it has the same size, the same labels and the
same number of steps: it was lazy. With a teacher it learns as much as alone.

## Which of the two?

The rule for the last seed. Its result prints itself, holds all numbers as
attributes, and `rule.build(student)` makes the model that it chose. Below it,
what became of the models on the test set.
"""

print(rule)
print()
for row, values in scores.items():
    print(f"{row:<16} {np.mean(values):.1f} %")

figure = xkd.visualization.plot_comparison(scores, metric="test accuracy (%)")
figure.savefig(output / "umt_digits.png")

"""
Where the interval of B - A lies above zero, as it may with one seed, the rule
takes UMT. On the test set the average is nevertheless better than UMT, without
any joint training: image and sound of a digit each tell the digit by
themselves. The rule has 297 samples to see that, and does not see it with every
seed: the last lines of this example say what it chose.

## A task of paired features

Now the opposite: a sensor and its reference. The reference records nothing but
a disturbance `c`, the sensor records the class, 0 or 1, and the same
disturbance. The sensor alone tells little, the reference alone nothing, and the
difference of both is the class. (Two classes and one number for each modality;
think of a microphone beside an engine, and a second one in it.)
"""


def load_sensor(seed):
    rng = np.random.default_rng(seed)
    splits = []
    for size in (400, 1000, 2000):
        y = rng.integers(0, 2, size)
        c = 1.5 * rng.standard_normal(size)
        x = {"sensor": y + c, "reference": c}
        x = {name: v[:, None].astype("float32") for name, v in x.items()}
        splits.append((x, y))
    return splits


def sensor_encoder(modality):
    inputs = keras.Input((1,), name=modality)
    x = layers.Dense(64, activation="relu")(inputs)
    return keras.Model(inputs, layers.Dense(64, activation="relu")(x))


sensor = Study(
    {
        "sensor": lambda: sensor_encoder("sensor"),
        "reference": lambda: sensor_encoder("reference"),
    },
    units=2,
)
sensor_rule, sensor_scores = sensor.run(load_sensor(seed=0), seed=0)
print(sensor_rule)
print()
for row, value in sensor_scores.items():
    print(f"{row:<16} {value:.1f} %")

"""
Here the linear classifier sees both features at once, and B is far above A. The
ensemble cannot do better than the sensor alone; UMT can.

## The claim, checked

Differences are taken seed by seed.
"""


def gap(values, row, baseline):
    return np.mean(np.subtract(values[row], values[baseline]))


lazy = gap(probes, "joint training", "audio alone")
cured = gap(probes, "UMT", "joint training")
print(f"digits, probe: joint training against alone {lazy:+.1f} points")
print(f"digits, probe: UMT against joint training   {cured:+.1f} points")
chosen = [scores[choice][i] for i, choice in enumerate(choices)]
better = np.maximum(scores["UME"], scores["UMT"])
regret = np.mean(better - chosen)
print(f"digits: {choices} chosen, which costs {regret:.1f} points")
print(f"digits: UMT against UME {gap(scores, 'UMT', 'UME'):+.1f} points")
paired = sensor_scores["UMT"] - sensor_scores["UME"]
print(f"sensor: {sensor_rule.choice} chosen")
print(f"sensor: UMT against UME {paired:+.1f} points")
assert lazy < -3
assert cured > 3
assert regret < 2
assert gap(scores, "UMT", "UME") < 0
assert sensor_rule.choice == "UMT"
assert paired > 20

"""
## What this does not show

**That the cure of the encoders is one of the prediction.** On the digits UMT
repairs the audio encoder, and predicts no better than joint training for it:
the image alone is nearly always enough. The repaired encoder pays where images
are missing or poor.

**That the rule is always right.** Its interval covers the choice of the
validation samples. It does not cover the training of the models, and an average
with equal weights is not the best use of a strong and a weak model. On a
synthetic task of uni-modal features it chose UME in 19 of 20 cases, with 1,000
validation samples (`RESULTS.md`).

**That the rule finds the best model.** It chooses between two methods. On the
sensor, and on other problems in `RESULTS.md`, plain joint training is as good
as UMT or better. Train it as well, it is the cheaper one.

`python -m keras_xkd benchmark umt-laziness` and `umt-or-ume` measure both parts
with ten and twenty seeds; the first also gives joint training twice the epochs,
for what the teachers cost.

## With the full data

Replace `load_digits` by your splits of `keras_xkd.data.load(...)`, and the
encoders by `image_encoder(...)` and `audio_encoder(...)` of `keras_xkd.models`
with the name of a preset; load with `preprocess=[encoder.preprocess, ...]`.

## References

- C. Du, J. Teng, T. Li, Y. Liu, T. Yuan, Y. Wang, Y. Yuan and H. Zhao, On
  Uni-Modal Feature Learning in Supervised Multi-Modal Learning, ICML 2023.
  [arXiv:2305.01233](https://arxiv.org/abs/2305.01233)
"""
