"""The comparison of backends as tables, JSON and pictures."""

import json
import pathlib
import platform
import shlex
import sys

import numpy as np

from keras_xkd.benchmark.backends_figure import draw
from keras_xkd.benchmark.backends_link import usable_cores
from keras_xkd.benchmark.table import number
from keras_xkd.benchmark.table import table
from keras_xkd.visualization import canvas


class Results(dict):
    """What `backends.compare` found; `print` gives the tables."""

    def __repr__(self):
        return text(self)


def where(worker):
    """What a backend runs on, as text."""
    device = worker["device"]
    name = device["kind"]
    if device["name"] != name:
        name += f" ({device['name']})"
    return f"{worker['version']} on {name}"


def text(results):
    """The tables of all cases, with their explanations."""
    cases = [case for case in results["cases"] if case["backends"]]
    parts = []
    if cases:
        parts.append(_speed(cases))
    several = [case for case in cases if case["ratios"]]
    if several:
        adaptive = results["settings"]["optimizer"] != "sgd"
        parts += [_ratios(several), _differences(several, adaptive)]
    parts += [
        f"{case['method']}, {case['size']}, {backend} is missing: {error}"
        for case in results["cases"]
        for backend, error in case["errors"].items()
    ]
    return "\n\n".join([*parts, _foot(results)])


def _speed(cases):
    rows = []
    for case in cases:
        for backend, own in case["backends"].items():
            title = f"{case['method']}, {case['size']}, {backend}"
            low, high = np.quantile(own["milliseconds"], [0.25, 0.75])
            rows.append(
                [
                    title,
                    number(own["median"]),
                    f"{number(low)} to {number(high)}",
                    f"{np.median(own['first_step']):.2f}",
                    _mebibytes(own["host_memory"]),
                    _mebibytes(own["training_memory"]),
                    _mebibytes(own["device_memory"]),
                    f"{np.mean(own['final_loss']):.5g}",
                    f"{100 * np.mean(own['accuracy']):.1f}",
                ]
            )
    header = [
        "method, networks, backend",
        "step, ms",
        "middle half",
        "first step, s",
        "host, MiB",
        "training, MiB",
        "device, MiB",
        "final loss",
        "accuracy, %",
    ]
    return (
        f"{table(header, rows)}\n"
        "step: median of turns; first step: with compilation; host: peak, of "
        "which training: since the imports."
    )


def _ratios(cases):
    pairs = list(dict.fromkeys(pair for c in cases for pair in c["ratios"]))
    rows = []
    for case in cases:
        cells = [f"{case['method']}, {case['size']}"]
        for pair in pairs:
            found = case["ratios"].get(pair)
            text = "-"
            if found:
                ratio, *ends = map(number, found.values())
                text = f"{ratio} ({' to '.join(ends)})"
            cells.append(text)
        rows.append(cells)
    header = ["time of a step", *pairs]
    return f"{table(header, rows)}\nIn brackets: 95 % interval."


def _differences(cases, adaptive):
    rows = []
    for case in cases:
        found = case["differences"]
        rows.append(
            [
                f"{case['method']}, {case['size']}",
                *(f"{found[key]:.1e}" for key in ("first", "curve", "end")),
                f"{100 * found['accuracy']:.1f}",
            ]
        )
    curves = sorted({str(case["plan"]["curve"]) for case in cases}, key=int)
    header = [
        "largest difference of backends",
        "loss, step 1",
        f"loss, steps 1 to {'/'.join(curves)}",
        "loss, end",
        "accuracy, points",
    ]
    note = ""
    if adaptive:
        note = (
            "\nOptimizers such as Adam enlarge differences of rounding in the "
            "long run; `--optimizer sgd`\nshows whether the backends agree."
        )
    return table(header, rows) + note


def _mebibytes(count):
    return "-" if count is None else f"{count / 2**20:.0f}"


def _foot(results):
    workers = results["workers"]
    lines = [f"{name} {where(own)}" for name, own in workers.items()]
    kinds = {own["device"]["kind"] for own in workers.values()}
    settings = results["settings"]
    cores = settings["cores"] or usable_cores()
    lines.append(
        f"Python {platform.python_version()}, {cores} processor cores, "
        f"{settings['dtype']}, {settings['optimizer']}"
    )
    if len(kinds) > 1:
        lines.append(
            "THE BACKENDS DID NOT USE THE SAME KIND OF DEVICE: their times "
            "cannot be compared. `--device cpu` keeps all on the processor."
        )
    return "\n".join(lines)


def write(results, output, arguments):
    """Writes `backends.json`, and a picture for each size; gives their paths.

    Args:
        results: What `compare` returns.
        output: The folder; it is made.
        arguments: The arguments of the command, for the record.
    """
    output = pathlib.Path(output)
    output.mkdir(parents=True, exist_ok=True)
    path = output / "backends.json"
    content = {
        "command": shlex.join(["python", "-m", "keras_xkd", *arguments]),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": usable_cores(),
        "keras_xkd": sys.modules["keras_xkd"].__version__,
        **results,
    }
    path.write_text(json.dumps(content, indent=1) + "\n")
    paths = [path]
    cases = [case for case in results["cases"] if case["backends"]]
    for size in dict.fromkeys(case["size"] for case in cases):
        own = [case for case in cases if case["size"] == size]
        path = output / f"backends_{size}.png"
        paths.append(canvas.save(draw(own), path))
    return paths
