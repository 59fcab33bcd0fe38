import importlib.util
import json
import pathlib
import sys

import pytest

from keras_xkd import __main__ as command_line

PATH = pathlib.Path(__file__).parents[2] / "scripts" / "gpu.py"
CPU = {"kind": "cpu", "name": "cpu", "count": 1}
GPU = {"kind": "gpu", "name": "Some GPU", "count": 1}


@pytest.fixture
def gpu():
    spec = importlib.util.spec_from_file_location("gpu", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def probe_that_finds(device):
    return f"import json; print('noise'); print(json.dumps({device!r}))"


def test_without_a_gpu_it_stops(gpu, monkeypatch, tmp_path):
    monkeypatch.setattr(gpu, "PROBE", probe_that_finds(CPU))
    monkeypatch.setattr(gpu, "measure", None)
    with pytest.raises(SystemExit, match="No GPU is seen by jax and torch"):
        gpu.main(["--output", str(tmp_path / "new")])
    assert not (tmp_path / "new").exists()
    assert gpu.devices(["jax"], cpu=True) == {"jax": CPU}
    monkeypatch.setattr(gpu, "PROBE", "import no_such_backend")
    with pytest.raises(SystemExit, match="(?s)torch does not start.*no_such"):
        gpu.devices(["torch"], cpu=False)


def test_a_gpu_is_found(gpu, monkeypatch):
    monkeypatch.setattr(gpu, "PROBE", probe_that_finds(GPU))
    assert gpu.devices(["torch"], cpu=False) == {"torch": GPU}


def test_driver(gpu, monkeypatch, tmp_path):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho Some GPU, 80 GB, 1.0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu.driver() == "Some GPU, 80 GB, 1.0"
    program.unlink()
    assert gpu.driver() is None


@pytest.mark.parametrize("flags", [[], ["--cpu"]])
def test_the_commands_are_valid(gpu, flags, capsys):
    gpu.main(["--dry-run", *flags])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert sum("mixed_float16" in line for line in lines) == 4
    assert sum("--jit" in line for line in lines) == 2
    hidden = sum("CUDA_VISIBLE_DEVICES= " in line for line in lines)
    assert hidden == (10 if flags else 0)
    parser = command_line.make_parser()
    benchmarks = 0
    for line in lines:
        _, _, arguments = line.partition("python -m keras_xkd ")
        if arguments:
            parser.parse_args(arguments.split())
            benchmarks += 1
        else:
            folders = [w for w in line.split() if w.startswith("tests/")]
            assert folders and all(
                (PATH.parents[1] / f).is_dir() for f in folders
            )
    assert benchmarks == 8


def test_what_is_stored(gpu, monkeypatch, tmp_path):
    """With one real run of pytest, and benchmarks that only write a file."""
    tests = tmp_path / "some_test.py"
    tests.write_text(
        "def test_right(): pass\n"
        "def test_wrong(): assert False\n"
        "def test_broken(no_such_fixture): pass\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow\n")

    def benchmark(name, arguments, folder):
        code = "import pathlib, sys; p = pathlib.Path(sys.argv[1]); "
        code += "p.mkdir(); (p / 'found.json').write_text('[1, 2]')"
        return ["-c", code, str(folder)]

    monkeypatch.setattr(gpu, "_benchmark", benchmark)
    monkeypatch.setattr(gpu, "PROBE", probe_that_finds(GPU))
    monkeypatch.setattr(gpu, "driver", lambda: "Some GPU, 1.0")
    arguments = ["--output", str(tmp_path / "out"), "--backends", "torch"]
    with pytest.raises(SystemExit, match="FAILED: tests_torch$"):
        gpu.main([*arguments, "--tests", str(tests)])
    content = json.loads((tmp_path / "out" / "gpu.json").read_text())
    assert content["gpu"] == "Some GPU, 1.0"
    assert content["devices"] == {"torch": GPU}
    found = content["runs"]["tests_torch"]
    assert found["tests"] == 3 and found["exit_status"] == 1
    assert found["failures"] == 1 and found["errors"] == 1
    assert found["failed"] == ["some_test.test_wrong", "some_test.test_broken"]
    assert found["environment"]["NVIDIA_TF32_OVERRIDE"] == "0"
    other = content["runs"]["backends_mixed_float16"]
    assert other["exit_status"] == 0
    assert other["results"] == {"found": [1, 2]}
    assert "NVIDIA_TF32_OVERRIDE" not in other["environment"]


def test_success(gpu, monkeypatch, tmp_path, capsys):
    commands = [("one", ["-c", "print('ran')"], {})]
    monkeypatch.setattr(gpu, "plan", lambda options: commands)
    monkeypatch.setattr(gpu, "PROBE", probe_that_finds(CPU))
    gpu.main(["--cpu", "--output", str(tmp_path), "--backends", "jax"])
    content = json.loads((tmp_path / "gpu.json").read_text())
    assert content["gpu"] is None
    assert content["runs"]["one"]["exit_status"] == 0
    assert "Without a GPU" in capsys.readouterr().out
    assert sys.executable not in content["runs"]["one"]["command"]
