"""Tests and benchmarks on a machine with a CUDA GPU, stored as JSON.

    python scripts/gpu.py [--output DIR] [--backends jax torch]
    python scripts/gpu.py --dry-run      shows the commands only
    python scripts/gpu.py --cpu          tries it all out on the processor

THIS HAS NOT BEEN RUN ON A GPU YET, only with `--cpu`.

Needs the CUDA builds of the backends (`pip install "jax[cuda12]" torch`) and
the package with its development tools (`pip install -e ".[viz,dev]"`). Stops
if a backend does not see a GPU. Takes a first look at the speed, in an hour or
less; a longer comparison is `python -m keras_xkd benchmark backends`.

**Tests.** Those of what runs on the device: layers, losses, metrics, models,
distillers, and the training steps; without those marked as slow. Data sets,
files, plots and the command line do not know the device. Products are computed
in full float32: GPUs may round the factors to TensorFloat-32, whose numbers
are not those of a processor, which the tests expect.

**Benchmarks.** `benchmark backends` in float32 (with TensorFloat-32 where that
is a backend's default) and mixed_float16, as Keras compiles by default (JAX:
XLA, PyTorch: not) and with `--jit` (PyTorch: torch.compile); `benchmark
step-time` in float32 and mixed_float16.

`gpu.json` has the GPU, the driver, the counts of the tests with the names of
those that failed, and the results of every benchmark.
"""

import argparse
import json
import os
import pathlib
import platform
import shlex
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[1]
TESTS = ("backend", "distillers", "layers", "losses", "metrics", "models")

FULL_FLOAT32 = {
    "NVIDIA_TF32_OVERRIDE": "0",
    "JAX_DEFAULT_MATMUL_PRECISION": "highest",
}
# What is small for a processor is nothing for a GPU.
GPU_STEPS = ["--batch-size", "64"]
GPU_TRAINING = [*GPU_STEPS, "--steps", "400", "--turn", "20"]
GPU_TRAINING += ["--methods", "kd", "amid"]
GPU_TRAINING += ["--size", "mlp", "conv", "transformer"]
PROBE = (
    "import json; from keras_xkd.benchmark import backends_device as device; "
    "print(json.dumps(device.describe()))"
)


def plan(options):
    """All commands to run.

    Returns:
        A list of `(name, arguments of Python, changes of the environment)`.
    """
    output = pathlib.Path(options.output).resolve()
    # Not all memory in advance: benchmarks run two backends side by side.
    common = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    if options.cpu:
        common |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    commands = []
    for backend in options.backends:
        own = {"KERAS_BACKEND": backend}
        name = f"tests_{backend}"
        report = f"--junitxml={output / name}.xml"
        tests = ["-m", "pytest", "-q", "-m", "not slow", report, *options.tests]
        commands.append((name, tests, common | FULL_FLOAT32 | own))
    training, steps = GPU_TRAINING, GPU_STEPS
    if options.cpu:
        training = steps = ["--quick", "--methods", "kd"]
    for dtype in ("float32", "mixed_float16"):
        for jit in ([], ["--jit"]):
            name = "_".join(["backends", dtype, *(["jit"] if jit else [])])
            arguments = ["--backends", *options.backends, "--dtype", dtype]
            arguments += [*jit, *training]
            command = _benchmark("backends", arguments, output / name)
            commands.append((name, command, common))
    for backend in options.backends:
        for dtype in ("float32", "mixed_float16"):
            name = f"step_time_{dtype}_{backend}"
            arguments = ["--backend", backend, "--dtype", dtype, *steps]
            command = _benchmark("step-time", arguments, output / name)
            commands.append((name, command, common))
    return commands


def _benchmark(name, arguments, folder):
    command = ["-m", "keras_xkd", "benchmark", name]
    return [*command, *arguments, "--output", str(folder)]


