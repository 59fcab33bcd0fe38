"""What contrastive losses cost as the batch and the queue grow.

The plain form of a loss makes a matrix with a number for every pair of rows;
in chunks it makes some rows of it at a time. One step, forward and backward,
is measured for sizes that double, until a form would take too much memory or
time. Every backend runs in a process of its own; this one uses none.
"""

import math

from keras_xkd.benchmark import contrast_growth_report as report
from keras_xkd.benchmark.backends_link import Worker
from keras_xkd.benchmark.backends_link import WorkerError
from keras_xkd.benchmark.contrast_growth_names import FORMS
from keras_xkd.benchmark.contrast_growth_names import LOSSES
from keras_xkd.benchmark.names import BACKENDS
from keras_xkd.benchmark.names import check_known
from keras_xkd.visualization import canvas

WORKER = "keras_xkd.benchmark.contrast_growth_worker"
SIZES = tuple(2**k for k in range(9, 17))
# The exponents are those of the last sizes that ran.
FITTED = 4


def measure(worker, loss, chunk, sizes, width=128, limit=8.0, seconds=300.0):
    """Steps of one form of a loss.

    Args:
        worker: A `backends_link.Worker` of `contrast_growth_worker`.
        loss: One of `contrast_growth_names.LOSSES`.
        chunk: Rows in a block, `None` for the plain form.
        sizes: Numbers of rows, ascending.
        width: Numbers in a row.
        limit: Gigabytes; a step that would take more is not run.
        seconds: A step that would take longer is not run.

    Returns:
        A dict with `points`, dicts of `size`, `seconds` and `bytes`, and
        `stopped`, why the largest sizes are missing, or `None`.
    """
    worker.ask("choose", loss=loss, chunk=chunk, width=width)
    points = []
    for size in sizes:
        long = expect(points, "seconds", size)
        much = expect(points, "bytes", size)
        much = None if much is None else much / 1e9
        if long is not None and long > seconds:
            why = f"{size} would take about {long:.0f} s"
        elif much is not None and much > limit:
            why = f"{size} would take about {much:.0f} GB"
        else:
            try:
                found = worker.ask(
                    "measure", size=size, limit=limit * 1e9, expected=long or 0
                )
            except WorkerError as error:
                return {"points": points, "stopped": f"{size}: {error}"}
            if found["seconds"] is not None:
                points.append({"size": size, **found})
                continue
            why = f"{size} would take {found['bytes'] / 1e9:.0f} GB"
        return {"points": points, "stopped": why}
    return {"points": points, "stopped": None}


def expect(points, key, size):
    """What a larger size will take, from the growth so far; `None` at first."""
    known = [p for p in points if p[key]]
    if not known:
        return None
    power = 2.0  # What it is at worst.
    if len(known) > 1:
        power = min(max(exponent(known[-2:], key), 1.0), 2.0)
    return known[-1][key] * (size / known[-1]["size"]) ** power


def exponent(points, key):
    """The power of the size with which something grows, by least squares.

    Example:

    >>> points = [{"size": n, "seconds": 3.0 * n**2} for n in (4, 8, 16)]
    >>> round(exponent(points, "seconds"), 6)
    2.0
    """
    pairs = [(math.log(p["size"]), math.log(p[key])) for p in points if p[key]]
    if len(pairs) < 2:
        return None
    x_mean, y_mean = (sum(axis) / len(pairs) for axis in zip(*pairs))
    above = sum((x - x_mean) * (y - y_mean) for x, y in pairs)
    return above / sum((x - x_mean) ** 2 for x, _ in pairs)


def summarise(series):
    """The exponents, over the last sizes, and the largest size that ran."""
    last = series["points"][-FITTED:]
    fitted = {
        f"{key}_exponent": exponent(last, key) if len(last) > 2 else None
        for key in ("seconds", "bytes")
    }
    return {**series, **fitted}


def run(
    seeds,
    output,
    quick=False,
    arguments=("benchmark", "contrast-growth"),
    backends=None,
    losses=None,
    sizes=None,
    width=None,
    chunk=None,
    limit=None,
    seconds=None,
):
    """Measures, prints a table, writes JSON and a picture.

    Args:
        seeds: Not used: nothing that is measured depends on the numbers.
        output: Folder for `contrast_growth.json` and `.png`.
        quick: A smoke run with small sizes.
        arguments: The command line, for the record.
        backends: Names of backends, by default that of this process.
        losses, sizes, width, limit, seconds: See `measure`; all losses, 512 to
            65,536 rows of 128 numbers, 8 GB and 300 s by default.
        chunk: Rows in a block of the chunked form, 512 by default.

    Returns:
        What is in the JSON file.
    """
    check_known("losses", losses, LOSSES)
    if backends is None:
        import keras

        backends = [keras.backend.backend()]
    canvas.check_matplotlib()
    chunk = chunk or (16 if quick else 512)
    sizes = sorted(sizes or ((64, 128, 256) if quick else SIZES))
    options = {
        "width": width or (8 if quick else 128),
        "limit": limit or 8.0,
        "seconds": seconds or 300.0,
    }
    results = []
    devices = {}
    for backend in [b for b in BACKENDS if b in backends]:
        for loss in losses or LOSSES:
            for form in FORMS:
                worker = Worker(backend, module=WORKER, timeout=3600)
                try:
                    devices[backend] = worker.ask("describe")
                    series = measure(
                        worker,
                        loss,
                        chunk if form == "chunks" else None,
                        sizes,
                        **options,
                    )
                finally:
                    worker.close()
                series = summarise(series)
                results.append(
                    {"backend": backend, "loss": loss, "form": form, **series}
                )
                print(report.line(results[-1]), flush=True)
    return report.write(
        results,
        output,
        {"sizes": sizes, "chunk": chunk, **options, "devices": devices},
        arguments,
        seeds,
    )
