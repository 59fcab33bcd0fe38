"""The only folder that imports a framework.

Each module holds a mixin, `BackendTrainer`, that owns `train_step` and
`test_step` of a `Distiller` on its backend, and `no_gradient`, which runs a
function without recording it for differentiation.
"""

import keras

match keras.backend.backend():
    case "jax":
        from keras_xkd.backend.jax_trainer import BackendTrainer
        from keras_xkd.backend.jax_trainer import no_gradient
    case "tensorflow":
        from keras_xkd.backend.tensorflow_trainer import BackendTrainer
        from keras_xkd.backend.tensorflow_trainer import no_gradient
    case "torch":
        from keras_xkd.backend.torch_trainer import BackendTrainer
        from keras_xkd.backend.torch_trainer import no_gradient
    case other:
        raise ImportError(
            "keras_xkd trains on the backends 'jax', 'tensorflow' and 'torch'. "
            f"Received: '{other}'. Set the environment variable KERAS_BACKEND "
            "before Keras is imported."
        )
