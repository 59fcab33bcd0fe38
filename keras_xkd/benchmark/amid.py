"""The weak teacher of AMID, and its cure.

Student, teacher and auxiliary network train together (Chen et al., CVPR 2023).
The claim: with the information that teacher and student share as the only
further objective, the teacher becomes weak; the information that it shares
with the auxiliary network restores it; the whole objective has the best
student.

Every row is `AMID` with other weights, from the same initial weights, with the
same batches and number of steps: two dense layers of 64 and 8 units for each
network, Adam with rate 0.002, 30 epochs in batches of 100. Weights and
temperature are the defaults of `AMID`; in two further rows the weights are 0.3
of them, the best of 1, 0.3 and 0.1 for AMID's student on the validation split
of the digits, seeds 1000 to 1004.

The problems are described in `amid_problems`.

The estimator is checked by itself: two encoders, of x_s and of x_a, of the
latent problem with 4,000 samples, maximise the same bound, and its value on
held-out samples is compared with the analytic mutual information.
"""

import functools

import keras
import numpy as np

from keras_xkd.benchmark import record
from keras_xkd.benchmark import rows
from keras_xkd.benchmark.amid_problems import PROBLEMS
from keras_xkd.benchmark.amid_problems import latent
from keras_xkd.benchmark.amid_problems import load
from keras_xkd.benchmark.amid_problems import make
from keras_xkd.benchmark.amid_problems import network
from keras_xkd.benchmark.statistics import summarise
from keras_xkd.benchmark.study import Restarts
from keras_xkd.benchmark.study import Study
from keras_xkd.benchmark.table import interval
from keras_xkd.benchmark.table import table
from keras_xkd.distillers import Distiller
from keras_xkd.losses import InfoNCE
from keras_xkd.utils import select_modalities
from keras_xkd.visualization import canvas
from keras_xkd.visualization import seed_rows

EPOCHS, BATCH, RATE, ENCODING = 30, 100, 2e-3, 32
TERMS = ("student_nce", "auxiliary_nce", "entropy")
# Title, weights of these terms, arguments of AMID.
ROWS = {
    "ce": ("task losses only", (0, 0, 0), {}),
    "student": ("+ I(T;S)", (0.8, 0, 0), {}),
    "auxiliary": ("+ I(T;S) + I(T;A)", (0.8, 0.8, 0), {}),
    "full": ("AMID: + I(T;S) + I(T;A) - H(T|S)", (0.8, 0.8, 0.1), {}),
    "moving": (
        "AMID, entropy moves the teacher",
        (0.8, 0.8, 0.1),
        {"entropy_moves_teacher": True},
    ),
    "gaussian": (
        "AMID, Gaussian entropy",
        (0.8, 0.8, 0.1),
        {"entropy": "gaussian"},
    ),
    "light_student": ("+ I(T;S), weights x 0.3", (0.24, 0, 0), {}),
    "light_full": ("AMID, weights x 0.3", (0.24, 0.24, 0.03), {}),
}
TITLES = {row: title for row, (title, _, _) in ROWS.items()}
MEASURES = ("student", "teacher", "auxiliary", "student_information")
DIFFERENCES = {
    "teacher: I(T;S) against none": ("teacher", "student", "ce"),
    "teacher: I(T;A) added": ("teacher", "auxiliary", "student"),
    "teacher: both against none": ("teacher", "auxiliary", "ce"),
    "student: AMID against task only": ("student", "full", "ce"),
    "student: AMID against + I(T;S)": ("student", "full", "student"),
    "student: AMID against both": ("student", "full", "auxiliary"),
    "student: entropy moves the teacher": ("student", "moving", "full"),
    "teacher: entropy moves the teacher": ("teacher", "moving", "full"),
    "student: Gaussian entropy": ("student", "gaussian", "full"),
    "teacher: I(T;S) x 0.3 against none": ("teacher", "light_student", "ce"),
    "teacher: AMID x 0.3 against that": (
        "teacher",
        "light_full",
        "light_student",
    ),
    "student: AMID x 0.3 against task only": ("student", "light_full", "ce"),
    "student: AMID x 0.3 against I(T;S) x 0.3": (
        "student",
        "light_full",
        "light_student",
    ),
    "student: AMID x 0.3 against AMID": ("student", "light_full", "full"),
}


class Runner:
    """Trains the rows of the problems, for one seed after the other.

    What differs by weights or samples alone shares a compiled model.
    """

    def __init__(self, epochs):
        self.epochs = epochs
        self.start = Restarts(
            lambda model: model.compile(
                keras.optimizers.Adam(RATE), "sparse_categorical_crossentropy"
            )
        )

    def __call__(self, problem, seed):
        """Accuracies in percent and bounds in nats, by row."""
        train, test = load(problem, seed)
        return {row: self._row(row, problem, seed, train, test) for row in ROWS}

    def _row(self, row, problem, seed, train, test):
        _, weights, arguments = ROWS[row]
        key = (problem == "digits", str(arguments))
        fresh = functools.partial(make, problem, seed, **arguments)
        model = self.start(key, fresh, seed)
        for term, weight in zip(TERMS, weights):
            model.set_loss_weight(term, weight)
        keras.utils.set_random_seed(seed)
        model.fit(*train, batch_size=BATCH, epochs=self.epochs, verbose=0)
        x, y = test
        found = {
            role: accuracy(model.named[role], x, y)
            for role in ("student", "teacher", "auxiliary")
        }
        logs = model.evaluate(
            x, y, batch_size=BATCH, verbose=0, return_dict=True
        )
        return found | {k: v for k, v in logs.items() if "information" in k}


def accuracy(model, x, y):
    """Percent of the test samples."""
    x = select_modalities(x, model)
    logits = model.predict(x, batch_size=1000, verbose=0)
    return float(100 * np.mean(logits.argmax(-1) == y))


