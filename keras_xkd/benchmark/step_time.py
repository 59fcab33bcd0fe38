"""The time of our training step, against the alternatives, in one run.

All contenders train the same networks from the same weights on the same
batches, which is checked by their losses. They take turns, block by block, so
that whatever else the machine does meets all of them; a ratio is that of the
medians, with a bootstrap interval over the rounds. Our time is that of a whole
`fit`, with everything that Keras does around the steps.
"""

import gc
import os
import pathlib
import time

import keras
import numpy as np

from keras_xkd.benchmark import record
from keras_xkd.benchmark import step_time_contenders as ways
from keras_xkd.benchmark import step_time_operations as operations
from keras_xkd.benchmark import step_time_targets as targets
from keras_xkd.benchmark import workloads
from keras_xkd.benchmark.statistics import ratio
from keras_xkd.benchmark.table import table

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
BATCHES = {"mlp": 32, "conv": 8, "transformer": 4}
# In a block. A call of `fit` has a fixed cost of some milliseconds, which must
# not count: a block takes a second or two.
STEPS = {"mlp": 500, "conv": 10, "transformer": 2}
FEWER_STEPS = {("jax", "conv"): 2, ("torch", "conv"): 3, ("torch", "mlp"): 100}
SAME = 0.01  # Relative difference of losses that is still the same training.


def steps_of(size):
    """Number of steps in a block."""
    return FEWER_STEPS.get((keras.backend.backend(), size), STEPS[size])


def measure(runs, rounds, warm_up=1):
    """Times of contenders that take turns.

    Args:
        runs: A dict `{name: function}`; each trains for a block, waits for
            the result and returns the mean loss.
        rounds: How often each is timed.
        warm_up: How often each runs before, beside the first time.

    Returns:
        A dict by name with `first`, the seconds of the first block, `loss`,
        the mean loss of that block, and a list of seconds for every clock.
    """
    found = {}
    for name, train in runs.items():
        start = time.perf_counter()
        loss = float(train())
        found[name] = {"first": time.perf_counter() - start, "loss": loss}
        found[name] |= {clock: [] for clock in CLOCKS}
        for _ in range(warm_up):
            train()
    names = list(runs)
    for turn in range(rounds):
        shift = turn % len(names)
        gc.collect()
        for name in names[shift:] + names[:shift]:
            start = {clock: now() for clock, now in CLOCKS.items()}
            runs[name]()
            for clock, now in CLOCKS.items():
                found[name][clock].append(now() - start[clock])
    return found


def compare(
    method,
    size,
    names,
    rounds,
    seed=0,
    quick=False,
    batch_size=None,
    dtype=None,
):
    """Times our step and its alternatives for one method and size.

    Args:
        method, size: See `workloads.make`.
        names: The alternatives, of `step_time_contenders.ALTERNATIVES`.
        rounds: Number of interleaved blocks of each.
        seed: Of the weights and the data.
        quick: Whether to take tiny networks and two steps in a block.
        batch_size: Number of samples in a batch; by default that of
            `BATCHES`.
        dtype: Name of a dtype policy. The loops by hand compute in float32
            and are left out with any other.

    Returns:
        A dict: `method`, `size`, `batch_size`, `steps`, `seconds` as `measure`
        returns them, and `ratios` `{alternative: {clock: ratio}}` of our time
        to each. `"ours_same_inputs"` is ours where the teacher reads what the
        student does, for the comparison with `keras.distillation`.
    """
    size_of_batch = batch_size or (None if quick else BATCHES[size])
    steps = 2 if quick else steps_of(size)
    options = {"batch_size": size_of_batch, "seed": seed, "tiny": quick}
    names = [n for n in names if n in ways.available(method, dtype)]
    runs = {}
    plain = [n for n in names if n != "keras_distillation"]
    with ways.policy(dtype):
        for name in ["ours", *plain] if plain else []:
            runs[name] = ways.make(name, method, size, steps, **options)
        if "keras_distillation" in names:
            options["same_inputs"] = True
            for name in ("ours", "keras_distillation"):
                key = "ours_same_inputs" if name == "ours" else name
                runs[key] = ways.make(name, method, size, steps, **options)
    seconds = measure(runs, rounds)
    ratios = {}
    for name in names:
        ours = seconds[_ours_for(name)]
        found = {c: ratio(ours[c], seconds[name][c]) for c in CLOCKS}
        gap = abs(seconds[name]["loss"] - ours["loss"])
        found["loss_difference"] = gap / max(abs(ours["loss"]), 1e-6)
        ratios[name] = found
    result = {
        "method": method,
        "size": size,
        "batch_size": size_of_batch,
        "steps": steps,
        "seconds": seconds,
        "ratios": ratios,
    }
    if keras.backend.backend() == "jax":
        result["operations"] = _count(runs)
    return result


