"""The same training on several backends: time, memory, and the same numbers?

Every backend trains in a process of its own, from the same weights, on the same
batches in the same order. This process imports no backend: it only tells the
others what to do, and compares.
"""

import importlib.util
import math

from keras_xkd.benchmark import backends_report
from keras_xkd.benchmark.backends_link import Worker
from keras_xkd.benchmark.backends_link import pinned
from keras_xkd.benchmark.backends_results import summarise
from keras_xkd.benchmark.backends_team import Team
from keras_xkd.benchmark.backends_team import train
from keras_xkd.benchmark.names import BACKENDS
from keras_xkd.benchmark.names import METHODS
from keras_xkd.benchmark.names import SIZES
from keras_xkd.visualization import canvas

DEVICES = ("auto", "cpu")
# Measured steps, and those that a backend takes in one turn. A turn is an epoch
# of `fit`, whose beginning and end (up to 30 ms) should not weigh.
STEPS = {"mlp": 3000, "conv": 60, "transformer": 60}
TURN = {"mlp": 200, "conv": 4, "transformer": 4}
# Single steps whose losses are compared; they also warm up.
CURVE = {"mlp": 20, "conv": 8, "transformer": 8}
# Batches that make an epoch, and samples that test the student.
BATCHES, TESTS = 16, 256


def compare(
    methods=("kd",),
    backends=None,
    size="mlp",
    seeds=(0,),
    steps=None,
    epochs=None,
    turn=None,
    batch_size=None,
    optimizer="adam",
    dtype="float32",
    jit=None,
    cores=None,
    device="auto",
    timeout=900,
    quick=False,
    report=print,
    after_each=None,
):
    """Trains the same on several backends, and compares time and results.

    A backend whose process dies is reported and left out of that comparison;
    the others go on. Can be called whatever backend Keras runs on in this
    process: it is not used.

    Args:
        methods: Names of methods, some of `names.METHODS`.
        backends: Names of backends, by default all that are installed.
        size: Size of the networks, one or several of `names.SIZES`.
        seeds: Seeds of weights and data.
        steps: Measured steps of each training, rounded up to whole turns; by
            default 3000 with the small networks, else 60.
        epochs: The same as a number of epochs, of 16 batches each.
        turn: Steps that a backend takes before it is the next one's turn, by
            default 200 with the small networks, else 4.
        batch_size: Samples in a batch, by default that of the size.
        optimizer: Name of the optimizer.
        dtype: Name of a dtype policy, such as `"mixed_float16"`.
        jit: `jit_compile` of `compile`, by default Keras's choice.
        cores: Number of processor cores to use, by default all.
        device: `"auto"`, or `"cpu"` to use no accelerator.
        timeout: Seconds that a process may take for one answer.
        quick: Whether to take tiny networks and a few steps: a smoke run.
        report: Called with a line of text whenever something was done.
        after_each: Called with the results so far after every method and size.

    Returns:
        A dict with `settings`; `workers`, what each backend ran on; `cases`, a
        list with the result of every method and size, see
        `backends_results.summarise`. `print` gives its tables.

    Raises:
        ValueError: If an argument is not valid, or no backend is installed.

    Example:

    ```python
    from keras_xkd.benchmark import backends

    results = backends.compare(["kd", "amid"], ["jax", "torch"])
    results["cases"][0]["ratios"]["torch / jax"]["ratio"]
    ```
    """
    methods = _names("methods", methods, METHODS)
    sizes = _names("size", size, SIZES)
    _names("device", device, DEVICES)
    backends = _installed(backends, report)
    seeds = [int(seed) for seed in seeds]
    if not seeds:
        raise ValueError("`seeds` must have at least one. Received: none")
    with pinned(cores):  # Raises if it cannot.
        pass
    for name, value in [("steps", steps), ("epochs", epochs), ("turn", turn)]:
        if value is not None and value < 1:
            raise ValueError(f"`{name}` must be positive. Received: {value}")
    options = {"batch_size": batch_size, "optimizer": optimizer, "dtype": dtype}
    if jit is not None:
        options["jit_compile"] = bool(jit)
    if quick:
        options["tiny"] = True
    launch = {"cores": cores, "device": device, "timeout": timeout}
    results = backends_report.Results(
        seeds=seeds,
        settings={**options, **launch},
        workers={},
        cases=[],
    )
    for each in sizes:
        plan = _plan(each, steps, epochs, turn, quick)
        for method in methods:
            report(f"{method}, {each}: starting {', '.join(backends)}")
            team = Team({b: Worker(b, **launch) for b in backends}, report)
            case = {"method": method, "size": each, "plan": plan}
            try:
                described = team.each("describe")
                for backend, found in described.items():
                    if backend not in results["workers"]:
                        where = backends_report.where(found)
                        report(f"  {backend} {where}")
                results["workers"] |= described
                measured = train(team, case, seeds, options)
            finally:
                team.close()
            results["cases"].append(
                {**case, **summarise(measured), "errors": team.errors}
            )
            if after_each:
                after_each(results)
    return results


def _plan(size, steps, epochs, turn, quick):
    """How many steps are taken, and how."""
    plan = {"curve": CURVE[size], "batches": BATCHES, "tests": TESTS}
    if quick:
        plan = {"curve": 3, "batches": 4, "tests": 20}
    if steps is not None and epochs is not None:
        raise ValueError("`steps` and `epochs` cannot both be given.")
    if epochs is not None:
        steps = epochs * plan["batches"]
    steps = steps or (6 if quick else STEPS[size])
    turn = min(steps, turn or (2 if quick else TURN[size]))
    return {**plan, "turn": turn, "turns": math.ceil(steps / turn)}


def _names(argument, wanted, valid):
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    if not wanted or not set(wanted) <= set(valid):
        raise ValueError(
            f"`{argument}` must be some of {', '.join(valid)}. "
            f"Received: {wanted}"
        )
    return list(dict.fromkeys(wanted))


def _installed(wanted, report):
    """The wanted backends that are installed."""
    there = [b for b in BACKENDS if importlib.util.find_spec(b)]
    chosen = _names(
        "backends", BACKENDS if wanted is None else wanted, BACKENDS
    )
    missing = [b for b in chosen if b not in there]
    chosen = [b for b in chosen if b in there]
    if not chosen:
        raise ValueError(
            f"Not installed: {', '.join(missing)}. Installed: "
            f"{', '.join(there) or 'no backend'}. Install one, such as: "
            f'`pip install "keras-xkd[{missing[0]}]"`.'
        )
    if wanted is not None:
        for backend in missing:
            report(
                f"{backend} is not installed: going on without it. "
                f'`pip install "keras-xkd[{backend}]"` installs it.'
            )
    return chosen


def run(
    seeds, output, quick=False, arguments=("benchmark", "backends"), **options
):
    """Prints and writes the comparison: tables, JSON and pictures.

    Args:
        seeds: The seeds.
        output: Folder for the results.
        quick: Whether to make a smoke run.
        arguments: The command that led here, for the record.
        **options: Further arguments of `compare`.
    """
    canvas.check_matplotlib()
    options = {k: v for k, v in options.items() if v is not None}

    def write(results):
        # After every case: an interrupt loses one only.
        return backends_report.write(results, output, arguments)

    try:
        results = compare(seeds=seeds, quick=quick, after_each=write, **options)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    print(f"\n{backends_report.text(results)}\n")
    for path in write(results):
        print(f"Written: {path}")
    if not any(case["backends"] for case in results["cases"]):
        raise SystemExit("No backend finished.")
    return results
