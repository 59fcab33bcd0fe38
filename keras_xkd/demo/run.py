"""The demo from end to end: trains, tells, and leaves files behind."""

import pathlib
import time

from keras_xkd.benchmark import record
from keras_xkd.benchmark.statistics import compare
from keras_xkd.benchmark.statistics import summarise
from keras_xkd.benchmark.table import interval
from keras_xkd.benchmark.table import table
from keras_xkd.demo import pictures
from keras_xkd.demo.experiment import ALL
from keras_xkd.demo.experiment import DISTILLED
from keras_xkd.demo.experiment import FEW
from keras_xkd.demo.experiment import STEPS
from keras_xkd.demo.experiment import TITLES
from keras_xkd.demo.experiment import run_seed
from keras_xkd.visualization import canvas

INTRODUCTION = """\
Cross-modal distillation: a network that knows pictures of digits teaches one
that hears them.

The data are handwritten digits paired with digits spoken by synthetic voices;
the pairs were made by matching the digit. The teacher learns from labelled
pictures. The student gets pairs of sound and picture and no label: it learns
to predict from the sound what the teacher says about the picture. Afterwards
it works alone. Voices and pictures of the test are new to all networks.
"""

SNIPPET = """\
import keras
from keras_xkd.datasets import av_digits

student = keras.models.load_model({path!r})
_, _, (x_test, y_test) = av_digits.load_data()
digits = student.predict(x_test["audio"]).argmax(-1)
print((digits == y_test).mean())"""


def run(seeds, output, quick=False, steps=None, arguments=("demo",)):
    """Runs the demo.

    Args:
        seeds: List of seeds.
        output: Folder for `student.keras`, `comparison.png`, `curves.png` and
            `results.json`.
        quick: A smoke run of 20 steps.
        steps: Steps of each network.
        arguments: The arguments of the command, for the record.

    Returns:
        What `results.json` holds as figures.
    """
    canvas.check_matplotlib()
    output = pathlib.Path(output)
    output.mkdir(parents=True, exist_ok=True)
    steps = steps or (20 if quick else STEPS)
    print(INTRODUCTION)
    start = time.monotonic()
    accuracies = {row: [] for row in TITLES}
    histories = {row: [] for row in TITLES}
    for i, seed in enumerate(seeds):
        stage = f"[{i + 1}/{len(seeds)}] "
        accuracy, history, student = run_seed(seed, steps, stage)
        for row in TITLES:
            accuracies[row].append(accuracy[row])
            histories[row].append(history[row])
        if i == 0:  # The first, not the best: the test split chooses nothing.
            student.save(output / "student.keras")
    seconds = time.monotonic() - start
    results = {
        "steps": steps,
        "seconds": round(seconds, 1),
        "summary": {row: summarise(v) for row, v in accuracies.items()},
        "distilled_minus_few": compare(accuracies[DISTILLED], accuracies[FEW]),
        "distilled_minus_all": compare(accuracies[DISTILLED], accuracies[ALL]),
        "accuracies": accuracies,
        "histories": histories,
    }
    print(f"\n{text(results)}\n{record.describe()}; {seconds:.0f} s\n")
    record.write(output / "results.json", results, arguments, seeds)
    pictures.draw_comparison(accuracies, output / "comparison.png")
    pictures.draw_curves(histories, output / "curves.png")
    print(farewell(output, seeds[0]))
    return results


def text(results):
    """The table of test accuracies and what it says."""
    rows = [
        [
            TITLES[row],
            f"{s['mean']:.1f}",
            "-" if s["sd"] is None else f"{s['sd']:.1f}",
            interval(s),
        ]
        for row, s in results["summary"].items()
    ]
    n = len(results["accuracies"][DISTILLED])
    lines = [
        table(["trained on", "test accuracy (%)", "SD", "95 % interval"], rows),
        "",
        f"{n} seed{'s' * (n != 1)}, {results['steps']} steps each. The three "
        "audio rows are the same network",
        "from the same initial weights. The intervals cover the seeds, not the",
        "choice of the 300 test samples. Distilled minus the others, seed by",
        "seed:",
    ]
    for other, key in [(FEW, "few"), (ALL, "all")]:
        gap = results[f"distilled_minus_{key}"]
        spread = interval(gap, sign=True)
        lines.append(
            f"  {gap['mean']:+.1f} points ({spread}) against {TITLES[other]}"
        )
    return "\n".join(lines)


def farewell(output, seed):
    """What was written, and how to use the student."""
    path = (output / "student.keras").as_posix()
    return "\n".join(
        [
            f"Wrote to {output.as_posix()}/:",
            f"  student.keras   the distilled student of seed {seed}",
            "  comparison.png  the table as a picture",
            "  curves.png      training and validation losses",
            "  results.json    all figures, seeds, versions and the command",
            "",
            "The student is a plain Keras model, which needs neither the",
            "teacher nor keras_xkd (here only for the data):",
            "",
            SNIPPET.format(path=path),
        ]
    )
