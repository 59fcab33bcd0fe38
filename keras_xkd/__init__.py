"""Cross-modal knowledge distillation in Keras 3."""

import sys

# `python -m keras_xkd` chooses the backend, and shows its help, before Keras is
# imported. Python calls the program "-m" while it looks for the module to run.
if not (sys.argv[:1] == ["-m"] and "keras_xkd" in sys.orig_argv):
    # All of it is imported, so that Keras can load what it saved.
    from keras_xkd import callbacks
    from keras_xkd import data
    from keras_xkd import datasets
    from keras_xkd import diagnostics
    from keras_xkd import distillers
    from keras_xkd import layers
    from keras_xkd import losses
    from keras_xkd import metrics
    from keras_xkd import models
    from keras_xkd import utils
    from keras_xkd import visualization

__version__ = "0.1.0"

__all__ = [
    "callbacks",
    "data",
    "datasets",
    "diagnostics",
    "distillers",
    "layers",
    "losses",
    "metrics",
    "models",
    "utils",
    "visualization",
]
