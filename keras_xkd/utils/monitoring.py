"""What callbacks want to know: which way is better, and what `fit` does."""

import contextlib

import keras

_MODES = {"up": "max", "down": "min"}


def choose_modes(callbacks, metrics):
    """Settles `mode="auto"` of callbacks such as `EarlyStopping`.

    Keras asks the metrics that it compiled; those of a distiller are its own.

    Args:
        callbacks: What `fit` was given.
        metrics: The metrics of the model, which know their direction.
    """
    directions = {m.name: getattr(m, "_direction", None) for m in metrics}
    for callback in keras.tree.flatten(callbacks):
        if getattr(callback, "mode", None) != "auto":
            continue
        name = str(getattr(callback, "monitor", "")).removeprefix("val_")
        direction = directions.get(name)
        if name.endswith("_loss"):
            direction = "down"
        if direction is not None:
            callback.mode = _MODES[direction]


@contextlib.contextmanager
def watched(given):
    """Tells callbacks that ask for it what `fit` was given, and how it ended.

    Keras tells neither. A callback asks by the methods `on_fit_begin(given)`
    and `on_fit_error(error)`.

    Args:
        given: The arguments of `fit` by name.
    """
    callbacks = given.get("callbacks")
    callbacks = getattr(callbacks, "callbacks", callbacks)  # A `CallbackList`.
    callbacks = keras.tree.flatten(callbacks)
    for callback in callbacks:
        if hasattr(callback, "on_fit_begin"):
            callback.on_fit_begin(given)
    try:
        yield
    except BaseException as error:
        for callback in callbacks:
            if hasattr(callback, "on_fit_error"):
                callback.on_fit_error(error)
        raise
