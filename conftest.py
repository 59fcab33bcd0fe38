"""Test set-up: one backend per process, chosen by `KERAS_BACKEND`."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# torch must be imported before TensorFlow, or the process dies.
try:
    import torch  # noqa: F401
except ImportError:
    pass

import keras
import pytest


@pytest.fixture(autouse=True)
def _clean_keras_state():
    keras.utils.set_random_seed(1337)
    keras.utils.clear_session(free_memory=False)
    yield
    keras.config.set_dtype_policy("float32")
