"""Jobs that are killed, in processes of their own.

`python -m tests.data.interrupted FOLDER` prints what came of them as JSON. It
never runs a network itself, so that it can be forked on every backend.
"""

import importlib.util
import io
import json
import os
import pathlib
import random
import signal
import sys
import time

import keras
import numpy as np

from keras_xkd.data import cache_teacher

if importlib.util.find_spec("tensorflow"):
    import tensorflow  # noqa: F401, which Keras would import in each process.

SAMPLES, BATCH, SHARD = 22, 5, 8
# Enough for the slowest machine: nothing waits for it in vain.
PATIENCE = 60


class Doubling(keras.layers.Layer):
    """A teacher without weights, as slow as is asked for."""

    modalities = ("image",)
    delay = 0.0

    def build(self, shapes):
        self.built = True

    def call(self, x):
        time.sleep(self.delay)
        return {"tokens": x["image"] * 2.0}


def job(folder, delay=0.0):
    teacher = Doubling(name="doubling")
    teacher.build({"image": (None, 3)})
    teacher.delay = delay
    x = {"image": np.random.default_rng(0).normal(size=(SAMPLES, 3))}
    cache_teacher(
        teacher, x, folder, batch_size=BATCH, shard_size=SHARD, verbose=0
    )


def contents(folder):
    """All files that a reader could see; not what is unfinished."""
    return {
        str(path.relative_to(folder)): path.read_bytes().hex()
        for path in sorted(pathlib.Path(folder).rglob("*"))
        if path.is_file()
    }


def whole_shards(folder):
    """Whether whatever is called a shard can be read, and is right."""
    for path in pathlib.Path(folder).glob("teacher/shard-?????"):
        columns = {f.stem: np.load(f) for f in path.iterdir()}
        if sorted(columns) != ["input_hash", "sample_id", "tokens"]:
            return False
        if len({len(values) for values in columns.values()}) > 1:
            return False
    return True


def die_at(place):
    """Ends the process at one of the places where files change.

    Returns:
        A function that says how many places there were so far.
    """
    passed = [0]

    def here():
        passed[0] += 1
        if passed[0] == place:
            os._exit(9)

    def wrap(original):
        def wrapped(*args, **kwargs):
            here()
            result = original(*args, **kwargs)
            here()
            return result

        return wrapped

    def save_half(file, values, **kwargs):
        whole = io.BytesIO()
        save(whole, values, **kwargs)
        half = len(whole.getvalue()) // 2
        file.write(whole.getvalue()[:half])
        file.flush()
        here()
        file.write(whole.getvalue()[half:])

    save, np.save = np.save, save_half
    for name in ("fsync", "mkdir", "rename", "replace", "unlink"):
        setattr(os, name, wrap(getattr(os, name)))
    return lambda: passed[0]


def forked(function, *args):
    """Starts a function in another process; returns its number."""
    process = os.fork()
    if not process:
        try:
            code = function(*args) or 0
        except RuntimeError:
            code = 3
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            code = 4
        os._exit(code)
    return process


def result(process):
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def count_places(folder):
    places = die_at(None)
    job(folder)
    return places()


def killed_job(folder, place):
    die_at(place)
    job(folder)


def main(folder):
    folder = pathlib.Path(folder)
    rng = random.Random(0)
    assert result(forked(job, folder / "whole")) == 0
    whole = contents(folder / "whole")
    places = result(forked(count_places, folder / "counted"))
    report = {"places": places, "shards": -(-SAMPLES // SHARD), "runs": []}
    report["reproducible"] = contents(folder / "counted") == whole
    for number, place in enumerate(rng.sample(range(1, places + 1), 20)):
        once = folder / f"once_{number}"
        code = result(forked(killed_job, once, place))
        ok = whole_shards(once)
        resumed = result(forked(job, once))
        same = contents(once) == whole
        report["runs"].append([place, code, ok, resumed, same])
    report["killed"] = []
    for number in range(3):
        path = folder / f"killed_{number}"
        process = forked(job, path, 0.1)
        wait_for(path / "teacher" / "shard-00000", number > 0)
        time.sleep(0.1 * rng.random())
        second = result(forked(job, path))  # Somebody else writes.
        os.kill(process, signal.SIGKILL)
        code = result(process)
        ok = whole_shards(path)
        resumed = result(forked(job, path))
        same = contents(path) == whole
        report["killed"].append([second, code, ok, resumed, same])
    print(json.dumps(report))


def wait_for(path, shard):
    wanted = path if shard else path.parent / "manifest.json"
    end = time.monotonic() + PATIENCE
    while not wanted.exists() and time.monotonic() < end:
        time.sleep(0.001)


if __name__ == "__main__":
    main(sys.argv[1])
