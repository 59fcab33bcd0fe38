import functools
import importlib.util
import json

import keras
import numpy as np
import pytest

from keras_xkd.benchmark import backends
from keras_xkd.benchmark import backends_link
from keras_xkd.benchmark import backends_report
from keras_xkd.benchmark import workloads
from keras_xkd.benchmark.backends_results import curve
from keras_xkd.benchmark.backends_team import Team
from keras_xkd.benchmark.names import BACKENDS
from keras_xkd.benchmark.names import METHODS
from keras_xkd.benchmark.names import SIZES

FAKE = "tests.benchmark.fake_worker"


@pytest.fixture
def fakes(monkeypatch):
    """All backends are installed, and their workers are fakes."""
    fake = functools.partial(backends_link.Worker, module=FAKE)
    monkeypatch.setattr(backends, "Worker", fake)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.delenv("FAKE", raising=False)
    return monkeypatch


def test_names():
    assert METHODS == workloads.METHODS
    assert SIZES == workloads.SIZES


def test_everything_is_compared(fakes, tmp_path, capsys):
    results = backends.run(
        [0, 1],
        tmp_path,
        quick=True,
        methods=["kd", "amid"],
        steps=8,
        batch_size=None,
    )
    assert [case["method"] for case in results["cases"]] == ["kd", "amid"]
    case = results["cases"][0]
    assert list(case["backends"]) == list(BACKENDS) and not case["errors"]
    own = case["backends"]["tensorflow"]
    # Two seeds, with four turns of two steps.
    np.testing.assert_allclose(own["milliseconds"], [2.0] * 8)
    assert own["median"] == pytest.approx(2.0)
    assert own["first_step"] == [0.002, 0.002]
    assert own["host_memory"] == 3 * 2**20
    assert own["training_memory"] == 2 * 2**20
    # Three single steps; the last turn ends after 3 + 2 + 8 steps.
    expected = [1.0, 1 / 2 + 0.002, 1 / 3 + 0.004]
    np.testing.assert_allclose(own["losses"], [expected, expected])
    np.testing.assert_allclose(own["final_loss"], [1 / 13 + 0.024] * 2)
    steps, losses = curve(own, case["plan"])
    assert steps.tolist() == [1, 2, 3, 7, 9, 11, 13]
    np.testing.assert_allclose(losses[1], 1 / steps + 0.002 * (steps - 1))
    for pair, expected in [("torch / jax", 4), ("torch / tensorflow", 2)]:
        found = case["ratios"][pair]
        np.testing.assert_allclose(list(found.values()), expected)
    assert case["differences"] == pytest.approx(
        {"first": 0.0, "curve": 0.006, "end": 0.036, "accuracy": 0.25}
    )
    printed = capsys.readouterr().out
    assert "kd, mlp, seed 1: 8 of 8 steps, ms a step: jax 1, ten" in printed
    compared, _ = (
        [cell.strip() for cell in line.split("|")[2:-1]]
        for line in printed.splitlines()
        if line.startswith("| kd, mlp  ")
    )
    assert compared == ["2 (2 to 2)", "4 (4 to 4)", "2 (2 to 2)"]
    assert "| amid, mlp                      |      0.0e+00 |" in printed
    assert "`--optimizer sgd`" in printed
    written = json.loads((tmp_path / "backends.json").read_text())
    assert written["cases"] == results["cases"]
    assert written["seeds"] == [0, 1]
    assert written["command"] == "python -m keras_xkd benchmark backends"
    assert (tmp_path / "backends_mlp.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("fake", "message"),
    [
        ("torch/train/die", "worker of torch ended with status 3"),
        ("torch/evaluate/fail", "torch: ValueError: no such thing"),
        ("torch/describe/kill", "killed by signal 9"),
    ],
)
def test_the_others_go_on(fake, message, fakes, tmp_path, capsys):
    fakes.setenv("FAKE", fake)
    results = backends.run([0], tmp_path, quick=True)
    (case,) = results["cases"]
    assert list(case["backends"]) == ["jax", "tensorflow"]
    assert message in case["errors"]["torch"]
    assert list(case["ratios"]) == ["tensorflow / jax"]
    printed = capsys.readouterr().out
    assert "Going on without torch." in printed
    assert "kd, mlp, torch is missing: " in printed


def test_nobody_finishes(fakes, tmp_path):
    fakes.setenv("FAKE", " ".join(f"{b}/prepare/die" for b in BACKENDS))
    with pytest.raises(SystemExit, match="No backend finished"):
        backends.run([0], tmp_path, quick=True)
    assert json.loads((tmp_path / "backends.json").read_text())["cases"]


