"""The guide runs as it is, and by the commands that it shows."""

import pathlib
import runpy

import keras
import pytest

from tests.distributed import launch

GUIDE = pathlib.Path(__file__).parents[2] / "guides/many_devices.py"
BACKEND = keras.backend.backend()


def test_one_device(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OUTPUT", str(tmp_path))
    try:
        found = runpy.run_path(str(GUIDE))
    finally:
        keras.distribution.set_distribution(None)
    history = found["history"]
    assert history["val_accuracy"][-1] > 0.4
    assert "accuracy of the student" in capsys.readouterr().out
    student = keras.models.load_model(tmp_path / "student.keras")
    own = {"audio": found["x_val"]["audio"]}
    assert student.predict(own, verbose=0).shape[1] == 10


def commands():
    """Engine as `launch` knows it, processes, and the environment."""
    return {
        "jax": [("data:8", 1, {}), ("alone", 2, {"ADDRESS": "localhost:PORT"})],
        "tensorflow": [("alone", 1, {"DEVICES": "2"})],
        "torch": [("torchrun", 2, {})],
    }[BACKEND]


@pytest.mark.slow
@pytest.mark.distributed
@pytest.mark.parametrize("engine, processes, extra", commands())
def test_several_devices(engine, processes, extra, tmp_path):
    extra = {"OUTPUT": str(tmp_path)} | {
        key: value.replace("PORT", str(launch.free_port()))
        for key, value in extra.items()
    }
    if engine == "torchrun":
        command = ["torch.distributed.run", "--nproc-per-node", processes]
        command += ["--master-port", launch.free_port(), GUIDE]
        workers = launch.start("alone", command, "-m", **extra)
    else:
        workers = launch.start(engine, [], GUIDE, processes, **extra)
    printed = "".join(launch.finish(workers))
    assert printed.count("accuracy of the student") == 1
    assert (tmp_path / "student.keras").exists()
