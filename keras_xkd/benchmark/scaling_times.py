"""Processes of this machine that share a batch, and times of their steps."""

import contextlib
import os
import tempfile

import numpy as np

from keras_xkd.benchmark.backends_link import Worker
from keras_xkd.benchmark.statistics import ratio
from keras_xkd.benchmark.workloads_networks import FULL
from keras_xkd.benchmark.workloads_networks import TINY

WORKER = "keras_xkd.benchmark.scaling_worker"
# As it is, and two other ways to reduce the gradients.
FORMS = ("plain", "overlapped", "apart")
TITLES = {
    "alone": "1 process",
    "separate": "2 processes, nothing shared",
    "plain": "2 processes, same batch each",
    "halves": "2 processes, half the batch each",
    "overlapped": "2, gradients sent while computing",
    "apart": "2, gradients not sent",
}


class Group:
    """Processes that do the same at the same time.

    Args:
        processes: Number of them.
        together: Whether they share batches; else each trains by itself.
        timeout: Seconds that one answer may take.
    """

    def __init__(self, processes, together=True, timeout=900):
        self._folder = tempfile.TemporaryDirectory()
        self._workers = []
        try:
            for _ in range(processes):
                worker = Worker("torch", timeout=timeout, module=WORKER)
                self._workers.append(worker)
            path = os.path.join(self._folder.name, "store")
            for rank, worker in enumerate(self._workers):
                place = {"rank": 0, "size": 1}
                if together:
                    place = {"rank": rank, "size": processes}
                worker.send("join", path=path, **place)
            self._receive()
        except BaseException:
            self.close()
            raise

    def ask(self, action, **arguments):
        """The answers of all, in their order."""
        for worker in self._workers:
            worker.send(action, **arguments)
        return self._receive()

    def _receive(self):
        return [worker.receive() for worker in self._workers]

    def close(self):
        """Ends all of them."""
        for worker in self._workers:
            worker.close()
        self._folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def take_times(size, pairs=15, steps=1, tiny=False, make=Group):
    """Times of one process and of two, in turn.

    Args:
        size: One of `workloads_networks.SIZES`.
        pairs: How often each is measured.
        steps: Steps of one measurement.
        tiny: Whether to use the smallest networks.
        make: Makes a group of a number of processes.
    """
    batch = (TINY if tiny else FULL)[size].batch_size
    runs = {name: [] for name in TITLES}
    with contextlib.ExitStack() as stack:
        two = stack.enter_context(make(2))
        # What the processes cost each other without sharing anything.
        others = {
            "alone": stack.enter_context(make(1)),
            "separate": stack.enter_context(make(2, together=False)),
        }
        for group in (two, *others.values()):
            made = group.ask("prepare", size=size, batch=batch, tiny=tiny)
        for turn in range(pairs + 1):
            order = list(runs)
            order = order[turn % len(order) :] + order[: turn % len(order)]
            for name in order:
                answers = others.get(name, two).ask(
                    "block",
                    batch=batch // 2 if name == "halves" else batch,
                    steps=steps,
                    form=name if name in FORMS else "plain",
                )
                if turn:  # The first is for warming up.
                    runs[name].append(_slowest(answers))
    return {
        "size": size,
        "batch": batch,
        "steps": steps,
        "parameters": made[0]["parameters"],
        "runs": runs,
        "summary": summarise(runs),
    }


def _slowest(answers):
    """One measurement of a group."""
    waits = [answer["communication"] for answer in answers]
    return {
        "seconds": max(answer["seconds"] for answer in answers),
        "communication": float(np.mean(waits)),
        # Who comes last waits for nobody.
        "unwaited": min(waits),
    }


def summarise(runs):
    """Medians, shares of communication, and ratios of paired times."""
    seconds = {k: [run["seconds"] for run in v] for k, v in runs.items()}
    found = {}
    for name, own in runs.items():
        found[name] = {"seconds": float(np.median(seconds[name]))}
        for key in ("communication", "unwaited"):
            shares = [run[key] / run["seconds"] for run in own]
            found[name][key] = float(np.median(shares))
        base = "plain" if name in FORMS[1:] else "alone"
        found[name]["ratio"] = ratio(seconds[name], seconds[base])
    return found
