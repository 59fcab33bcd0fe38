"""Does the rule that chooses between UMT and UME choose the better one?

Two synthetic problems with two classes and two modalities, each the home ground
of one method (Du et al., ICML 2023):

- uni-modal features: `x_m = mean_m[y] + noise_m`, 100 dimensions. Given the
  label the modalities are independent: no feature needs both.
- paired features: `x_1 = y + c`, `x_2 = c` with one Gaussian `c`, in one
  dimension. `x_2` alone says nothing, and `x_1` little; the difference of both
  is the label.

100 training, 1,000 validation and 2,000 test samples. Networks with two hidden
layers, all trained alike. `choose_late_fusion` sees training and validation
data and the uni-modal networks, before any other network is trained.
"""

import functools

import keras
import numpy as np
from keras import layers

from keras_xkd.benchmark import record
from keras_xkd.benchmark import rows
from keras_xkd.benchmark.study import Restarts
from keras_xkd.benchmark.study import Study
from keras_xkd.benchmark.table import table
from keras_xkd.distillers import UME
from keras_xkd.distillers import UMT
from keras_xkd.distillers import choose_late_fusion
from keras_xkd.models import LateFusion
from keras_xkd.visualization import canvas
from keras_xkd.visualization import seed_rows

MODALITIES = ("first", "second")
SIZES = {"train": 100, "validation": 1000, "test": 2000}
WIDTH, EPOCHS, BATCH, RATE, CLASSES = 64, 100, 50, 3e-3, 2
DIMENSIONS, NOISE, REFERENCE = 100, 5.0, 1.5
TITLES = {
    "first": "first modality alone",
    "second": "second modality alone",
    "ume": "UME",
    "umt": "UMT",
    "joint": "joint",
}


def unimodal(seed, split):
    """Modalities that are independent of each other, given the label."""
    means = np.random.default_rng([seed, 0]).standard_normal(
        (len(MODALITIES), CLASSES, DIMENSIONS)
    )
    rng, y = _labels(seed, split)
    noise = rng.standard_normal((len(MODALITIES), len(y), DIMENSIONS))
    return _as_modalities(means[:, y] + NOISE * noise), y


def paired(seed, split):
    """The label and a reference, which is needed to see the label."""
    rng, y = _labels(seed, split)
    reference = REFERENCE * rng.standard_normal((len(y), 1))
    return _as_modalities([y[:, None] + reference, reference]), y


PROBLEMS = {"uni-modal": unimodal, "paired": paired}


def _labels(seed, split):
    rng = np.random.default_rng([seed, 1 + list(SIZES).index(split)])
    return rng, rng.integers(0, CLASSES, SIZES[split])


def _as_modalities(values):
    parts = zip(MODALITIES, values, strict=True)
    return {name: value.astype("float32") for name, value in parts}


def encoder(modality, width):
    inputs = keras.Input((width,), name=modality)
    x = layers.Dense(WIDTH, activation="relu")(inputs)
    x = layers.Dense(WIDTH, activation="relu")(x)
    return keras.Model(inputs, x, name=modality)


def classifier(modality, width):
    """The same encoder with a linear head of its own."""
    inputs = encoder(modality, width)
    logits = layers.Dense(CLASSES, name="head")(inputs.output)
    return keras.Model(inputs.input, logits, name=f"{modality}_classifier")


class Runner:
    """Trains every model, seed after seed, without compiling it again."""

    def __init__(self, epochs):
        self.epochs = epochs
        self.start = Restarts(
            lambda model: model.compile(
                keras.optimizers.Adam(RATE),
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            )
        )

    def __call__(self, seed):
        """What the rule says of one seed, and what came of it."""
        return {name: self.problem(name, seed) for name in PROBLEMS}

    def problem(self, name, seed):
        data = {split: PROBLEMS[name](seed, split) for split in SIZES}
        x, y = data["train"]
        widths = {m: x[m].shape[1] for m in MODALITIES}
        models = {}
        for m in MODALITIES:
            make = functools.partial(classifier, m, widths[m])
            models[m] = self.train((name, m), make, x[m], y, seed)
        choice = choose_late_fusion(
            models=models,
            train=data["train"],
            validation=data["validation"],
            batch_size=SIZES["validation"],
        )

        def student():
            return LateFusion(
                {m: encoder(m, widths[m]) for m in widths}, CLASSES
            )

        def umt():
            return UMT(student=student(), teachers=models)

        x_test, y_test = data["test"]
        found = {
            "choice": choice.choice,
            "rule": choice.rule,
            "A": 100 * choice.ensemble,
            "B": 100 * choice.probe,
            "interval": [100 * end for end in choice.interval],
            "ume": accuracy(UME(models=models), x_test, y_test),
        }
        for m in MODALITIES:
            found[m] = accuracy(models[m], x_test[m], y_test)
        for row, make in (("umt", umt), ("joint", student)):
            model = self.train((name, row), make, x, y, seed)
            found[row] = accuracy(model, x_test, y_test)
        return found

    def train(self, key, make, x, y, seed):
        """A model trained from the initial weights of a seed."""
        model = self.start(key, make, seed)
        model.fit(x, y, batch_size=BATCH, epochs=self.epochs, verbose=0)
        return model


