import os
import subprocess
import sys


def test_a_backend_that_cannot_train_is_refused():
    done = subprocess.run(
        [sys.executable, "-c", "import keras_xkd"],
        env={**os.environ, "KERAS_BACKEND": "numpy"},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "ImportError" in done.stderr
    assert "'jax', 'tensorflow' and 'torch'" in done.stderr
    assert "'numpy'" in done.stderr
