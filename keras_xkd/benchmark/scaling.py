"""What it costs that several devices share a batch, and where it stops paying.

Bytes are counted in training steps of processes on PyTorch, and compared with
closed forms, which then go on to many devices and large networks. Two
processes of this machine show times.
"""

import itertools
import pathlib

import keras
import numpy as np

from keras_xkd.benchmark import scaling_report as report
from keras_xkd.benchmark import scaling_volume as volume
from keras_xkd.benchmark.names import check_known
from keras_xkd.benchmark.scaling_times import Group
from keras_xkd.benchmark.scaling_times import take_times
from keras_xkd.benchmark.workloads_networks import SIZES
from keras_xkd.benchmark.workloads_networks import Shape
from keras_xkd.benchmark.workloads_networks import network
from keras_xkd.visualization import canvas

# Networks at 224 x 224; patches of the transformer are given as vectors.
LARGE = {
    "ResNet-18": (
        "conv",
        Shape({"image": (224, 224, 3)}, 64, 2, 1, stages=4),
    ),
    "ViT-B": (
        "transformer",
        Shape({"image": (196, 768)}, 768, 12, 1, heads=12),
    ),
}
# Processes, samples of each, width of the embeddings, layers of the networks.
CASES = [
    *itertools.product((1, 2, 3), (8, 32, 128), (64,), (3,)),
    *itertools.product((1, 2, 3), (32,), (256,), (3, 8)),
]
DEVICES = tuple(2**k for k in range(1, 9))
BATCHES, WIDTHS = (32, 128, 512, 1024), (128, 512, 2048)
EXAMPLE = {"batch": 256, "width": 512}


def count(cases=CASES, make=Group):
    """Counts what is sent in a step, beside the closed forms.

    Args:
        cases: Tuples: processes, samples of each, width, layers.
        make: Makes a group of a number of processes.

    Returns:
        A list of dicts. Bytes are those that one process sends: `counted` and
        `expected` by purpose, and `sent`, what the system was handed, with the
        headers of gloo, or None. `operations` are those of the products in a
        step, on each process; where the same case ran in one process,
        `added` are those that it does not have, and `expected_added`.
    """
    found = []
    for processes, own in itertools.groupby(sorted(cases), lambda c: c[0]):
        with make(processes) as group:
            for _, batch, width, layers in own:
                answers = group.ask(
                    "count", batch=batch, width=width, layers=layers
                )
                case = {"processes": processes, "batch": batch}
                case |= {"width": width, "layers": layers}
                found.append(case | _counted(processes, answers))
    alone = {
        _key(row): row["operations"] for row in found if row["processes"] == 1
    }
    for row in found:
        batch, width, parameters = (
            row[key] for key in ("batch", "width", "parameters")
        )
        processes = row["processes"]
        row["expected"] = {
            "gather": volume.gathered(processes, batch, width),
            "gradients": volume.reduced(processes, parameters),
            "rest": volume.remaining(processes),
        }
        if _key(row) in alone:
            row["added"] = row["operations"] - alone[_key(row)]
            row["expected_added"] = volume.matrix_operations(
                processes * batch, width
            ) - volume.matrix_operations(batch, width)
    return found


def _key(row):
    return row["batch"], row["width"], row["layers"]


def _counted(processes, answers):
    first = answers[0]
    sent = [answer["sent"] for answer in answers]
    return {
        "parameters": first["parameters"],
        "counted": {k: v / processes for k, v in first["moved"].items()},
        "messages": first["messages"],
        "sent": None if None in sent else float(np.mean(sent)),
        "operations": first["operations"],
    }


def describe_networks():
    """Parameters and operations of a forward pass of large networks."""
    found = {}
    for name, (size, shape) in LARGE.items():
        model = network(size, shape, tuple(shape.inputs))
        found[name] = {
            "parameters": sum(
                int(np.prod(v.shape)) for v in model.trainable_variables
            ),
            "operations": volume.forward_operations(model),
        }
    return found


def grow(networks, devices=DEVICES, batch=256, width=512):
    """A row for each number of devices: bytes and operations of a step."""
    rows = []
    for number in devices:
        matrix = volume.matrix_operations(number * batch, width)
        rows.append(
            {
                "devices": number,
                "global_batch": number * batch,
                "gather": volume.gathered(number, batch, width),
                "matrix_operations": matrix,
                "matrix_bytes": volume.ITEM * (number * batch) ** 2,
                "networks": {
                    name: {
                        "gradients": volume.reduced(number, own["parameters"]),
                        "matrix_share": matrix
                        / volume.network_operations(own["operations"], batch),
                    }
                    for name, own in networks.items()
                },
            }
        )
    return rows


def limits(networks, batches=BATCHES, widths=WIDTHS):
    """Where the gather exceeds the gradients, and where throughput ends."""
    rows = []
    for batch, width in itertools.product(batches, widths):
        own = {}
        for name, has in networks.items():
            peak = volume.peak_devices(has["operations"], batch, width)
            own[name] = {
                "gather_exceeds": volume.gather_exceeds(
                    has["parameters"], batch, width
                ),
                # There the matrix takes a ninth of the networks' operations.
                "ninety_percent": peak / 3,
                "peak": peak,
                "peak_in_chunks": volume.peak_devices(
                    has["operations"], batch, width, chunks=True
                ),
            }
        rows.append({"batch": batch, "width": width, "networks": own})
    return rows


def run(
    seeds,
    output,
    quick=False,
    arguments=("benchmark", "scaling"),
    sizes=None,
    pairs=None,
):
    """Counts, computes and measures; writes tables, JSON and a picture.

    On other backends than PyTorch there are only the closed forms.

    Args:
        seeds: Not used: what is measured does not depend on the numbers.
        output: Folder for `scaling.json` and `scaling.png`.
        quick: A smoke run with the smallest networks.
        arguments: The command line, for the record.
        sizes: Networks to take times of, by default `mlp` and `transformer`.
        pairs: How often each time is taken, 15 by default.

    Returns:
        What is in the JSON file.
    """
    check_known("sizes", sizes, SIZES)
    canvas.check_matplotlib()
    networks = describe_networks()
    found = {
        "networks": networks,
        "example": EXAMPLE,
        "growth": grow(networks, **EXAMPLE),
        "limits": limits(networks),
        "counts": [],
        "times": [],
    }
    if keras.backend.backend() == "torch":
        cases = CASES
        if quick:
            cases = [
                case for case in CASES if case[0] < 3 and case[1:3] == (8, 64)
            ]
        print("Counting what processes send ...", flush=True)
        found["counts"] = count(cases)
        for size in sizes or ("mlp", "transformer"):
            print(f"Taking times: {size} ...", flush=True)
            steps = 50 if size == "mlp" and not quick else 1
            found["times"].append(
                take_times(size, pairs or (2 if quick else 15), steps, quick)
            )
    return report.write(found, pathlib.Path(output), arguments, seeds)
