"""Multimodal Knowledge Expansion on two moons.

The toy experiment of the method's authors (Xue et al., ICCV 2021): a teacher
that knows one coordinate, from 30 labels, teaches a student that sees both,
without labels. The settings are those of their published code: full-batch SGD
with rate 0.01, 1,000 steps for the teacher and 2,000 for the students, two
hidden layers, of width 32 for one modality and 16 for two, noise of the
size of the mean absolute input in every step.

Two questions at once: the data of the authors' notebook from several initial
weights, and several draws of the data, each with initial weights of its own.

All runs are trained at once, as one model with an axis of runs: independent
networks whose losses are averaged over that axis. The gradient of each is
therefore divided by the number of runs, and the learning rate multiplied by
it. The scale of the noise is that of each run.
"""

import keras
import numpy as np
from keras import layers

from keras_xkd.benchmark import record
from keras_xkd.benchmark import rows
from keras_xkd.benchmark.progress import StageProgress
from keras_xkd.benchmark.statistics import summarise
from keras_xkd.benchmark.study import Study
from keras_xkd.datasets import two_moons
from keras_xkd.distillers import MKE
from keras_xkd.layers import ScaledGaussianNoise
from keras_xkd.visualization import canvas
from keras_xkd.visualization import seed_rows

NOTEBOOK = 42
RATE, TEACHER_STEPS, STEPS = 0.01, 1000, 2000
ONE, TWO = ("alpha",), ("alpha", "beta")
BAND, GAIN = (75.5, 79.5), 3.0  # Where two moons must land.
SETTINGS = {
    "notebook": "data of the notebook, several initial weights",
    "draws": "several draws of the data",
}
ROWS = {
    "teacher": "teacher: alpha, 30 labels",
    "unimodal": "student on alpha, perturbed",
    "copy": "student on both, not perturbed",
    "mke": "MKE: student on both, perturbed",
    "labels_270": "both, 270 true labels, perturbed",
    "labels_30": "both, the 30 labels alone",
}
PAIRS = {
    "MKE - teacher": ("mke", "teacher"),
    "MKE - student on alpha, perturbed": ("mke", "unimodal"),
    "MKE - student on both, not perturbed": ("mke", "copy"),
    "MKE - both, the 30 labels alone": ("mke", "labels_30"),
}


def load(data_seeds):
    """The three parts, each `(x, y)` with an axis of runs after the samples."""
    drawn = {seed: two_moons.load_data(seed) for seed in set(data_seeds)}
    parts = []
    for i in range(3):
        found = [drawn[seed][i] for seed in data_seeds]
        x = {name: np.stack([x[name] for x, _ in found], 1) for name in TWO}
        parts.append((x, np.stack([y for _, y in found], 1)))
    return parts


def networks(names, seeds, stream):
    """One network per seed, as one model of some modalities.

    The initial weights of a seed do not depend on the other seeds, nor on the
    backend. `stream` tells different networks of one seed apart.
    """
    count, width = len(seeds), 32 if len(names) == 1 else 16
    inputs = {name: keras.Input((count, 1), name=name) for name in names}
    x = list(inputs.values())
    x = layers.Concatenate()(x) if len(names) > 1 else x[0]
    generators = [np.random.default_rng([seed, stream]) for seed in seeds]
    weights = []
    for units, activation in [(width, "relu"), (width, "relu"), (2, None)]:
        fan_in = x.shape[-1]
        bound = fan_in**-0.5
        for shape in [(fan_in, units), (units,)]:
            drawn = [g.uniform(-bound, bound, shape) for g in generators]
            weights.append(np.stack(drawn))
        x = layers.EinsumDense(
            "bsi,sio->bso", (count, units), activation, bias_axes="so"
        )(x)
    model = keras.Model(inputs, x)
    model.set_weights(weights)
    return model


def train(model, batch, steps, title, **arguments):
    """Full-batch gradient descent: each step sees all the data."""
    runs = batch[0]["alpha"].shape[1]
    model.compile(keras.optimizers.SGD(RATE * runs), **arguments)
    model.fit(
        (batch for _ in range(steps)),
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
        callbacks=[StageProgress(title, steps)],
    )


def noise(seed):
    """The perturbation: one scale for both modalities, one for every run."""
    return ScaledGaussianNoise(axis=(0, 2), joint=True, seed=seed)


def distil(student, teacher, x, steps, title, perturbation=None):
    """The method, or a student that copies its teacher."""
    distiller = MKE(student=student, teacher=teacher, perturbation=perturbation)
    train(distiller, (x,), steps, title)


def predict(model, x):
    """The classes, shape `(samples, runs)`."""
    x = {name: x[name] for name in model.input}
    return keras.ops.convert_to_numpy(model(x)).argmax(-1)