def test_different_devices_are_pointed_out(fakes):
    quiet = {"report": lambda line: None}
    results = backends.compare(
        backends=["jax", "torch"], quick=True, optimizer="sgd", **quiet
    )
    text = repr(results)
    assert text == backends_report.text(results)
    assert "SAME KIND OF DEVICE" not in text and "--optimizer" not in text
    gpu = {"kind": "gpu", "name": "Some GPU", "count": 1}
    results["workers"]["torch"]["device"] = gpu
    text = backends_report.text(results)
    assert "SAME KIND OF DEVICE" in text
    assert "torch 1.0 on gpu (Some GPU)" in text
    own = results["cases"][0]["backends"]["torch"]
    own["device_memory"] = 5 * 2**20
    own["host_memory"] = own["training_memory"] = None  # As on Windows.
    (row,) = [
        line
        for line in backends_report.text(results).splitlines()
        if line.startswith("| kd, mlp, torch")
    ]
    cells = [cell.strip() for cell in row.split("|")]
    assert cells[5:8] == ["-", "-", "5"]


def test_a_single_backend(fakes, tmp_path):
    results = backends.run([0], tmp_path, quick=True, backends=["torch"])
    (case,) = results["cases"]
    assert case["ratios"] == {} and case["differences"] == {}
    assert (tmp_path / "backends_mlp.png").exists()


def test_missing_backends(fakes, capsys):
    fakes.setattr(
        importlib.util, "find_spec", lambda n: n if n == "jax" else None
    )
    results = backends.compare(backends=["torch", "jax"], quick=True)
    assert list(results["cases"][0]["backends"]) == ["jax"]
    printed = capsys.readouterr().out
    assert "torch is not installed: going on without it" in printed
    assert "keras-xkd[torch]" in printed
    with pytest.raises(ValueError, match="Not installed: torch. Installed: j"):
        backends.compare(backends=["torch"])
    backends.compare(quick=True)
    assert "not installed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"methods": ["crd"]}, r"`methods` must be some of kd.*\['crd'\]"),
        ({"methods": []}, "`methods` must be some of"),
        ({"size": "huge"}, "`size` must be some of mlp"),
        ({"backends": ["mxnet"]}, "`backends` must be some of jax"),
        ({"steps": 0}, "`steps` must be positive"),
        ({"steps": 4, "epochs": 1}, "cannot both be given"),
        ({"cores": 10_000}, "`cores` must lie between 1"),
        ({"seeds": []}, "`seeds`"),
        ({"device": "tpu"}, "`device` must be some of auto, cpu"),
    ],
)
def test_wrong_arguments(arguments, message, monkeypatch):
    monkeypatch.setattr(backends, "Worker", None)  # None is started.
    with pytest.raises(ValueError, match=message):
        backends.compare(**arguments)


def test_an_interrupt_loses_one_case_only(fakes, tmp_path):
    def report(line):
        if line.startswith("amid, mlp, seed"):
            raise KeyboardInterrupt

    fakes.setattr(
        backends, "compare", functools.partial(backends.compare, report=report)
    )
    with pytest.raises(KeyboardInterrupt):
        backends.run([0], tmp_path, quick=True, methods=["kd", "amid"])
    (case,) = json.loads((tmp_path / "backends.json").read_text())["cases"]
    assert case["method"] == "kd"


def test_how_many_steps(fakes):
    """Whole turns, at least as many steps as were asked for."""
    quiet = {"backends": ["jax"], "report": lambda line: None}
    plans = [
        backends.compare(**own, **quiet)["cases"][0]["plan"]
        for own in (
            {"steps": 5, "turn": 2},
            {"epochs": 2, "turn": 10},
            {"steps": 3},
        )
    ]
    assert [(p["turns"], p["turn"]) for p in plans] == [(3, 2), (4, 10), (1, 3)]


def test_the_order_of_the_turns_rotates():
    asked = []

    class Fake:
        def __init__(self, name):
            self.name = name

        def ask(self, action):
            asked.append(self.name)

    team = Team({name: Fake(name) for name in "abc"})
    for _ in range(4):
        assert list(team.each("train")) == asked[-3:]
    assert "".join(asked) == "abcbcacababc"


def test_a_real_worker(tmp_path):
    """On the backend of this process, with the smallest networks."""
    backend = keras.backend.backend()
    results = backends.run(
        [0], tmp_path, quick=True, methods="kd", backends=[backend]
    )
    (case,) = results["cases"]
    assert not case["errors"]
    own = case["backends"][backend]
    assert results["workers"][backend]["version"]
    assert results["workers"][backend]["device"]["kind"] in ("cpu", "gpu")
    assert np.all(np.array(own["milliseconds"]) > 0)
    assert own["host_memory"] > own["training_memory"] >= 0
    # The same training in this process.
    work = workloads.make("kd", "mlp", samples=4 * 8 + 20, tiny=True)
    losses = []
    for x, y in work.batches()[:3]:
        logs = work.distiller.fit(x, y, batch_size=8, verbose=0).history
        losses += logs["loss"]
    np.testing.assert_allclose(own["losses"], [losses], rtol=1e-5)
