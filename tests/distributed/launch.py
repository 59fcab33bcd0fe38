"""Starts workers, and compares what they have found."""

import os
import pathlib
import socket
import subprocess
import sys

import keras
import numpy as np

ROOT = pathlib.Path(__file__).parents[2]
WORKER = pathlib.Path(__file__).with_name("worker.py")


def free_port():
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


def environment(engine, **extra):
    kind, _, count = engine.partition(":")
    env = dict(os.environ, XKD_ENGINE=engine, PYTHONPATH=str(ROOT))
    env["KERAS_BACKEND"] = keras.backend.backend()
    if kind in ("data", "model"):
        flags = f"--xla_force_host_platform_device_count={count}"
        # Devices wait for each other. On a busy machine 40 seconds are short.
        flags += " --xla_cpu_collective_call_terminate_timeout_seconds=600"
        env["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}"
    return env | extra


def start(engine, arguments, script=WORKER, processes=1, **extra):
    """The processes of an engine, started."""
    env = environment(engine, **extra)
    port = str(free_port())
    if processes > 1:
        env |= {"MASTER_ADDR": "localhost", "MASTER_PORT": port}
        env |= {"WORLD_SIZE": str(processes)}
        env |= {"XKD_ADDRESS": f"localhost:{port}"}
    return [
        subprocess.Popen(
            [sys.executable, str(script), *map(str, arguments)],
            env=env | ({"RANK": str(rank)} if processes > 1 else {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )
        for rank in range(processes)
    ]


def finish(workers, timeout=900):
    """Waits for processes, which must end well; returns what they printed."""
    printed = [worker.communicate(timeout=timeout)[0] for worker in workers]
    for worker, text in zip(workers, printed, strict=True):
        assert worker.returncode == 0, text[-4000:]
    return printed


def run(engine, folder, names, processes=1, script=WORKER, **extra):
    """What each process of an engine has found: dicts of arrays."""
    path = pathlib.Path(folder) / f"{engine.replace(':', '_')}_{processes}"
    finish(start(engine, [path, *names], script, processes, **extra))
    found = []
    for rank in range(processes):
        with np.load(f"{path}.{rank}.npz") as file:
            found.append(dict(file))
    return found


def differences(found, wanted):
    """The largest difference of every entry, the largest first.

    Relative to numbers above one, such as the normalizers of CRD.
    """
    assert sorted(found) == sorted(wanted)
    largest = {
        key: np.max(np.abs(found[key] - old) / np.maximum(np.abs(old), 1))
        for key, old in wanted.items()
    }
    return dict(sorted(largest.items(), key=lambda item: -item[1]))