def measure(data_seeds, seeds, quick=False):
    """Trains all networks, one run for each pair of seeds.

    Args:
        data_seeds: The seed of the data of every run.
        seeds: The seed of the initial weights of every run.
        quick: 10 steps for all.

    Returns:
        Test accuracies in percent by row, and the share of the unlabelled
        samples on which a student agrees with its teacher, by student; each
        an array with one number per run.
    """
    (x, y), (x_unlabelled, y_unlabelled), (x_test, y_test) = load(data_seeds)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    steps = 10 if quick else STEPS
    streams = {"teacher": 0, "unimodal": 1}  # The others start alike.
    models = {
        row: networks(
            ONE if row in streams else TWO, seeds, streams.get(row, 2)
        )
        for row in ROWS
    }
    teacher = models["teacher"]
    for row, model in models.items():
        title = ROWS[row]
        if row == "teacher":
            own = {"alpha": x["alpha"]}
            count = 10 if quick else TEACHER_STEPS
            train(model, (own, y), count, title, loss=loss)
        elif row == "labels_30":
            train(model, (x, y), steps, title, loss=loss)
        elif row == "labels_270":
            perturbed = model(noise(seeds[0])(model.input))
            perturbed = keras.Model(model.input, perturbed)
            batch = (x_unlabelled, y_unlabelled)
            train(perturbed, batch, steps, title, loss=loss)
        else:
            perturbation = None if row == "copy" else noise(seeds[0])
            distil(model, teacher, x_unlabelled, steps, title, perturbation)
    labels = predict(teacher, x_unlabelled)
    right = {n: predict(m, x_test) == y_test for n, m in models.items()}
    alike = {
        name: predict(models[name], x_unlabelled) == labels
        for name in ("unimodal", "copy", "mke")
    }
    return [
        {name: 100 * found.mean(0) for name, found in group.items()}
        for group in (right, alike)
    ]


def judge(accuracies):
    """Whether two moons landed where it must.

    Args:
        accuracies: By setting and row, one number per run.
    """
    mean = float(np.mean(accuracies["notebook"]["mke"]))
    gain = np.subtract(
        accuracies["draws"]["mke"], accuracies["draws"]["teacher"]
    )
    return {
        "notebook_mean": mean,
        "in_band": BAND[0] <= mean <= BAND[1],
        "gain": float(gain.mean()),
        "beats_teacher": int((gain > 0).sum()),
        "gains_enough": bool(gain.mean() > GAIN),
        "runs": len(gain),
    }


def text(accuracies, agreements):
    """The tables and the verdict."""
    lines = []
    for setting, title in SETTINGS.items():
        values = accuracies[setting]
        runs = len(values["mke"])
        lines += [f"{title[0].upper()}{title[1:]} ({runs} runs):", ""]
        lines += [rows.means(values, ROWS), ""]
        lines += [rows.differences(values, PAIRS)[0], ""]
        found = {
            n: summarise(v)["mean"] for n, v in agreements[setting].items()
        }
        lines += [
            "Agreement with the teacher on the unlabelled points: "
            f"{found['copy']:.1f} % not perturbed, {found['mke']:.1f} % MKE.",
            "",
        ]
    judged = judge(accuracies)
    band = f"{BAND[0]} to {BAND[1]}"
    return "\n".join(
        [
            *lines,
            "Test accuracy in percent; differences in points.",
            f"MKE on the data of the notebook: {judged['notebook_mean']:.1f}, "
            f"{'inside' if judged['in_band'] else 'OUTSIDE'} {band}.",
            f"MKE beats its teacher in {judged['beats_teacher']} of "
            f"{judged['runs']} draws of the data, by {judged['gain']:+.1f} "
            f"points on average: {'' if judged['gains_enough'] else 'NOT '}"
            f"more than {GAIN:+.0f}.",
        ]
    )


def draw(accuracies, path):
    """The rows of both settings, one beside the other."""
    figure, axes = canvas.new(1, 2, size=(10, 4.2), sharex=True, sharey=True)
    colors = dict.fromkeys(ROWS, canvas.GREY)
    colors |= {"teacher": canvas.ORANGE, "mke": canvas.BLUE}
    for axis, (setting, title) in zip(axes, SETTINGS.items(), strict=True):
        seed_rows.draw(axis, accuracies[setting], ROWS, colors)
        axis.set_title(title, fontsize=11, loc="left")
        axis.set_xlabel("test accuracy (%)")
    return canvas.save(figure, path)


def run(seeds, output, quick=False, arguments=()):
    """Measures, prints the tables and writes JSON and a picture.

    Args:
        seeds: List of seeds.
        output: Folder for `two-moons.json` and `two-moons.png`.
        quick: A smoke run with 10 steps for every network.
        arguments: The arguments of the command, for the record.
    """
    canvas.check_matplotlib()
    print(f"Two moons: {len(SETTINGS)} settings, {len(seeds)} runs each")
    study = Study("two-moons", output, {"quick": quick}, arguments)

    def several(seeds):
        data_seeds = [NOTEBOOK] * len(seeds) + list(seeds)
        found = measure(data_seeds, [*seeds, *seeds], quick)
        return [
            {
                setting: [
                    {row: float(v[i + start]) for row, v in group.items()}
                    for group in found
                ]
                for setting, start in zip(SETTINGS, (0, len(seeds)))
            }
            for i in range(len(seeds))
        ]

    by_seed = study.measure_together(seeds, several)
    accuracies, agreements = (
        {
            setting: rows.columns([r[setting][group] for r in by_seed])
            for setting in SETTINGS
        }
        for group in (0, 1)
    )
    print(f"\n{text(accuracies, agreements)}\n{record.describe()}\n")
    judged = judge(accuracies)
    written = study.write(verdict=judged, accuracies=accuracies)
    drawn = draw(accuracies, f"{output}/two-moons.png")
    print(f"Wrote {written} and {drawn}")
    return judged
