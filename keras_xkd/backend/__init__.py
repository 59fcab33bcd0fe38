"""The only folder that imports a framework.

Each module holds a mixin, `BackendTrainer`, that owns `train_step` and
`test_step` of a `Distiller` on its backend; `no_gradient`, which runs a
function without recording it for differentiation; `outside_trace`, which runs
a function that makes variables while a step is traced; `KeepsState`, a mixin of
models whose steps may raise; `as_dataset`, which makes batches what `fit`
takes; and `gradient_of`, the gradient with respect to a tensor.
`*_replicas.py` hold what devices and processes that share a batch have to tell
each other. `padding_of` is the same for all.
"""

import keras

from keras_xkd.backend.padding import padding_of
from keras_xkd.backend.random_seed import random_seed

match keras.backend.backend():
    case "jax":
        from keras_xkd.backend.jax_data import as_dataset
        from keras_xkd.backend.jax_gradient import gradient_of
        from keras_xkd.backend.jax_replicas import by_itself
        from keras_xkd.backend.jax_replicas import by_replica
        from keras_xkd.backend.jax_replicas import check_keras_distribution
        from keras_xkd.backend.jax_replicas import gather
        from keras_xkd.backend.jax_replicas import is_first_process
        from keras_xkd.backend.jax_replicas import replica_count
        from keras_xkd.backend.jax_replicas import replica_total
        from keras_xkd.backend.jax_state import KeepsState
        from keras_xkd.backend.jax_trainer import BackendTrainer
        from keras_xkd.backend.jax_trainer import no_gradient
        from keras_xkd.backend.jax_trainer import outside_trace
    case "tensorflow":
        from keras_xkd.backend.tensorflow_data import as_dataset
        from keras_xkd.backend.tensorflow_gradient import gradient_of
        from keras_xkd.backend.tensorflow_replicas import by_itself
        from keras_xkd.backend.tensorflow_replicas import by_replica
        from keras_xkd.backend.tensorflow_replicas import (
            check_keras_distribution,
        )
        from keras_xkd.backend.tensorflow_replicas import gather
        from keras_xkd.backend.tensorflow_replicas import is_first_process
        from keras_xkd.backend.tensorflow_replicas import replica_count
        from keras_xkd.backend.tensorflow_replicas import replica_total
        from keras_xkd.backend.tensorflow_trainer import BackendTrainer
        from keras_xkd.backend.tensorflow_trainer import KeepsState
        from keras_xkd.backend.tensorflow_trainer import no_gradient
        from keras_xkd.backend.tensorflow_trainer import outside_trace
    case "torch":
        from keras_xkd.backend.torch_data import as_dataset
        from keras_xkd.backend.torch_gradient import gradient_of
        from keras_xkd.backend.torch_replicas import by_itself
        from keras_xkd.backend.torch_replicas import by_replica
        from keras_xkd.backend.torch_replicas import check_keras_distribution
        from keras_xkd.backend.torch_replicas import gather
        from keras_xkd.backend.torch_replicas import is_first_process
        from keras_xkd.backend.torch_replicas import replica_count
        from keras_xkd.backend.torch_replicas import replica_total
        from keras_xkd.backend.torch_trainer import BackendTrainer
        from keras_xkd.backend.torch_trainer import KeepsState
        from keras_xkd.backend.torch_trainer import no_gradient
        from keras_xkd.backend.torch_trainer import outside_trace
    case other:
        raise ImportError(
            "keras_xkd trains on the backends 'jax', 'tensorflow' and 'torch'. "
            f"Received: '{other}'. Set the environment variable KERAS_BACKEND "
            "before Keras is imported."
        )
