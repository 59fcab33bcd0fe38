import importlib.util
import inspect
import os
import pathlib
import re
import subprocess
import sys

import keras
import pytest

import keras_xkd
from keras_xkd import __main__ as command_line
from keras_xkd import help_pages
from keras_xkd.benchmark import catalogue


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
        (["--help"], ["examples:", "guides/choosing_a_method.py", "demo"]),
        (["demo", "--help"], ["examples:", "to read on:"]),
        (["benchmark", "--help"], list(command_line.BENCHMARKS)),
        # What a benchmark measures, in the words of its module.
        (["benchmark", "amid", "--help"], ["The claim: ", "RESULTS.md"]),
        (["--version"], ["keras_xkd 0", keras.backend.backend()]),
        (["benchmark", "gaussians", "--help"], ["--first-seed", "--backend"]),
        (
            ["benchmark", "backends", "--help"],
            ["--backends", "kd, features", "each in a process of its own"],
        ),
        (["benchmark", "step-time", "--help"], ["--contenders", "--levers"]),
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
        (["benchmark", "backends", "--methods", "crd"], "invalid choice"),
        (["benchmark", "backends", "--turn", "0"], "must be positive"),
        (["benchmark", "gaussians", "--methods", "kd"], "unrecognized"),
    ],
)
def test_wrong_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        command_line.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", command_line.BENCHMARKS)
def test_benchmarks_take_their_options(name):
    module = name.replace("-", "_")
    run = importlib.import_module(f"keras_xkd.benchmark.{module}").run
    parameters = inspect.signature(run).parameters
    if name == "backends":  # It hands the rest on.
        from keras_xkd.benchmark.backends import compare

        parameters = {**parameters, **inspect.signature(compare).parameters}
    options = vars(command_line.make_parser().parse_args(["benchmark", name]))
    common = {"command", "name", "backend", "seeds", "first_seed"}
    special = set(options) - common
    assert special >= {"output", "quick"}
    assert special <= set(parameters)
    given = {key for key in special if options[key] not in (None, False)}
    assert given == {"output"}  # Other defaults belong to `run`.


def test_an_option_of_one_benchmark_arrives(monkeypatch):
    from keras_xkd.benchmark import backends

    received = []
    monkeypatch.setattr(
        backends, "run", lambda *args, **kwargs: received.append((args, kwargs))
    )
    # Whatever Keras runs on here is of no interest.
    monkeypatch.setattr(command_line, "set_up_backend", None)
    arguments = (
        "benchmark backends --methods kd amid --size conv --no-jit --steps 4 "
        "--dtype mixed_float16"
    ).split()
    command_line.main(arguments)
    (((seeds,), options),) = received
    assert seeds == [0]
    given = {key: value for key, value in options.items() if value is not None}
    assert given == {
        "arguments": arguments,
        "output": "benchmark_output",
        "quick": False,
        "methods": ["kd", "amid"],
        "size": ["conv"],
        "jit": False,
        "steps": 4,
        "dtype": "mixed_float16",
    }


def test_comparing_backends_imports_none_here():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "keras_xkd", "benchmark"]
        + ["backends", "--cores", "100000"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert "`cores` must lie between" in done.stderr
    imported = {
        line.rpartition("|")[2].strip() for line in done.stderr.splitlines()
    }
    assert "keras_xkd.benchmark.backends_link" in imported
    assert not imported & {"keras", "jax", "tensorflow", "torch"}


def test_the_help_names_what_there_is():
    root = pathlib.Path(keras_xkd.__file__).parent.parent
    pages = [
        help_pages.EXAMPLES,
        help_pages.DEMO_EXAMPLES,
        help_pages.BENCHMARK_EXAMPLES,
    ]
    files = re.findall(r"\S+/\S+\.py|\S+\.md|examples/", "".join(pages))
    assert len(files) >= 6
    assert all((root / name).exists() for name in files), files
    lines = "".join(pages).splitlines()
    assert max(map(len, lines)) <= 80
    commands = [line for line in lines if " python -m keras_xkd " in line]
    for line in commands:
        words = re.split(r" {2,}", line.strip())[0].split()[3:]
        if "--help" not in words:
            command_line.make_parser().parse_args(words)


def test_the_catalogue_is_whole():
    assert set(catalogue.OPTIONS) <= set(catalogue.BENCHMARKS)
    assert set(catalogue.DETAILS) <= set(catalogue.BENCHMARKS)
    assert set(catalogue.WITHOUT_KERAS) <= set(catalogue.BENCHMARKS)


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


@pytest.mark.parametrize(
    "command", [["demo"], ["benchmark", "gaussians"], ["benchmark", "backends"]]
)
def test_without_matplotlib(command, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(SystemExit, match=r"keras-xkd\[viz\]"):
        command_line.main([*command, "--quick", "--output", str(tmp_path)])
    assert not list(tmp_path.iterdir())
