"""A process of a group on PyTorch that counts and times what it sends.

It wraps the collectives of `torch.distributed`; the training step is the one
that everybody runs.
"""

import contextlib
import sys
import time
from unittest import mock

import keras
import numpy as np

from keras_xkd.benchmark import workloads
from keras_xkd.benchmark.backends_worker import serve_parent
from keras_xkd.benchmark.workloads_networks import Shape
from keras_xkd.benchmark.workloads_networks import network
from keras_xkd.distillers import CMCD

# Functions of `backend/torch_replicas.py` that send, and what for.
PURPOSES = {"forward": "gather", "sum_over_replicas": "gradients"}


class Counter:
    """Counts what collectives move, and the seconds spent in them.

    Args:
        size: Number of processes.

    Attributes:
        moved: By purpose, the bytes that all processes send together, in a
            ring.
        seconds: That this process spends in collectives, and waits for them.
    """

    def __init__(self, size):
        self.size = size
        self.moved = {"gather": 0, "gradients": 0, "rest": 0}
        self.messages = dict.fromkeys(self.moved, 0)
        self.seconds = 0.0

    @contextlib.contextmanager
    def watching(self):
        """Inside, collectives are counted."""
        import torch.distributed as dist

        def counted(function, position, times):
            def call(*args, **kwargs):
                caller = sys._getframe(1).f_code.co_name
                purpose = PURPOSES.get(caller, "rest")
                tensor = args[position]
                payload = tensor.numel() * tensor.element_size()
                self.moved[purpose] += times * payload
                self.messages[purpose] += 1
                work = self.timed(function, *args, **kwargs)
                return None if work is None else _Watched(work, self)

            return call

        with contextlib.ExitStack() as stack:
            # Which argument is sent, and how often in all.
            hops = self.size - 1
            for name, position, times in (
                ("all_gather", 1, self.size * hops),
                ("all_reduce", 0, 2 * hops),
                ("broadcast", 0, hops),
            ):
                wrapped = counted(getattr(dist, name), position, times)
                stack.enter_context(mock.patch.object(dist, name, wrapped))
            yield self

    def timed(self, function, *args, **kwargs):
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            self.seconds += time.perf_counter() - start


class _Watched:
    """A collective under way."""

    def __init__(self, work, counter):
        self.work, self.counter = work, counter

    def wait(self):
        return self.counter.timed(self.work.wait)


def written():
    """Bytes that this process has handed to the system, None if not known.

    gloo writes to sockets, which Linux counts like files.
    """
    try:
        with open("/proc/self/io") as file:
            lines = dict(line.split(": ") for line in file)
    except OSError:
        return None
    return int(lines["wchar"])


class Member:
    """What a process of the group can be asked for."""

    def join(self, rank, size, path):
        """Joins a group, if there are several; with one thread each."""
        import torch

        torch.set_num_threads(1)
        self.rank, self.size = rank, size
        if size > 1:
            torch.distributed.init_process_group(
                "gloo",
                init_method=f"file://{path}",
                rank=rank,
                world_size=size,
            )
        return {}

    def count(self, batch, width, layers):
        """What one step of a contrast of two small networks sends."""
        from torch.utils.flop_counter import FlopCounterMode

        shape = Shape({"audio": (16,), "image": (24,)}, width, layers, batch)
        keras.utils.set_random_seed(0)
        student, teacher = (
            network("mlp", shape, (modality,), name=modality)
            for modality in shape.inputs
        )
        distiller = CMCD(student=student, teacher=teacher)
        distiller.compile("sgd")
        x, _ = workloads.data(shape, batch * self.size)
        x = {name: self._own(value, batch) for name, value in x.items()}
        distiller.train_on_batch(x)  # Builds.
        counter, before = Counter(self.size), written()
        with counter.watching():
            distiller.train_on_batch(x)
        sent = None if before is None else written() - before
        with FlopCounterMode(display=False) as operations:
            distiller.train_on_batch(x)
        return {
            "parameters": _learned(distiller),
            "moved": counter.moved,
            "messages": counter.messages,
            "sent": sent,
            "operations": operations.get_total_flops(),
        }

    def prepare(self, size, batch, tiny):
        """Networks and data to take the time of."""
        keras.utils.set_random_seed(0)
        work = workloads.make(
            "cmc", size, 0, batch, batch * self.size, tiny=tiny
        )
        self.distiller = work.distiller
        self.x = {n: self._own(value, batch) for n, value in work.x.items()}
        return {"parameters": _learned(self.distiller)}

    def block(self, batch, steps, form="plain"):
        """Seconds of a step, and of the collectives in it.

        Args:
            batch: Number of samples of this process.
            steps: Number of steps.
            form: `"plain"`; `"overlapped"`: gradients are sent while others
                are computed; `"apart"`: gradients are not sent.
        """
        x = {name: value[:batch] for name, value in self.x.items()}
        counter = Counter(self.size)
        with counter.watching(), _form(form):
            start = time.perf_counter()
            for _ in range(steps):
                self.distiller.train_on_batch(x)
            seconds = time.perf_counter() - start
        return {
            "seconds": seconds / steps,
            "communication": counter.seconds / steps,
        }

    def weights(self):
        """A number that says whether weights are the same."""
        values = [
            keras.ops.convert_to_numpy(v).astype("float64")
            for v in self.distiller.trainable_variables
        ]
        return {"sum": float(sum(np.square(v).sum() for v in values))}

    def _own(self, rows, batch):
        return rows[self.rank * batch :][:batch]


def _learned(distiller):
    """The number of parameters that learn."""
    return sum(int(np.prod(v.shape)) for v in distiller.trainable_variables)


def _form(form):
    if form == "plain":
        return contextlib.nullcontext()
    from keras_xkd.benchmark import scaling_overlap

    return getattr(scaling_overlap, form)()


if __name__ == "__main__":
    serve_parent(Member())