def accuracy(model, x, y):
    """Percent of right predictions."""
    # Not `predict`, which would be compiled for each of these models.
    logits = keras.ops.convert_to_numpy(model(x, training=False))
    return 100 * float(np.mean(logits.argmax(-1) == y))


def judge(results):
    """For each problem the rows, what was chosen, and what was better."""
    judged = {}
    for name, wanted in (("uni-modal", "UME"), ("paired", "UMT")):
        values = rows.columns([result[name] for result in results])
        text, found = rows.differences(
            values,
            {"UMT - UME": ("umt", "ume"), "UMT - joint": ("umt", "joint")},
        )
        better = {"better": "UMT", "worse": "UME"}
        judged[name] = {
            "values": values,
            "text": text,
            "differences": found,
            "wanted": wanted,
            "chosen": {
                key: sum(choice == wanted for choice in values[key])
                for key in ("choice", "rule")
            },
            "better": better.get(found["UMT - UME"]["verdict"], "unclear"),
        }
    right = [
        part["better"] == part["wanted"]
        and part["chosen"]["choice"] > len(results) / 2
        for part in judged.values()
    ]
    claim = "holds" if all(right) else "in part" if any(right) else "not"
    return {"problems": judged, "claim": claim, "seeds": len(results)}


def text(judged):
    """The tables and the verdict."""
    count, lines = judged["seeds"], []
    for name, part in judged["problems"].items():
        values, chosen = part["values"], part["chosen"]
        chosen = [
            [
                part["wanted"],
                *(f"{np.mean(values[key]):.1f}" for key in ("A", "B")),
                *(f"{chosen[key]} of {count}" for key in ("choice", "rule")),
                part["better"],
            ]
        ]
        header = ["expected", "A", "B", "chosen", "by B > A", "better on test"]
        lines += [
            f"Problem of {name} features:",
            "",
            table(header, chosen),
            "",
            rows.means(values, TITLES),
            "",
            part["text"],
            "",
        ]
    parts = judged["problems"].values()
    right = {
        key: sum(part["chosen"][key] for part in parts)
        for key in ("choice", "rule")
    }
    lines += [
        f"Chosen as expected in {right['choice']} of {2 * count} cases (by "
        f"B > A alone in {right['rule']}).",
        "The rule mostly chooses the method that is better on the test set: "
        f"{judged['claim']}.",
    ]
    return "\n".join(lines)


def draw(judged, path):
    """Test accuracies, and B - A of every seed, a column for each problem."""
    figure, axes = canvas.new(
        2, 2, size=(10, 6), gridspec_kw={"height_ratios": [3, 1]}
    )
    for column, (name, part) in enumerate(judged["problems"].items()):
        values, (top, bottom) = part["values"], axes[:, column]
        colors = dict.fromkeys(TITLES, canvas.GREY)
        colors |= {"ume": canvas.BLUE, "umt": canvas.ORANGE}
        seed_rows.draw(top, values, TITLES, colors)
        top.set_xlabel("test accuracy (%)")
        top.set_title(f"{name} features", fontsize=11, loc="left")
        gaps = np.subtract(values["B"], values["A"])
        ends = np.array(values["interval"])
        order = np.argsort(gaps)
        picked = np.array(values["choice"])[order]
        tone = [colors[choice.lower()] for choice in picked]
        places = np.arange(len(gaps))
        bottom.axhline(0, color=canvas.GREY, linewidth=1)
        bottom.vlines(places, *ends[order].T, color=tone, linewidth=2)
        bottom.scatter(places, gaps[order], color=tone, s=14)
        bottom.set_xticks([])
        bottom.set_xlabel("seeds, coloured by what the rule chooses")
        bottom.set_ylabel("B - A (points)")
    figure.suptitle(
        f"UMT or UME: every seed ({judged['seeds']}), mean and 95 % interval",
        fontsize=11,
    )
    return canvas.save(figure, path)


def run(seeds, output, quick=False, arguments=()):
    """Measures, prints the tables and writes JSON and a picture.

    Args:
        seeds: List of seeds.
        output: Folder for `umt-or-ume.json` and `umt-or-ume.png`.
        quick: A smoke run of one epoch.
        arguments: The arguments of the command, for the record.
    """
    canvas.check_matplotlib()
    epochs = 1 if quick else EPOCHS
    settings = {"epochs": epochs, "rate": RATE, "noise": [NOISE, REFERENCE]}
    print(f"Two problems, {epochs} epochs, {len(seeds)} seeds:")
    study = Study("umt-or-ume", output, settings, arguments)
    judged = judge(study.measure(seeds, Runner(epochs)))
    print(f"\n{text(judged)}\n{record.describe()}\n")
    written = study.write(verdict=judged)
    print(f"Wrote {written} and {draw(judged, f'{output}/umt-or-ume.png')}")
    return judged
