import keras
import numpy as np

from keras_xkd.benchmark import workloads


def test_the_state_of_a_step_is_not_tracked():
    """On JAX, Keras would search all its arrays in every step."""
    work = workloads.make("amid", "mlp", tiny=True)
    distiller, kept = work.distiller, []

    class Keep(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            state = getattr(distiller, "_jax_state", None) or {}
            kept.append({type(part) for part in [state, *state.values()]})

    x, y = work.batches()[0]
    distiller.fit(x, y, callbacks=[Keep()], verbose=0)
    on_jax = keras.backend.backend() == "jax"
    assert kept == [{dict, list} if on_jax else {dict}]
    assert getattr(distiller, "_jax_state", None) is None
    logs = distiller.evaluate(x, y, verbose=0, return_dict=True)
    assert np.isfinite(logs["loss"])
