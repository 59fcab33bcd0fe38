"""Every guide and example runs, and keeps its promise: `make test-gallery`.

All run on JAX, every second one on TensorFlow, and the others on PyTorch.
"""

import os
import pathlib
import subprocess
import sys

import keras
import pytest
import tutobook_cells as cells

ROOT = pathlib.Path(__file__).parents[2]
SECONDS = 600  # A minute on a machine that is not busy.
SCRIPTS = [s.path for s in cells.scripts(ROOT / "examples", ROOT / "guides")]
TURNS = {"jax": SCRIPTS, "tensorflow": SCRIPTS[::2], "torch": SCRIPTS[1::2]}


def test_each_script_runs_on_two_backends():
    turns = sum(TURNS.values(), [])
    assert sorted(turns) == sorted([*SCRIPTS, *SCRIPTS])


@pytest.mark.gallery
@pytest.mark.parametrize(
    "path",
    TURNS[keras.backend.backend()],
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_script(path, tmp_path):
    done = subprocess.run(
        [sys.executable, path],
        cwd=tmp_path,
        env={**os.environ, "OUTPUT": str(tmp_path), "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    # What it found, in numbers.
    assert any(sign.isdigit() for sign in done.stdout), done.stdout
    if path.parent.name == "examples":
        assert "\nassert " in cells.read(path).code, "the claim is not checked"
        pictures = [p for p in tmp_path.rglob("*.png") if p.stat().st_size]
        assert pictures
