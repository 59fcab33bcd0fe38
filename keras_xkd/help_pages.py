"""What `python -m keras_xkd --help` says. Imports nothing heavy."""

import argparse
import functools
import pathlib

from keras_xkd.benchmark.catalogue import BENCHMARKS
from keras_xkd.benchmark.catalogue import DETAILS

DESCRIPTION = """\
Cross-modal knowledge distillation in Keras 3, on JAX, TensorFlow and PyTorch.
Networks that see, hear and read train together; the one that you deploy needs
only some of these modalities. A teacher that knows pictures teaches a student
that hears, without a label for any sound.

This command shows that it works and measures how well. To train networks of
your own, use the package in Python; see below.
"""

EXAMPLES = """\
examples:
  python -m keras_xkd demo                       pictures teach speech
  python -m keras_xkd demo --seeds 1 --backend torch
  python -m keras_xkd benchmark backends --methods kd amid --size mlp conv
  python -m keras_xkd benchmark gaussians --seeds 100
  python -m keras_xkd benchmark --help           all benchmarks

in Python:
  from keras_xkd.distillers import CrossModalDistiller
  distiller = CrossModalDistiller(student=student, teacher=teacher)
  distiller.compile("adam", metrics=["accuracy"])
  distiller.fit({"audio": sounds, "image": images}, epochs=10)
  distiller.summary()                            who reads and learns what

to read on:
  README.md                                      installation, quick start
  guides/choosing_a_method.py                    which method suits your data
  examples/                                      each method, start to end
  RESULTS.md                                     what was measured, and how
  python -m pydoc keras_xkd.distillers           the methods and their terms
"""

DEMO = """\
Trains a network that knows pictures of digits, lets it teach another that
hears spoken digits, without one audio label, and compares with training on
labels. Takes a minute or two on two processor cores. Writes student.keras,
comparison.png, curves.png and results.json.
"""

DEMO_EXAMPLES = """\
examples:
  python -m keras_xkd demo                       five seeds, as in README.md
  python -m keras_xkd demo --quick               does it run here at all?
  python -m keras_xkd demo --seeds 1 --backend torch --output demo_torch

to read on:
  README.md                                      the same in your own code
  examples/cross_modal_distillation.py           step by step
"""

BENCHMARK = """\
Measurements with a known answer: whether a method does what its paper says,
and what a training step costs. Each prints its tables, and writes numbers and
pictures into a folder.
"""

BENCHMARK_EXAMPLES = """\
examples:
  python -m keras_xkd benchmark two-moons
  python -m keras_xkd benchmark two-moons --quick    does it run here at all?
  python -m keras_xkd benchmark two-moons --help     what exactly it measures

RESULTS.md has the tables, with the commands that make them.
"""

# Names of commands stand beside what they do, not above it.
formatter = functools.partial(
    argparse.RawDescriptionHelpFormatter, max_help_position=26
)


def of_benchmark(name: str) -> str:
    """What a benchmark measures, in the words of its module.

    The module is read, not imported: it would import Keras.
    """
    if name in DETAILS:
        return DETAILS[name]
    folder = pathlib.Path(__file__).parent / "benchmark"
    source = (folder / f"{name.replace('-', '_')}.py").read_text("utf-8")
    purpose = BENCHMARKS[name][1]
    _, found, rest = source.partition('"""')
    return f"{rest.partition(found)[0].strip() if found else purpose}\n"


def examples_of(name: str) -> str:
    """Commands to begin with."""
    command = f"python -m keras_xkd benchmark {name}"
    seeds = BENCHMARKS[name][0]
    return (
        "examples:\n"
        f"  {command} --quick\n"
        f"  {command} --seeds {seeds} --output {name.replace('-', '_')}\n\n"
        "RESULTS.md has the tables of the benchmarks.\n"
    )