def _count(runs):
    """Operations of a step, in millions, of those that have a target."""
    counts, batch = {}, None
    for name, epoch in runs.items():
        work = getattr(epoch, "work", None)
        if work is None:
            continue
        batch = work.batches()[0]
        two = work.method == "amid"
        if two or (work.method == "features" and "keras_distillation" in runs):
            counts[name] = operations.step_operations(epoch.model, batch) / 1e6
        if two:
            counts["networks"] = operations.network_operations(work) / 1e6
    return counts


def _ours_for(name):
    return "ours_same_inputs" if name == "keras_distillation" else "ours"


def machine():
    """What the times depend on beside the versions."""
    cores = (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count()
    )
    found = {"cores": cores}
    for name in ("OMP_NUM_THREADS", "XLA_FLAGS", "TF_NUM_INTRAOP_THREADS"):
        if name in os.environ:
            found[name] = os.environ[name]
    if keras.backend.backend() == "torch":
        import torch

        found["torch_threads"] = torch.get_num_threads()
    return found


def rows(results):
    """The lines of the table of results of `compare`."""
    lines = []
    for found in results:
        for name, ratios in found["ratios"].items():
            wall, processor = ratios["wall"], ratios["processor"]
            times = [
                1e3 * np.median(found["seconds"][n]["wall"]) / found["steps"]
                for n in (_ours_for(name), name)
            ]
            merged = targets.is_merged(found.get("operations", {}))
            verdict = targets.judge(
                found["method"], found["size"], name, wall, merged
            )
            if ratios["loss_difference"] > SAME:
                verdict = "other losses: no comparison"
            lines.append(
                [
                    f"{found['size']}, {found['method']}",
                    ways.TITLES[name],
                    f"{times[0]:.2f}",
                    f"{times[1]:.2f}",
                    f"{wall['ratio']:.2f}",
                    f"{wall['low']:.2f} to {wall['high']:.2f}",
                    f"{processor['ratio']:.2f}",
                    verdict,
                ]
            )
    return lines


HEADER = [
    "",
    "against",
    "ours, ms",
    "its ms",
    "ratio",
    "95 %",
    "processor",
    "target",
]


def run(
    seeds,
    output,
    quick=False,
    arguments=("benchmark", "step-time"),
    methods=None,
    sizes=None,
    contenders=None,
    pairs=None,
    levers=False,
    batch_size=None,
    dtype=None,
):
    """Prints and writes what a training step costs.

    Args:
        seeds: The first is the seed of weights and data.
        output: Folder for the results.
        quick: Whether to measure tiny networks in a few steps.
        arguments: The command that led here, for the record.
        methods: Names of methods, by default `workloads.METHODS`.
        sizes: Names of sizes, by default `workloads.SIZES`.
        contenders: Names of alternatives, by default all there are.
        pairs: How often each contender is timed, in turns with the others;
            15 by default.
        levers: Whether to measure what a user can set instead, such as
            `jit_compile`, and print advice.
        batch_size: Number of samples in a batch.
        dtype: Name of a dtype policy, see `compare`.
    """
    methods = methods or workloads.METHODS
    sizes = sizes or workloads.SIZES
    names = contenders or ways.ALTERNATIVES
    backend = keras.backend.backend()
    pairs = pairs or (3 if quick else 15)
    if levers:
        from keras_xkd.benchmark import step_time_levers

        return step_time_levers.run(
            seeds,
            output,
            quick,
            arguments,
            methods,
            sizes,
            pairs,
            batch_size,
            dtype,
        )
    kind = dtype or keras.config.dtype_policy().name
    print(f"A training step on {backend}, {kind}, {machine()}\n", flush=True)
    results = []
    for size in sizes:
        for method in methods:
            if not set(names) & set(ways.available(method, dtype)):
                print(f"{size}, {method}: there is nothing to compare with\n")
                continue
            start = time.perf_counter()
            found = compare(
                method, size, names, pairs, seeds[0], quick, batch_size, dtype
            )
            results.append(found)
            keras.utils.clear_session()
            took = time.perf_counter() - start
            print(f"{size}, {method}, in {took:.0f} s:", flush=True)
            print(table(HEADER, rows([found])), "\n", flush=True)
    lines = rows(results)
    if len(results) > 1:
        print(f"In all:\n\n{table(HEADER, lines)}\n")
    costs = targets.costs(results)
    if costs:
        print(f"{costs}\n")
    print(record.describe())
    report = {"machine": machine(), "dtype": kind}
    report |= {"results": results, "table": lines}
    path = pathlib.Path(output) / f"step_time_{backend}.json"
    record.write(path, report, arguments, seeds)
    return report
