"""Results as a file that says how they came about."""

import importlib.metadata
import json
import pathlib
import platform
import shlex
import sys

import keras


def environment():
    """Versions of everything that the numbers may depend on.

    Example:

    >>> sorted(environment())
    ['backend', 'machine', 'python', 'versions']
    """
    backend = keras.backend.backend()
    versions = {
        name: importlib.metadata.version(name)
        for name in ("keras", "numpy", backend)
    }
    versions["keras_xkd"] = sys.modules["keras_xkd"].__version__
    return {
        "backend": backend,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": versions,
    }


def describe():
    """One line with the versions, for the foot of a table."""
    found = environment()
    versions = ", ".join(f"{k} {v}" for k, v in found["versions"].items())
    return f"Python {found['python']}, {versions}"


def command(arguments):
    """The command line that repeats a run.

    Example:

    >>> command(["demo", "--seeds", "3"])
    'KERAS_BACKEND=... python -m keras_xkd demo --seeds 3'
    """
    backend = keras.backend.backend()
    line = shlex.join(["python", "-m", "keras_xkd", *map(str, arguments)])
    return f"KERAS_BACKEND={backend} {line}"


def write(path, results, arguments, seeds):
    """Writes `results` with the command, the seeds and the versions.

    Args:
        path: The JSON file; its folder is made.
        results: A dict of numbers, strings, lists and dicts.
        arguments: The arguments of the command, for `command`.
        seeds: The seeds.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "command": command(arguments),
        **environment(),
        "seeds": [int(seed) for seed in seeds],
        **results,
    }
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path
