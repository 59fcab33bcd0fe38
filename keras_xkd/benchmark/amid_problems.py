"""The problems of the benchmark of AMID, and its networks.

Each has a weak modality "s" (the student's) and a strong one "a";
the teacher reads both:

- latent: `latent_factors`, four classes, 60 % of the label's variance from
  the factors that both modalities share and 40 % from those of "a" alone;
  noise 1 in "s", 0.5 in "a"; 1,000 training and 4,000 test samples.
- few: the same with 300 training samples.
- digits: `av_digits`; "s" is the sound, averaged to 8x8 values and with noise
  of 0.7 standard deviations, "a" is the image; 1,200 training and 300 test
  samples.
"""

import keras
import numpy as np
from keras import layers

from keras_xkd.datasets import av_digits
from keras_xkd.datasets import latent_factors
from keras_xkd.distillers import AMID

PROBLEMS = {
    "latent": "latent factors",
    "few": "latent factors, 300 training samples",
    "digits": "spoken and written digits",
}
HIDDEN, FEATURES = 64, 8


def latent(seed, samples):
    """Training and test data, and the analytic information."""
    train, test = (
        latent_factors.load_data(
            number,
            dims={"a": 16, "s": 16},
            noise={"a": 0.5, "s": 1.0},
            label_share={"shared": 0.6, "a": 0.4},
            num_classes=4,
            seed=seed,
            sample_seed=sample_seed,
        )
        for sample_seed, number in ((1, samples), (2, 4000))
    )
    return train, test


def digits(seed):
    """The digits, with a noisy and coarse sound."""
    rng = np.random.default_rng(seed)
    splits = []
    for x, y in av_digits.load_data():
        sound = x["audio"].reshape(-1, 8, 5, 8, 4).mean((2, 4)).reshape(-1, 64)
        sound = sound / sound.std() + 0.7 * rng.standard_normal(sound.shape)
        views = {"a": x["image"].reshape(-1, 64), "s": sound}
        splits.append(({k: v.astype("float32") for k, v in views.items()}, y))
    return splits[0], splits[2]


def load(problem, seed):
    if problem == "digits":
        return digits(seed)
    samples = {"latent": 1000, "few": 300}[problem]
    return [(part.x, part.y) for part in latent(seed, samples)]


def network(widths, classes):
    """Two dense layers and a head."""
    inputs = {name: keras.Input((w,), name=name) for name, w in widths.items()}
    x = layers.Concatenate()(list(inputs.values()))
    x = layers.Dense(HIDDEN, activation="relu")(x)
    x = layers.Dense(FEATURES, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(classes)(x))


def make(problem, seed, **arguments):
    """The networks of a problem, with the initial weights of a seed."""
    keras.utils.set_random_seed(seed)
    width, classes = (64, 10) if problem == "digits" else (16, 4)
    widths = {"a": width, "s": width}
    return AMID(
        student=network({"s": width}, classes),
        teacher=network(widths, classes),
        auxiliary=network({"a": width}, classes),
        **arguments,
    )
