import os
import time

import pytest

from keras_xkd.benchmark import backends_link
from keras_xkd.benchmark.backends_link import Worker
from keras_xkd.benchmark.backends_link import WorkerError

FAKE = "tests.benchmark.fake_worker"


@pytest.fixture
def worker():
    made = Worker("torch", timeout=20, module=FAKE)
    yield made
    made.close()


def test_answers(worker):
    assert worker.ask("describe")["backend"] == "torch"
    assert worker.ask("prepare", seed=3)["asked"] == {"seed": 3}
    worker.send("train", steps=2)
    assert worker.receive()["steps"] == 2


def test_a_failed_action_is_told_and_survived(worker):
    with pytest.raises(WorkerError, match="torch: ValueError: no such thing"):
        worker.ask("fail")
    assert worker.ask("train", steps=1)["steps"] == 1


@pytest.mark.parametrize(
    ("action", "arguments", "message"),
    [
        (
            "die",
            {"status": 3},
            "(?s)worker of torch ended with status 3.*of it",
        ),
        ("kill", {}, r"killed by signal 9 \(not enough memory\?\)"),
        ("stammer", {}, "ended with status 0"),
    ],
)
def test_a_dead_worker(worker, action, arguments, message):
    with pytest.raises(WorkerError, match=message):
        worker.ask(action, **arguments)
    for _ in range(2):  # Also if it is asked once more.
        with pytest.raises(WorkerError, match="The worker of torch"):
            worker.ask("describe")


def test_only_the_last_lines_are_shown(monkeypatch):
    monkeypatch.setattr(backends_link, "LAST_LINES", 2)
    worker = Worker("jax", module="no.such.module")
    with pytest.raises(WorkerError, match="No module named") as caught:
        worker.ask("describe")
    assert len(str(caught.value).splitlines()) <= 3
    worker.close()


def test_a_worker_that_does_not_answer():
    worker = Worker("torch", timeout=0.5, module=FAKE)
    start = time.monotonic()
    with pytest.raises(WorkerError, match="not answer within 0.5 s"):
        worker.ask("sleep")
    assert time.monotonic() - start < 20
    worker.close()


def test_close_ends_the_process(worker):
    pid = worker.ask("where")["pid"]
    worker.close()
    worker.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_worker_ends_with_its_parent(worker):
    """It reads until there is nothing more to come."""
    worker.ask("describe")
    worker._process.stdin.close()
    assert worker._process.wait(timeout=20) == 0


def test_cores():
    before = os.sched_getaffinity(0)
    worker = Worker("torch", cores=1, module=FAKE)
    assert worker.ask("where")["cores"] == 1
    worker.close()
    assert os.sched_getaffinity(0) == before
    for cores in (0, len(before) + 1):
        with pytest.raises(ValueError, match=f"Received: cores={cores}"):
            with backends_link.pinned(cores):
                pass


def test_environment(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    monkeypatch.setenv("OMP_NUM_THREADS", "77")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = backends_link.environment("jax")
    assert found["KERAS_BACKEND"] == "jax"
    assert found["PYTHONPATH"].split(os.pathsep)[-1] == "elsewhere"
    assert found["OMP_NUM_THREADS"] == str(backends_link.usable_cores())
    assert found["OMP_WAIT_POLICY"] == "ACTIVE"
    assert "CUDA_VISIBLE_DEVICES" not in found
    found = backends_link.environment("torch", device="cpu")
    assert found["CUDA_VISIBLE_DEVICES"] == ""
    assert found["JAX_PLATFORMS"] == "cpu"
