"""The benchmarks, as the command line offers them. Imports nothing heavy."""

import argparse

from keras_xkd.benchmark.contrast_growth_names import LOSSES
from keras_xkd.benchmark.names import BACKENDS
from keras_xkd.benchmark.names import METHODS
from keras_xkd.benchmark.names import SIZES

# Module in keras_xkd.benchmark, default number of seeds, what it shows.
BENCHMARKS = {
    "backends": (1, "the same training on every backend, side by side"),
    "step-time": (1, "a training step against hand-written loops and Keras"),
    "contrast-growth": (1, "contrastive losses as batch and queue grow"),
    "scaling": (1, "what it costs that several devices share a batch"),
    "cmcd": (5, "contrastive distillation to a target with few labels"),
    "gaussians": (100, "when a teacher helps: shared decisive information"),
    "complementarity": (20, "is a gain foreseen by mutual information?"),
    "amid": (10, "AMID: the weak teacher and its cure"),
    "step-cost": (1, "operations of a step with two players (JAX)"),
    "export": (1, "which students are exported, and predict the same then"),
    "video-adviser": (20, "a teacher that watches videos advises a reader"),
    "teacher-cache": (20, "an epoch from a cache of teacher outputs"),
    "teacher-memory": (1, "what a frozen teacher keeps in memory (PyTorch)"),
    "loaders": (5, "seconds that kinds of data loaders take"),
    "umt-laziness": (10, "what a weak modality learns beside a strong one"),
    "umt-or-ume": (20, "does the rule choose the better late fusion?"),
    "two-moons": (30, "MKE: a student that outgrows its uni-modal teacher"),
}

# Those that start processes with backends, and use none themselves.
WITHOUT_KERAS = ("backends",)


def positive(text):
    """A number of things, at least one."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be positive, not {number}")
    return number


def _some(choices, default="all"):
    """One or several names."""
    return {
        "nargs": "+",
        "choices": choices,
        "metavar": "NAME",
        "help": f"some of {', '.join(choices)} (default: {default})",
    }


def _number(text, kind=positive, metavar="N"):
    return {"type": kind, "metavar": metavar, "help": text}


# Options of a single benchmark. Each is an argument of its `run` of the same
# name, which is None if the option was not given.
OPTIONS = {
    "backends": {
        "--methods": _some(METHODS, "kd"),
        "--backends": _some(BACKENDS, "all that are installed"),
        "--size": _some(SIZES, "mlp"),
        "--steps": _number(
            "measured steps of each training (default: 3000 with mlp, else 60)"
        ),
        "--epochs": _number("the same in epochs of 16 batches"),
        "--turn": _number(
            "steps until it is the next backend's turn (default: 200 with mlp, "
            "else 4)"
        ),
        "--batch-size": _number("samples in a batch"),
        "--optimizer": {
            "metavar": "NAME",
            "help": "of Keras (default: adam, which enlarges differences of "
            "rounding; sgd shows whether the backends agree)",
        },
        "--dtype": {
            "metavar": "POLICY",
            "help": "such as mixed_float16 (default: float32)",
        },
        "--jit": {
            "action": argparse.BooleanOptionalAction,
            "help": "compile with XLA, or torch.compile (default: as Keras)",
        },
        "--cores": _number("processor cores to use (default: all)"),
        "--device": {
            "choices": ("auto", "cpu"),
            "help": "cpu leaves accelerators alone (default: auto)",
        },
        "--timeout": _number(
            "longest wait for one answer of a backend (default: 900)",
            metavar="SECONDS",
        ),
    },
    "step-time": {
        "--methods": _some(METHODS),
        "--sizes": _some(SIZES),
        "--contenders": _some(
            ("loop", "native", "stock", "keras_distillation")
        ),
        "--pairs": _number("blocks of steps side by side (default: 15)"),
        "--levers": {
            "action": "store_true",
            "help": "measure what a user can set instead: XLA, data format, "
            "torch.compile, steps per execution, threads",
        },
        "--batch-size": _number("samples in a batch"),
        "--dtype": {
            "metavar": "POLICY",
            "help": "such as mixed_bfloat16, without the loops by hand "
            "(default: float32)",
        },
    },
    "scaling": {
        "--sizes": _some(SIZES, "mlp transformer"),
        "--pairs": _number("how often each time is taken (default: 15)"),
    },
    "contrast-growth": {
        "--backends": _some(BACKENDS, "that of `--backend`"),
        "--losses": _some(LOSSES),
        "--sizes": {
            **_number("of batch and queue (default: 512 1024 ... 65536)"),
            "nargs": "+",
        },
        "--width": _number("of the embeddings (default: 128)"),
        "--chunk-size": {
            **_number("rows in a block of the chunked form (default: 512)"),
            "dest": "chunk",
        },
        "--limit": _number(
            "a form stops before it needs more memory (default: 8)",
            float,
            "GB",
        ),
        "--seconds": _number(
            "a form stops before a step takes longer (default: 300)",
            float,
            "S",
        ),
    },
}

DETAILS = {
    "backends": """\
Trains the same networks from the same weights on the same batches on every
backend, each in a process of its own, and compares the time of a step, the
time of the first (which compiles), memory, losses and accuracy. Uses a GPU
where the backend finds one, and says so. Writes backends.json and a picture
for each size.

Such as:
  ... benchmark backends --methods kd amid --size mlp conv --seeds 3
  ... benchmark backends --dtype mixed_float16 --jit --batch-size 64
""",
}