def devices(backends, cpu):
    """What each backend computes on; stops where that is no GPU."""
    hide = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"} if cpu else {}
    found = {}
    for backend in backends:
        own = {"KERAS_BACKEND": backend} | hide
        done = subprocess.run(
            [sys.executable, "-c", PROBE],
            cwd=ROOT,
            env={**os.environ, **own},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"{backend} does not start:\n{done.stderr}")
        found[backend] = json.loads(done.stdout.splitlines()[-1])
    without = [name for name, own in found.items() if own["kind"] != "gpu"]
    if without and not cpu:
        raise SystemExit(
            f"No GPU is seen by {' and '.join(without)}.\n"
            f"Driver: {driver() or 'nvidia-smi finds none'}.\n"
            "The builds for CUDA come with `pip install 'jax[cuda12]'` and "
            "`pip install torch`. `--cpu` tries this script out without a GPU."
        )
    return found


def driver():
    """Name, memory and driver of the GPUs, as the system says."""
    query = "--query-gpu=name,memory.total,driver_version"
    try:
        done = subprocess.run(
            ["nvidia-smi", query, "--format=csv,noheader"],
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None


def counts(path):
    """Numbers of tests in a report of pytest, and the names of the failed."""
    suites = ElementTree.parse(path).getroot().iter("testsuite")
    found = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    failed = []
    for suite in suites:
        for key in found:
            found[key] += int(suite.get(key, 0))
        for case in suite.iter("testcase"):
            if case.find("failure") is not None or (
                case.find("error") is not None
            ):
                failed.append(f"{case.get('classname')}.{case.get('name')}")
    return {**found, "failed": failed}


def measure(name, command, changes, output):
    """Runs a command, and collects what it wrote."""
    line = shlex.join(["python", *command])
    print(f"\n== {name}: {line}", flush=True)
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env={**os.environ, **changes}
    )
    result = {
        "command": line,
        "environment": changes,
        "exit_status": done.returncode,
        "seconds": round(time.monotonic() - start, 1),
    }
    report = output / f"{name}.xml"
    if report.exists():
        result |= counts(report)
    for path in sorted((output / name).glob("*.json")):
        result.setdefault("results", {})[path.stem] = json.loads(
            path.read_text()
        )
    return result


def main(arguments=None):
    """Runs everything; the exit status is 1 if anything failed."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--output", default="gpu_output", metavar="DIR")
    add(
        "--backends",
        nargs="+",
        default=["jax", "torch"],
        choices=("jax", "tensorflow", "torch"),
    )
    add(
        "--tests",
        nargs="+",
        metavar="PATH",
        default=[f"tests/{area}" for area in TESTS],
        help=f"what pytest runs (default: tests of {', '.join(TESTS)})",
    )
    add("--cpu", action="store_true", help="smoke runs, without a GPU")
    add("--dry-run", action="store_true", help="show the commands only")
    options = parser.parse_args(arguments)
    commands = plan(options)
    if options.dry_run:
        for name, command, changes in commands:
            values = [f"{key}={value}" for key, value in changes.items()]
            print(f"{name}: {shlex.join([*values, 'python', *command])}")
        return
    output = pathlib.Path(options.output).resolve()
    content = {
        "devices": devices(options.backends, options.cpu),
        "gpu": None if options.cpu else driver(),
        "python": platform.python_version(),
        "runs": {},
    }
    output.mkdir(parents=True, exist_ok=True)
    for name, command, changes in commands:
        content["runs"][name] = measure(name, command, changes, output)
        # After every run, so that an interrupt loses one only.
        path = output / "gpu.json"
        path.write_text(json.dumps(content, indent=1) + "\n")
    print(f"\nWritten: {path}")
    failed = [n for n, run in content["runs"].items() if run["exit_status"]]
    if failed:
        raise SystemExit(f"FAILED: {', '.join(failed)}")
    if options.cpu:
        print("Without a GPU: its numbers mean nothing.")


if __name__ == "__main__":
    main()
