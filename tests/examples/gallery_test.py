"""Every guide and example runs, and keeps its promise: `make test-gallery`.

All run on JAX. In even weeks every second one runs on TensorFlow and the others
on PyTorch, in odd weeks the other way round; `GALLERY=all` runs all. Those that
speak of three backends run on three.
"""

import datetime
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
EVERYWHERE = {
    "cross_modal_distillation",
    "migrating_from_keras_distillation",
    "writing_your_own_distiller",
}


def turn(backend, week):
    """The scripts that run on a backend in a week."""
    if backend == "jax" or os.environ.get("GALLERY") == "all":
        return SCRIPTS
    mine = (week + (backend == "torch")) % 2
    return [
        path
        for place, path in enumerate(SCRIPTS)
        if place % 2 == mine or path.stem in EVERYWHERE
    ]


def test_in_two_weeks_each_script_runs_on_each_backend(monkeypatch):
    monkeypatch.delenv("GALLERY", raising=False)
    for week in (1, 52):
        both = turn("tensorflow", week), turn("torch", week)
        assert set(both[0]) | set(both[1]) == set(SCRIPTS)
        assert {p.stem for p in set(both[0]) & set(both[1])} == EVERYWHERE
    for backend in ("tensorflow", "torch"):
        assert {*turn(backend, 1), *turn(backend, 2)} == set(SCRIPTS)


WEEK = datetime.date.today().isocalendar().week


@pytest.mark.gallery
@pytest.mark.parametrize(
    "path",
    turn(keras.backend.backend(), WEEK),
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
