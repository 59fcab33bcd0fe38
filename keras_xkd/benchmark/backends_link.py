"""The parent's end of a worker: a process with a backend of its own.

One request and one answer at a time, each a line of JSON, through the standard
input and output of the worker. What the worker and its libraries print goes to
a file, whose end is shown if it dies.
"""

import collections
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading

WORKER = "keras_xkd.benchmark.backends_worker"
# Lines of a dead worker's output that are shown.
LAST_LINES = 8


class WorkerError(RuntimeError):
    """A worker died, did not answer, or failed at what it was asked."""


class Worker:
    """A process that trains on one backend when it is told to.

    Args:
        backend: Name of the backend.
        cores: Number of processor cores that it may use, `None` for all that
            this process may.
        device: `"auto"`, or `"cpu"` to hide every accelerator.
        timeout: Seconds that one answer may take.
        module: The module that runs, with a `main()` that serves.
    """

    def __init__(
        self, backend, cores=None, device="auto", timeout=900, module=WORKER
    ):
        self.backend = backend
        self.timeout = timeout
        self._expired = False
        self._log = tempfile.TemporaryFile()
        with pinned(cores):
            self._process = subprocess.Popen(
                [sys.executable, "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=environment(backend, device),
                # An interrupt from the keyboard is for the parent, which then
                # stops its workers.
                start_new_session=True,
            )

    def send(self, action, **arguments):
        """Asks for something; `receive` waits for the answer."""
        request = json.dumps({"action": action, **arguments}) + "\n"
        try:
            self._process.stdin.write(request.encode())
            self._process.stdin.flush()
        except OSError:
            raise self._died() from None

    def receive(self):
        """The answer to what was sent last, a dict.

        Raises:
            WorkerError: If there is none, or it says that something failed.
        """
        timer = threading.Timer(self.timeout, self._expire)
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if not line.endswith(b"\n"):
            raise self._died()
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{self.backend}: {answer['error']}")
        return answer

    def ask(self, action, **arguments):
        """Sends and receives."""
        self.send(action, **arguments)
        return self.receive()

    def close(self):
        """Ends the process. Can be called again."""
        if self._log.closed:
            return
        self._kill()
        self._process.wait()
        self._process.stdout.close()
        self._log.close()
        with contextlib.suppress(OSError):  # It did not read everything.
            self._process.stdin.close()

    def _expire(self):
        self._expired = True
        self._kill()

    def _kill(self):
        """Ends it, and what it started: `torch.compile` has processes too."""
        if self._process.returncode is None and hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()

    def _died(self):
        """The error that says how the process ended."""
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # It only closed its output.
            self._kill()
            code = self._process.wait()
        if self._expired:
            how = f"did not answer within {self.timeout:g} s and was stopped"
        elif code < 0:
            how = f"was killed by signal {-code}"
            if code == -9:
                how += " (not enough memory?)"
        else:
            how = f"ended with status {code}"
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").splitlines()
        last = collections.deque(lines, LAST_LINES)
        shown = "".join(f"\n    {line}" for line in last)
        end = f" The last lines it wrote:{shown}" if last else ""
        return WorkerError(f"The worker of {self.backend} {how}.{end}")


def environment(backend, device="auto"):
    """The variables of a worker's environment: this process's, and ours.

    Args:
        backend: Name of the backend.
        device: See `Worker`.
    """
    package = pathlib.Path(__file__).resolve().parents[2]
    paths = [str(package), os.environ.get("PYTHONPATH", "")]
    own = {
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        # Only PyTorch and NumPy read it, and it is often set for them, which
        # would make the comparison one of numbers of threads.
        "OMP_NUM_THREADS": str(usable_cores()),
        # The workers live side by side on one accelerator: none may take all
        # of its memory in advance.
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    }
    if device == "cpu":
        own |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    unless_set = {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # OpenMP's threads wait by keeping their core busy. Where another
        # process wants the core, that cost PyTorch ten times its own work.
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    return {**unless_set, **os.environ, **own}


@contextlib.contextmanager
def pinned(cores):
    """Processes started inside may use so many cores, `None` for all.

    TensorFlow and JAX have no common way to set a number of threads, but all
    backends look at the cores that a process may use.
    """
    if cores is None:
        yield
        return
    usable = usable_cores()
    if not hasattr(os, "sched_setaffinity") or not 0 < cores <= usable:
        raise ValueError(
            f"`cores` must lie between 1 and {usable}, and the system must "
            f"be able to bind processes to cores. Received: cores={cores}"
        )
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def usable_cores():
    """Number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
