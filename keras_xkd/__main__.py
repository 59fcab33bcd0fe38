"""The command line: `python -m keras_xkd`.

Nothing heavy is imported before the arguments are read, so that help is quick
and the backend can be chosen; see also `keras_xkd/__init__.py`.
"""

import argparse
import contextlib
import importlib
import importlib.util
import logging
import os
import sys

from keras_xkd import help_pages
from keras_xkd.benchmark.catalogue import BENCHMARKS
from keras_xkd.benchmark.catalogue import OPTIONS
from keras_xkd.benchmark.catalogue import WITHOUT_KERAS
from keras_xkd.benchmark.catalogue import positive
from keras_xkd.benchmark.names import BACKENDS


def make_parser():
    """The parser of all arguments."""
    formatter = help_pages.formatter
    parser = argparse.ArgumentParser(
        "python -m keras_xkd",
        description=help_pages.DESCRIPTION,
        epilog=help_pages.EXAMPLES,
        formatter_class=formatter,
    )
    parser.add_argument("--version", action="version", version=_version())
    # Metavars longer than the names: argparse then puts what the names mean
    # beside all of them.
    commands = parser.add_subparsers(
        title="commands", dest="command", metavar="command-name", required=True
    )
    demo = commands.add_parser(
        "demo",
        help="pictures teach a network to recognise speech",
        description=help_pages.DEMO,
        epilog=help_pages.DEMO_EXAMPLES,
        formatter_class=formatter,
    )
    _add_common(demo, 5, "demo_output")
    demo.add_argument(
        "--steps",
        type=positive,
        metavar="N",
        help="training steps of each network (default: 500)",
    )
    benchmark = commands.add_parser(
        "benchmark",
        help="measurements with a known answer",
        description=help_pages.BENCHMARK,
        epilog=help_pages.BENCHMARK_EXAMPLES,
        formatter_class=formatter,
    )
    names = benchmark.add_subparsers(
        title="benchmarks",
        dest="name",
        metavar="name-of-benchmark",
        required=True,
    )
    for name, (seeds, purpose) in BENCHMARKS.items():
        child = names.add_parser(
            name,
            help=purpose,
            description=help_pages.of_benchmark(name),
            epilog=help_pages.examples_of(name),
            formatter_class=formatter,
        )
        _add_common(child, seeds, "benchmark_output", name not in WITHOUT_KERAS)
        for option, keywords in OPTIONS.get(name, {}).items():
            child.add_argument(option, **keywords)
    return parser


def _version():
    """The version of the package, and what it can run on."""
    version = sys.modules["keras_xkd"].__version__
    installed = [b for b in BACKENDS if importlib.util.find_spec(b)]
    return (
        f"keras_xkd {version}, Python {sys.version.split()[0]}, backends: "
        f"{', '.join(installed) or 'none'}"
    )


def _add_common(parser, seeds, output, backend=True):
    add = parser.add_argument
    add(
        "--seeds",
        type=positive,
        default=seeds,
        metavar="N",
        help=f"number of repetitions (default: {seeds})",
    )
    add(
        "--first-seed",
        type=int,
        default=0,
        metavar="K",
        help="the seeds are K, K + 1, ... (default: 0)",
    )
    add(
        "--output",
        default=output,
        metavar="DIR",
        help=f"folder for what is written (default: {output})",
    )
    add("--quick", action="store_true", help="a smoke run of a few steps")
    if backend:
        add(
            "--backend",
            choices=BACKENDS,
            help="backend of Keras (default: the environment variable "
            "KERAS_BACKEND, else the first of these that is installed)",
        )


def choose_backend(wanted=None):
    """The backend asked for, else of the environment, else the first there."""
    installed = [b for b in BACKENDS if importlib.util.find_spec(b)]
    wanted = wanted or os.environ.get("KERAS_BACKEND")
    if wanted is None and not installed:
        wanted = "of Keras"
    elif wanted is None:
        return installed[0]
    if wanted not in installed:
        raise SystemExit(
            f"The backend {wanted} is not installed. There is: "
            f"{', '.join(installed) or 'none'}. Install one of "
            f'{", ".join(BACKENDS)}, such as: `pip install "keras-xkd[jax]"`.'
        )
    return wanted


def set_up_backend(wanted=None):
    """Sets what must be set before Keras is imported, and imports it."""
    if "keras" in sys.modules:  # Called from Python.
        present = sys.modules["keras"].backend.backend()
        if wanted not in (None, present):
            raise SystemExit(
                f"Keras is already running on {present}; it cannot change to "
                f"{wanted}."
            )
        return
    backend = choose_backend(wanted)
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if backend == "torch":
        # With networks this small, threads wait for each other most of the
        # time: on two busy cores two threads took five times as long as one.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    with _without_stderr():
        importlib.import_module("keras")
        if importlib.util.find_spec("tensorflow"):
            # Keras imports it in `fit` in any case.
            importlib.import_module("tensorflow")


@contextlib.contextmanager
def _without_stderr():
    """Drops what libraries in C write, such as notes while they load."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def main(arguments=None):
    """Runs a command.

    Args:
        arguments: List of strings, by default those of the process.
    """
    if arguments is None:
        arguments = sys.argv[1:]
    options = vars(make_parser().parse_args(arguments))
    command, name = options.pop("command"), options.pop("name", None)
    if name not in WITHOUT_KERAS:
        set_up_backend(options.pop("backend"))
    first = options.pop("first_seed")
    seeds = list(range(first, first + options.pop("seeds")))
    module = "demo.run"
    if command == "benchmark":
        module = f"benchmark.{name.replace('-', '_')}"
    run = importlib.import_module(f"keras_xkd.{module}").run
    try:
        run(seeds, arguments=arguments, **options)
        if options["quick"]:
            print("A smoke run: its numbers and verdicts mean nothing.")
    except KeyboardInterrupt:
        raise SystemExit("\nStopped.") from None
    except ImportError as error:
        if error.name not in ("matplotlib", "keras_hub"):
            raise
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