class SharedInformation(Distiller):
    """Two encoders that maximise the bound of what they share."""

    frozen = ()

    def compute_losses(self, x, y, sample_weight, training):
        one, other = (self.run(r, x, training) for r in ("student", "other"))
        loss = InfoNCE()
        value = loss(one["logits"], other["logits"])
        size = keras.ops.cast(keras.ops.shape(x["s"])[0], "float32")
        return {}, {"nce": value}, {"nats": loss.information(value, size)}


def estimate(seed, epochs):
    """The bound on 4,000 held-out samples, by batches of 500; the truth."""
    train, test = latent(seed, 4000)
    keras.utils.set_random_seed(seed)
    encoders = [network({name: 16}, ENCODING) for name in ("s", "a")]
    model = SharedInformation(student=encoders[0], other=encoders[1])
    model.compile(keras.optimizers.Adam(RATE))
    model.fit(train.x, batch_size=BATCH, epochs=epochs, verbose=0)
    logs = model.evaluate(test.x, batch_size=500, verbose=0, return_dict=True)
    return {
        "estimate": logs["nats"],
        "analytic": test.mutual_information["a;s"],
    }


def judge(results):
    """Rows and paired differences of every problem; the estimator."""
    found = {}
    for problem in PROBLEMS:
        values = {
            (role, row): [r[problem][row][role] for r in results]
            for role in MEASURES
            for row in ROWS
        }
        pairs = {
            title: ((role, row), (role, baseline))
            for title, (role, row, baseline) in DIFFERENCES.items()
        }
        text, differences = rows.differences(values, pairs, digits=2)
        found[problem] = {
            "rows": {
                f"{role} {row}": summarise(v)
                for (role, row), v in values.items()
            },
            "differences": differences,
            "text": text,
        }
    found["estimator"] = {
        name: summarise([r["estimator"][name] for r in results])
        for name in ("estimate", "analytic")
    }
    return found


def text(judged):
    """The tables."""
    parts = []
    for problem, title in PROBLEMS.items():
        found = judged[problem]["rows"]
        lines = [
            [
                TITLES[row],
                *(
                    f"{found[f'{role} {row}']['mean']:.1f} "
                    f"({interval(found[f'{role} {row}'])})"
                    for role in ("student", "teacher")
                ),
                f"{found[f'auxiliary {row}']['mean']:.1f}",
                f"{found[f'student_information {row}']['mean']:.2f}",
            ]
            for row in ROWS
        ]
        header = [title, "student", "teacher", "auxiliary", "I(T;S)"]
        parts += [table(header, lines), "", judged[problem]["text"], ""]
    estimator = judged["estimator"]
    estimate, analytic = estimator["estimate"], estimator["analytic"]
    return "\n".join(
        [
            *parts,
            "Test accuracy in percent, mean and 95 % interval over "
            f"{estimate['n']} seeds; differences seed by seed. I(T;S): the "
            f"bound on test samples in nats, at most {np.log(BATCH):.2f}.",
            "Estimator on held-out samples, I(x_s; x_a): "
            f"{estimate['mean']:.3f} nats ({interval(estimate, 3)}), analytic "
            f"{analytic['mean']:.3f}.",
        ]
    )


def draw(results, path):
    """Accuracy of student and teacher by row, a panel for each problem."""
    size = {"size": (14, 8), "sharey": True, "squeeze": False}
    figure, axes = canvas.new(2, len(PROBLEMS), **size)
    short = {
        "ce": "task only",
        "student": "+ I(T;S)",
        "auxiliary": "+ I(T;S) + I(T;A)",
        "full": "AMID",
        "moving": "AMID, entropy\nmoves teacher",
        "gaussian": "AMID, Gaussian",
        "light_student": "+ I(T;S), x 0.3",
        "light_full": "AMID, x 0.3",
    }
    short = {row: short[row] for row in ROWS}
    colors = {"teacher": canvas.ORANGE, "student": canvas.BLUE}
    for column, (problem, title) in enumerate(PROBLEMS.items()):
        for line, (role, color) in enumerate(colors.items()):
            axis = axes[line, column]
            values = {
                row: [r[problem][row][role] for r in results] for row in ROWS
            }
            seed_rows.draw(axis, values, short, dict.fromkeys(ROWS, color))
            axis.set_xlabel(f"test accuracy of the {role} (%)")
            if line == 0:
                axis.set_title(title, fontsize=11, loc="left")
    figure.suptitle(
        f"AMID: every seed ({len(results)}), mean and 95 % interval", x=0.5
    )
    return canvas.save(figure, path)


def run(seeds, output, quick=False, arguments=()):
    """Measures, prints the tables and writes JSON and a picture.

    Args:
        seeds: List of seeds.
        output: Folder for `amid.json` and `amid.png`.
        quick: A smoke run of two epochs.
        arguments: The arguments of the command, for the record.
    """
    canvas.check_matplotlib()
    epochs = 2 if quick else EPOCHS
    runner = Runner(epochs)

    def one_seed(seed):
        found = {problem: runner(problem, seed) for problem in PROBLEMS}
        return found | {"estimator": estimate(seed, epochs)}

    print(f"AMID: {len(ROWS)} rows, {len(PROBLEMS)} problems, {epochs} epochs")
    settings = {"epochs": epochs, "rows": ROWS, "problems": PROBLEMS}
    study = Study("amid", output, settings, arguments)
    results = study.measure(seeds, one_seed)
    judged = judge(results)
    print(f"\n{text(judged)}\n{record.describe()}\n")
    written = study.write(verdict=judged)
    print(f"Wrote {written} and {draw(results, f'{output}/amid.png')}")
    return judged
