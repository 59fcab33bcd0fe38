"""The modality focusing hypothesis on Gaussian views.

What a student gains from a teacher with another modality grows with gamma, the
share of the decisive information that both modalities contain (Xue et al.,
ICLR 2023). `keras_xkd.datasets.correlated_gaussians` has a known answer.

Linear softmax classifiers, zero initial weights (the problem is convex),
full-batch SGD with rate 0.1, 1,000 steps. The student learns from the labels,
with and without the teacher: cross-entropy + KL at temperature 1, weights 1.

All seeds are trained at once, as one model with an axis of seeds: independent
classifiers whose losses are averaged over that axis. The gradient of each is
therefore divided by the number of seeds, and the learning rate multiplied by
it.
"""

import keras
import numpy as np
from keras import layers

from keras_xkd.benchmark import record
from keras_xkd.benchmark.statistics import compare
from keras_xkd.benchmark.statistics import summarise
from keras_xkd.benchmark.study import Study
from keras_xkd.benchmark.table import interval
from keras_xkd.benchmark.table import table
from keras_xkd.datasets import correlated_gaussians
from keras_xkd.distillers import CrossModalDistiller
from keras_xkd.losses import SoftTargets
from keras_xkd.visualization import canvas

MEASURED = ("teacher", "alone", "distilled")
OVERLAPS = (0, 2, 4, 6, 8, 10)
RATE, STEPS, CLASSES = 0.1, 1000, 2
WORDS = {"better": "helps", "worse": "harms", "unclear": "unclear"}


def load(overlap, seeds):
    """Views `(samples, seeds, width)` and labels `(samples, seeds)`."""
    parts = [correlated_gaussians.load_data(None, overlap, s) for s in seeds]
    return [
        (
            {
                view: np.stack([p[i][0][view] for p in parts], 1)
                for view in ("student", "teacher")
            },
            np.stack([p[i][1] for p in parts], 1),
        )
        for i in (0, 1)
    ]


def classifiers(view, seeds, width):
    """One linear classifier per seed, as one model."""
    inputs = keras.Input((seeds, width), name=view)
    outputs = layers.EinsumDense(
        "bsi,sio->bso",
        output_shape=(seeds, CLASSES),
        bias_axes="so",
        kernel_initializer="zeros",
    )(inputs)
    return keras.Model(inputs, outputs, name=view)


def fit(model, x, y, steps):
    """Full-batch gradient descent: each step sees all the data."""
    batches = ((x, y) for _ in range(steps))
    model.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=0)


