"""Which way is better, for callbacks that watch a value."""

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
