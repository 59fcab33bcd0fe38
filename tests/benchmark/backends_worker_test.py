import io
import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_xkd.benchmark import backends_device
from keras_xkd.benchmark import workloads
from keras_xkd.benchmark.backends_worker import Trainer
from keras_xkd.benchmark.backends_worker import serve

SMALL = {"size": "mlp", "batches": 2, "tests": 10, "tiny": True}


def test_serve(capsys):
    class Actions:
        def add(self, a, b):
            return {"sum": a + b}

        def fail(self):
            raise KeyError("x")

    requests = [
        {"action": "add", "a": 1, "b": 2},
        {"action": "fail"},
        {"action": "add", "a": 1, "b": 3},
    ]
    answers = io.StringIO()
    serve(Actions(), map(json.dumps, requests), answers)
    found = [json.loads(line) for line in answers.getvalue().splitlines()]
    assert found == [{"sum": 3}, {"error": "KeyError: 'x'"}, {"sum": 4}]
    assert "Traceback" in capsys.readouterr().err


def test_batches_come_round_in_order(monkeypatch):
    trainer = Trainer()
    made = trainer.prepare("kd", seed=1, **SMALL, run_eagerly=True)
    assert made["batch_size"] == 8 and made["parameters"] > 0
    seen = []

    def fit(x, y, **kwargs):
        seen.append((x["audio"], y))
        kwargs["callbacks"][0].seconds = 1.5
        history = keras.callbacks.History()
        history.history = {"loss": [0.5]}
        return history

    monkeypatch.setattr(trainer.work.distiller, "fit", fit)
    for steps in (1, 2, 1):
        answer = trainer.train(steps)
        assert answer == {"steps": steps, "seconds": 1.5, "loss": 0.5}
    work = trainer.work
    for place, start, stop in [(0, 0, 8), (2, 8, 16)]:
        x, y = seen[place]
        np.testing.assert_array_equal(x, work.x["audio"][start:stop])
        np.testing.assert_array_equal(y, work.y[start:stop])
    round_the_end = [*range(8, 16), *range(8)]
    np.testing.assert_array_equal(seen[1][1], work.y[round_the_end])


@pytest.mark.parametrize("method", ["kd", "cmd"])
def test_training_and_accuracy(method):
    trainer = Trainer()
    trainer.prepare(method, seed=0, **SMALL)
    before = [np.array(w) for w in trainer.work.student.get_weights()]
    answer = trainer.train(2)
    assert answer["seconds"] > 0 and np.isfinite(answer["loss"])
    after = trainer.work.student.get_weights()
    assert any(not np.array_equal(a, b) for a, b in zip(before, after))
    found = trainer.evaluate()
    assert found["device_memory"] is None or found["device_memory"] > 0
    # The accuracy on the samples after the first 16.
    work = trainer.work
    outputs = work.student.predict({"audio": work.x["audio"]}, verbose=0)
    labels = work.labels
    if method == "kd":
        right = np.argmax(outputs["logits"], axis=-1) == labels
    else:
        features = outputs["features"]
        nearest = []
        for row in features:
            distances = {
                c: np.linalg.norm(row - features[:16][labels[:16] == c].mean(0))
                for c in range(10)
                if c in labels[:16]
            }
            nearest.append(min(distances, key=distances.get))
        right = np.array(nearest) == labels
    assert found["accuracy"] == pytest.approx(right[16:].mean())


def test_accuracy_of_a_student_that_returns_logits():
    trainer = Trainer()
    trainer.prepare("umt", seed=0, **SMALL)
    work = trainer.work
    logits = work.student.predict(work.x, verbose=0)
    right = np.argmax(logits, axis=-1) == work.labels
    assert trainer.evaluate()["accuracy"] == pytest.approx(right[16:].mean())


def test_dtype():
    trainer = Trainer()
    trainer.prepare("kd", seed=0, dtype="mixed_bfloat16", **SMALL)
    assert trainer.work.student.layers[-1].compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "mixed_bfloat16"


def test_the_seed_decides():
    weights = []
    for seed in (3, 3, 4):
        trainer = Trainer()
        trainer.prepare("kd", seed=seed, **SMALL)
        weights.append(trainer.work.student.get_weights()[0])
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_device():
    found = backends_device.describe()
    assert found["kind"] in ("cpu", "gpu", "tpu") and found["count"] >= 1


def test_host_memory_is_that_of_the_process_alone():
    """Not that of the process that started it, as `ru_maxrss` says."""
    code = (
        "import runpy, sys, types; sys.modules['keras'] = types.ModuleType('k')"
        f"; found = runpy.run_path({backends_device.__file__!r})['host_peak']"
        "; before = found(); block = bytearray(64 * 2**20)"
        "; print(before, found())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    before, after = map(int, done.stdout.split())
    assert before < 60 * 2**20 < backends_device.host_peak()
    assert 62 * 2**20 < after - before < 80 * 2**20


def test_a_worker_answers_with_its_facts():
    found = Trainer().describe()
    assert found["backend"] == keras.backend.backend()
    assert found["device"] == backends_device.describe()
    assert json.dumps(found)
    assert workloads.METHODS  # The worker can make all of them.