def compile_arguments(seeds):
    return {
        "optimizer": keras.optimizers.SGD(RATE * seeds),
        "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    }


def train(view, x, y, steps):
    """Classifiers of one view, trained with the labels alone."""
    model = classifiers(view, *x[view].shape[1:])
    model.compile(**compile_arguments(y.shape[1]))
    fit(model, x[view], y, steps)
    return model


def distil(teacher, x, y, steps):
    """The student's classifiers, trained with labels and teachers."""
    student = classifiers("student", *x["student"].shape[1:])
    distiller = CrossModalDistiller(student=student, teacher=teacher)
    distiller.compile(
        **compile_arguments(y.shape[1]),
        distillation_loss=SoftTargets(temperature=1.0),
        loss_weights={"task": 1.0, "distillation": 1.0},
    )
    fit(distiller, x, y, steps)
    return student


def predict(model, x):
    """The logits, `(samples, seeds, classes)`."""
    return keras.ops.convert_to_numpy(model(x[model.name]))


def accuracy(model, x, y):
    """Percent of the test samples, one number per seed."""
    return 100 * (predict(model, x).argmax(-1) == y).mean(0)


def measure(seeds, steps=STEPS, overlaps=OVERLAPS, report=print):
    """Test accuracies by overlap, each a list with one number per seed."""
    results, alone = [], None
    for overlap in overlaps:
        (x, y), (x_test, y_test) = load(overlap, seeds)
        if alone is None:  # Its data is the same for every overlap.
            student = train("student", x, y, steps)
            alone = accuracy(student, x_test, y_test)
        teacher = train("teacher", x, y, steps)
        student = distil(teacher, x, y, steps)
        gamma = correlated_gaussians.shared_fraction(overlap)
        report(f"gamma {gamma:.2f}: {len(seeds)} seeds done")
        results.append(
            {
                "gamma": gamma,
                "teacher": accuracy(teacher, x_test, y_test).tolist(),
                "alone": alone.tolist(),
                "distilled": accuracy(student, x_test, y_test).tolist(),
            }
        )
    return results


def judge(results):
    """Gains with their intervals, whether they rise, and the verdict."""
    gains = [np.subtract(r["distilled"], r["alone"]) for r in results]
    gammas = [r["gamma"] for r in results]
    rows = [
        {
            "gamma": r["gamma"],
            **{k: summarise(r[k]) for k in ("teacher", "alone", "distilled")},
            "gain": compare(r["distilled"], r["alone"]),
        }
        for r in results
    ]
    steps = [compare(b, a) for a, b in zip(gains, gains[1:])]
    slope = np.polyfit(gammas, np.stack(gains), 1)[0]
    slope = compare(slope, np.zeros_like(slope))
    rises = slope["verdict"] == "better" and all(s["mean"] > 0 for s in steps)
    harms = rows[0]["gain"]["verdict"] == "worse"
    helps = all(
        row["gain"]["verdict"] == "better"
        for row in rows
        if row["gamma"] > 0.66
    )
    parts = [harms, helps, rises]
    claim = "holds" if all(parts) else "in part" if any(parts) else "not"
    return {
        "rows": rows,
        "steps": steps,
        "slope": slope,
        "rises": rises,
        "harms_at_0": harms,
        "helps_from_0.67": helps,
        "claim": claim,
    }


def text(judged):
    """The table and the verdict."""
    lines = [
        [
            f"{row['gamma']:.2f}",
            *(f"{row[k]['mean']:.1f}" for k in ("teacher", "alone")),
            f"{row['distilled']['mean']:.1f}",
            f"{row['gain']['mean']:+.2f}",
            interval(row["gain"], 2, sign=True),
            WORDS[row["gain"]["verdict"]],
        ]
        for row in judged["rows"]
    ]
    header = ["gamma", "teacher", "student alone", "distilled", "gain"]
    slope, steps = judged["slope"], judged["steps"]
    clear = sum(step["verdict"] == "better" for step in steps)
    return "\n".join(
        [
            table([*header, "95 % interval", "verdict"], lines),
            "",
            "Test accuracy in percent, gain in points: mean of the differences "
            f"of {judged['rows'][0]['gain']['n']} paired seeds.",
            f"The gain {'rises' if judged['rises'] else 'does not rise'}: "
            f"slope {slope['mean']:+.2f} points per unit of gamma "
            f"({interval(slope, 2, sign=True)}); {clear} of {len(steps)} steps "
            "from one gamma to the next are significantly positive.",
            f"Modality focusing hypothesis on this data: {judged['claim']}.",
        ]
    )


def draw(judged, path):
    """The gain over gamma, with intervals."""
    rows = judged["rows"]
    figure, axis = canvas.new(size=(6.5, 4.2))
    gamma = [row["gamma"] for row in rows]
    mean = np.array([row["gain"]["mean"] for row in rows])
    axis.axhline(0, color=canvas.GREY, linewidth=1)
    axis.plot(gamma, mean, color=canvas.BLUE, linewidth=1, alpha=0.5)
    if rows[0]["gain"]["sd"] is not None:
        ends = [[row["gain"][end] for row in rows] for end in ("low", "high")]
        axis.errorbar(
            gamma,
            mean,
            yerr=np.abs(np.array(ends) - mean),
            fmt="none",
            color=canvas.BLUE,
            capsize=4,
        )
    axis.plot(gamma, mean, "o", color=canvas.BLUE)
    axis.grid(axis="y", alpha=0.3)
    axis.set_xticks(gamma, [f"{g:.2f}" for g in gamma])
    axis.set_xlabel("gamma: share of decisive information in both modalities")
    axis.set_ylabel("gain of the student (points)")
    axis.set_title(
        "What the student gains from the teacher\n"
        f"{rows[0]['gain']['n']} paired seeds, mean and 95 % interval",
        fontsize=11,
        loc="left",
    )
    for word, offset, side in [("helps", 4, "bottom"), ("harms", -4, "top")]:
        axis.annotate(
            f"teacher {word}",
            (1, 0),
            xytext=(0, offset),
            xycoords=axis.get_yaxis_transform(),
            textcoords="offset points",
            ha="right",
            va=side,
            color=canvas.GREY,
        )
    return canvas.save(figure, path)


def run(seeds, output, quick=False, arguments=()):
    """Measures, prints the table and writes JSON and a picture.

    Args:
        seeds: List of seeds.
        output: Folder for `gaussians.json` and `gaussians.png`.
        quick: A smoke run with 10 steps instead of 1,000.
        arguments: The arguments of the command, for the record.
    """
    canvas.check_matplotlib()
    steps = 10 if quick else STEPS
    print(f"Linear classifiers, {steps} steps, {len(seeds)} seeds each:")
    study = Study("gaussians", output, {"steps": steps}, arguments)

    def several(seeds):
        found = measure(seeds, steps)
        return [
            [{name: r[name][i] for name in MEASURED} for r in found]
            for i in range(len(seeds))
        ]

    by_seed = study.measure_together(seeds, several)
    results = [
        {
            "gamma": correlated_gaussians.shared_fraction(overlap),
            **{name: [r[i][name] for r in by_seed] for name in MEASURED},
        }
        for i, overlap in enumerate(OVERLAPS)
    ]
    judged = judge(results)
    print(f"\n{text(judged)}\n{record.describe()}\n")
    written = study.write(verdict=judged)
    print(f"Wrote {written} and {draw(judged, f'{output}/gaussians.png')}")
    return judged
