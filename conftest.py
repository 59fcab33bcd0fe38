"""Test set-up: one backend per process, chosen by `KERAS_BACKEND`."""

import os
import tempfile

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# torch must be imported before TensorFlow, or the process dies.
try:
    import torch  # noqa: F401
except ImportError:
    pass

import keras
import pytest


@pytest.fixture(scope="session", autouse=True)
def _temporary_files(tmp_path_factory):
    # What dependencies leave behind goes where pytest cleans up.
    before = tempfile.tempdir
    tempfile.tempdir = str(tmp_path_factory.mktemp("temporary"))
    yield
    tempfile.tempdir = before


@pytest.fixture(autouse=True)
def _clean_keras_state():
    keras.utils.set_random_seed(1337)
    keras.utils.clear_session(free_memory=False)
    yield
    keras.config.set_dtype_policy("float32")
