import importlib.util
import os
import subprocess
import sys

import keras
import pytest

from keras_xkd import __main__ as command_line


def test_help_imports_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "keras_xkd", "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout and "benchmark" in done.stdout
    imported = {
        line.rpartition("|")[2].strip() for line in done.stderr.splitlines()
    }
    assert "argparse" in imported
    assert not imported & {"keras", "numpy", "jax", "tensorflow", "torch"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["demo", "--help"], ["--seeds", "--output", "student.keras"]),
        (["benchmark", "--help"], list(command_line.BENCHMARKS)),
        (["benchmark", "gaussians", "--help"], ["--first-seed", "--backend"]),
    ],
)
def test_help(arguments, words, capsys):
    with pytest.raises(SystemExit) as stop:
        command_line.main(arguments)
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in words)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required"),
        (["benchmark", "unknown"], "invalid choice"),
        (["demo", "--seeds", "0"], "must be positive"),
        (["demo", "--backend", "mxnet"], "invalid choice"),
    ],
)
def test_wrong_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        command_line.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", command_line.BENCHMARKS)
def test_benchmarks_have_a_module(name):
    module = name.replace("-", "_")
    assert importlib.util.find_spec(f"keras_xkd.benchmark.{module}")


def test_the_arguments_arrive(monkeypatch):
    from keras_xkd.benchmark import gaussians

    received = []
    monkeypatch.setattr(
        gaussians,
        "run",
        lambda *args, **kwargs: received.append((args, kwargs)),
    )
    arguments = "benchmark gaussians --seeds 2 --first-seed 7 --quick".split()
    command_line.main([*arguments, "--output", "there"])
    ((args, kwargs),) = received
    assert args == ([7, 8],)
    assert kwargs == {
        "output": "there",
        "quick": True,
        "arguments": [*arguments, "--output", "there"],
    }


def test_the_backend_cannot_change_in_a_process():
    command_line.set_up_backend(keras.backend.backend())
    other = {"jax": "torch"}.get(keras.backend.backend(), "jax")
    with pytest.raises(SystemExit, match="already running"):
        command_line.set_up_backend(other)


@pytest.mark.parametrize(
    ("installed", "environment", "wanted", "expected"),
    [
        (["jax", "torch"], None, None, "jax"),
        (["torch"], None, None, "torch"),
        (["jax", "torch"], "torch", None, "torch"),
        (["jax", "torch"], "torch", "jax", "jax"),
        (["jax"], "torch", None, "backend torch is not installed"),
        ([], None, None, "There is: none"),
    ],
)
def test_choice_of_backend(
    installed, environment, wanted, expected, monkeypatch
):
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: name in installed or None
    )
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if environment:
        monkeypatch.setenv("KERAS_BACKEND", environment)
    if expected in command_line.BACKENDS:
        assert command_line.choose_backend(wanted) == expected
    else:
        with pytest.raises(SystemExit, match=expected):
            command_line.choose_backend(wanted)


@pytest.mark.parametrize("command", [["demo"], ["benchmark", "gaussians"]])
def test_without_matplotlib(command, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(SystemExit, match=r"keras-xkd\[viz\]"):
        command_line.main([*command, "--quick", "--output", str(tmp_path)])
    assert not list(tmp_path.iterdir())
