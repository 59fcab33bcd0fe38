import functools
import io
import json

import keras
import numpy as np
import pytest

from keras_xkd.benchmark import contrast_growth
from keras_xkd.benchmark import contrast_growth_worker
from keras_xkd.benchmark import peak_memory
from keras_xkd.benchmark.backends_link import WorkerError
from keras_xkd.benchmark.backends_worker import serve
from keras_xkd.benchmark.contrast_growth_names import LOSSES

BACKEND = keras.backend.backend()


class Pretender:
    """A worker whose steps take what a power of the size says."""

    def __init__(self, power=2.0, dies_at=None, knows=False):
        self.power, self.dies_at, self.knows = power, dies_at, knows
        self.asked = []

    def ask(self, action, **arguments):
        self.asked.append((action, arguments))
        if action != "measure":
            return {}
        size = arguments["size"]
        if size == self.dies_at:
            raise WorkerError("was killed by signal 9 (not enough memory?)")
        needs = 100.0 * size**self.power
        if self.knows and needs > arguments["limit"]:
            return {"seconds": None, "bytes": needs}
        return {"seconds": 1e-6 * size**self.power, "bytes": needs}

    def close(self):
        self.asked.append(("close", {}))


def measure(worker, **kwargs):
    return contrast_growth.measure(
        worker, "info_nce", None, (64, 128, 256, 512, 1024), **kwargs
    )


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_exponents(power):
    series = contrast_growth.summarise(measure(Pretender(power)))
    assert [p["size"] for p in series["points"]] == [64, 128, 256, 512, 1024]
    assert series["stopped"] is None
    np.testing.assert_allclose(series["seconds_exponent"], power)
    np.testing.assert_allclose(series["bytes_exponent"], power)


def test_a_form_stops_before_it_takes_too_much():
    # 100 * 512^2 bytes are 0.026 GB.
    for knows in (False, True):
        series = measure(Pretender(knows=knows), limit=0.02)
        assert [p["size"] for p in series["points"]] == [64, 128, 256]
        assert series["stopped"].startswith("512 would take")
        assert "GB" in series["stopped"]
    series = measure(Pretender(), seconds=0.1)
    assert [p["size"] for p in series["points"]] == [64, 128, 256]
    assert series["stopped"].endswith(" s")
    series = measure(Pretender(dies_at=128))
    assert [p["size"] for p in series["points"]] == [64]
    assert "signal 9" in series["stopped"]


def worker(loss, chunk):
    """The real one, in this process."""

    class Here:
        def __init__(self):
            self.actions = contrast_growth_worker.Growth()

        def ask(self, action, **arguments):
            request = json.dumps({"action": action, **arguments}) + "\n"
            answers = io.StringIO()
            serve(self.actions, [request], answers)
            answer = json.loads(answers.getvalue())
            assert "error" not in answer, answer
            return answer

    here = Here()
    assert set(here.ask("describe")) == {"kind", "name", "count"}
    here.ask("choose", loss=loss, chunk=chunk, width=8)
    return here


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_measured(loss, monkeypatch):
    monkeypatch.setattr(contrast_growth_worker, "QUEUE_BATCH", 8)
    found = worker(loss, 4).ask("measure", size=8, limit=1e9, patience=0)
    assert found["seconds"] > 0
    # The process may hold less than before: TensorFlow's is all we see.
    assert found["bytes"] > 0 or BACKEND == "tensorflow"


def test_chunks_take_less_memory():
    if BACKEND == "tensorflow":  # That of the process is measured elsewhere.
        return
    ask = functools.partial(dict, size=256, limit=1e9, patience=0)
    plain, chunks = (
        worker("info_nce", chunk).ask("measure", **ask())["bytes"]
        for chunk in (None, 8)
    )
    assert plain > 2 * 4 * 256**2
    assert chunks < plain / 4


def test_a_step_over_the_limit_does_not_run_on_jax():
    found = worker("nt_xent", None).ask("measure", size=64, limit=10)
    assert (found["seconds"] is None) == (BACKEND == "jax")


def test_peak_counts_what_lives_at_the_same_time():
    def one_after_the_other():
        for _ in range(3):
            keras.ops.ones((1024, 256))
        return "done"

    def together():
        kept = [keras.ops.ones((1024, 256)) for _ in range(3)]
        return len(kept)

    result, one = peak_memory.peak(one_after_the_other)
    assert result == "done"
    result, three = peak_memory.peak(together)
    assert result == 3
    if BACKEND == "torch":
        assert 2**20 <= one < 1.5 * 2**20
        assert 3 * 2**20 <= three < 3.5 * 2**20


def test_run_writes_table_picture_and_json(tmp_path, monkeypatch, capsys):
    workers = []

    def make(backend, module, timeout):
        workers.append(Pretender(2.0 if len(workers) % 2 == 0 else 1.0))
        return workers[-1]

    monkeypatch.setattr(contrast_growth, "Worker", make)
    found = contrast_growth.run(
        [0],
        tmp_path,
        backends=["torch", "jax"],
        losses=["nt_xent", "similarity_distribution_queue"],
        sizes=[128, 64, 256, 512],
        limit=0.02,
        chunk=32,
    )
    assert len(workers) == 8
    assert all(w.asked[-1][0] == "close" for w in workers)
    chosen = [w.asked[1][1]["chunk"] for w in workers]
    assert chosen == [None, 32] * 4
    text = capsys.readouterr().out
    assert "| 2.00 " in text or " 2.00 |" in text
    assert "512 would take about 0" in text
    saved = json.loads((tmp_path / "contrast_growth.json").read_text())
    assert saved["results"] == found["results"]
    assert saved["sizes"] == [64, 128, 256, 512]
    assert (tmp_path / "contrast_growth.png").stat().st_size > 10_000


def test_unknown_losses_are_named(tmp_path):
    with pytest.raises(SystemExit, match="info_nce.*Received: no_such"):
        contrast_growth.run([0], tmp_path, losses=["no_such"])
