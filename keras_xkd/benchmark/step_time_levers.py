"""What a user can set, each measured against our step without it."""

import contextlib
import os
import pathlib
import time

import keras
import numpy as np

from keras_xkd.benchmark import record
from keras_xkd.benchmark import step_time
from keras_xkd.benchmark import step_time_contenders as ways
from keras_xkd.benchmark.statistics import ratio
from keras_xkd.benchmark.table import table

WORTH = 0.95  # What pays makes a step faster by 5 % at least.
ADVICE = {
    "jit_compile=True": "compile(jit_compile=True) pays: {}",
    "jit_compile=False": "compile(jit_compile=False) pays: {}",
    "channels_first": (
        'keras.config.set_image_data_format("channels_first") before the '
        "networks are made pays: {}"
    ),
    "steps_per_execution": "compile(steps_per_execution=10) pays: {}",
    "one core": (
        "one core is enough: run as many trainings as there are cores: {}"
    ),
}


def levers(size):
    """Names of the levers of the backend, with arguments of `compile`."""
    backend = keras.backend.backend()
    found = {}
    if backend != "jax":  # There, without it is some 80 times slower.
        # On PyTorch, this is `torch.compile`, which may take minutes.
        found["jit_compile=True"] = {"jit_compile": True}
    if backend == "tensorflow":
        found["jit_compile=False"] = {"jit_compile": False}
    if backend != "torch" and size == "mlp":
        found["steps_per_execution"] = {"steps_per_execution": 10}
    if backend != "tensorflow" and size == "conv":
        found["channels_first"] = {}  # TensorFlow has it on a GPU only.
    if len(_cores()) > 1:
        found["one core"] = {}
    return found


def compare(
    method, size, rounds, seed=0, quick=False, batch_size=None, dtype=None
):
    """Times our step with each lever, in turns.

    Returns:
        A dict: `method`, `size`, `steps`, `seconds` by lever, `ratios` by
        lever to the default, and `failed`, what could not be run and why.
    """
    own_size = None if quick else step_time.BATCHES[size]
    steps = step_time.steps_of(size)
    if quick:
        steps = 10 if size == "mlp" else 2
    options = {"batch_size": batch_size or own_size, "seed": seed}
    options |= {"tiny": quick}
    runs, failed, first = {}, {}, {}
    for name, kwargs in {"default": {}, **levers(size)}.items():
        with _settings(name), ways.policy(dtype):
            train = ways.make("ours", method, size, steps, kwargs, **options)
        start = time.perf_counter()
        try:
            train()  # A lever that does not work says so here.
            first[name] = time.perf_counter() - start
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"[:200]
            continue
        runs[name] = _on_one_core(train) if name == "one core" else train
    seconds = step_time.measure(runs, rounds, warm_up=0)
    for name, own in seconds.items():
        own["first"] = first[name]  # With the compilation.
    ratios = {
        name: {
            clock: ratio(own[clock], seconds["default"][clock])
            for clock in step_time.CLOCKS
        }
        for name, own in seconds.items()
        if name != "default"
    }
    return {
        "method": method,
        "size": size,
        "steps": steps,
        "seconds": seconds,
        "ratios": ratios,
        "failed": failed,
    }


@contextlib.contextmanager
def _settings(name):
    """Global settings while networks are made."""
    before = keras.config.image_data_format()
    if name == "channels_first":
        keras.config.set_image_data_format("channels_first")
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)


def _cores():
    if not hasattr(os, "sched_getaffinity"):
        return [0]
    return sorted(os.sched_getaffinity(0))


def _on_one_core(train):
    """Holds all threads of the process on one core while it trains."""

    def place(cores):
        for thread in os.listdir("/proc/self/task"):
            with contextlib.suppress(OSError):  # It has just ended.
                os.sched_setaffinity(int(thread), cores)

    def epoch():
        cores = _cores()
        place(cores[:1])
        try:
            return train()
        finally:
            place(cores)

    return epoch


def run(
    seeds,
    output,
    quick,
    arguments,
    methods,
    sizes,
    rounds,
    batch_size,
    dtype=None,
):
    """Prints and writes the levers and advice; see `step_time.run`."""
    backend = keras.backend.backend()
    print(f"Settings on {backend}, {step_time.machine()}\n", flush=True)
    results = []
    for size in sizes:
        for method in methods:
            start = time.perf_counter()
            found = compare(
                method, size, rounds, seeds[0], quick, batch_size, dtype
            )
            results.append(found)
            keras.utils.clear_session()
            took = time.perf_counter() - start
            print(f"{size}, {method}, in {took:.0f} s:")
            print(_table(found), "\n", flush=True)
            for line in advice(found):
                print(line)
            for name, why in found["failed"].items():
                print(f"{name} does not work here: {why}")
    print(f"\n{record.describe()}")
    report = {"machine": step_time.machine(), "results": results}
    path = pathlib.Path(output) / f"step_time_levers_{backend}.json"
    record.write(path, report, arguments, seeds)
    return report


def _table(found):
    lines = []
    for name, own in found["seconds"].items():
        ratios = found["ratios"].get(name)
        middle = 1e3 * np.median(own["wall"]) / found["steps"]
        line = [name, f"{middle:.2f}", f"{own['first']:.1f}", "-", "-", "-"]
        if ratios:
            wall = ratios["wall"]
            line[3] = f"{wall['ratio']:.2f}"
            line[4] = f"{wall['low']:.2f} to {wall['high']:.2f}"
            line[5] = f"{ratios['processor']['ratio']:.2f}"
        lines.append(line)
    header = ["", "ms", "first block, s", "ratio", "95 %", "processor"]
    return table(header, lines)


def advice(found):
    """One line for every lever that pays."""
    backend = keras.backend.backend()
    lines = []
    for name, ratios in found["ratios"].items():
        wall = ratios["wall"]
        # A single core needs no more time than two: the other is free.
        bound = 1.05 if name == "one core" else WORTH
        if wall["high"] <= bound:
            share = f"{wall['ratio']:.2f} of the time"
            what = ADVICE[name].format(share)
            lines.append(f"{found['size']} on {backend}: {what}")
    return lines
