from collections.abc import Mapping

import keras

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.utils.graph import calls_of
from keras_xkd.utils.graph import input_structure
from keras_xkd.utils.graph import output_structure


@keras_xkd_export("keras_xkd.models.tap")
def tap(model: keras.Model, taps: Mapping[str, str]) -> keras.Model:
    """Returns `model` with further outputs, read in the same forward pass.

    The new model shares the layers of the old one: training one trains the
    other.

    Example:

    >>> import keras
    >>> from keras_xkd.models import tap
    >>> model = keras.Sequential(
    ...     [
    ...         keras.Input((4,), name="audio"),
    ...         keras.layers.Dense(8, activation="relu", name="hidden"),
    ...         keras.layers.Dense(3),
    ...     ]
    ... )
    >>> tapped = tap(model, {"features": "hidden"})
    >>> {name: tensor.shape for name, tensor in sorted(tapped.output.items())}
    {'features': (None, 8), 'logits': (None, 3)}

    Args:
        model: A Functional or Sequential model.
        taps: A dict `{output name: layer name}`.

    Returns:
        A Functional model that returns a dict: the outputs of `model` (a
        single tensor under the name `"logits"`) and the tapped ones.

    Raises:
        ValueError: If the model has no graph to read from, if a layer does not
            exist, is called more than once or returns several tensors, or if
            an output name is already taken.
    """
    outputs = output_structure(model)
    if outputs is None:
        raise ValueError(
            "`tap` reads the graph of a built Functional or Sequential model. "
            f"Received: '{model.name}' of type {type(model).__name__}. Let its "
            "`call` return a dict of outputs instead."
        )
    if isinstance(outputs, keras.KerasTensor):
        outputs = {"logits": outputs}
    if not isinstance(outputs, dict):
        raise ValueError(
            "`tap` needs a model that returns one tensor or a dict. "
            f"'{model.name}' returns {type(outputs).__name__} of "
            f"{len(outputs)}: give its outputs names."
        )
    taken = sorted(set(outputs) & set(taps))
    if taken:
        raise ValueError(
            f"'{model.name}' already has outputs named {taken}. Choose other "
            f"names for the taps. Received: taps={taps}"
        )
    tapped = {name: _find(model, layer) for name, layer in taps.items()}
    return keras.Model(
        input_structure(model), {**outputs, **tapped}, name=model.name
    )


def _find(model, name):
    layers = {layer.name: layer for layer in model.layers}
    if name not in layers:
        nested = [
            layer.name
            for layer in model.layers
            if isinstance(layer, keras.Model)
            and any(inner.name == name for inner in layer._flatten_layers())
        ]
        hint = (
            f" It is inside the nested model '{nested[0]}', whose inner "
            "tensors are not part of this graph: tap that model first."
            if nested
            else ""
        )
        raise ValueError(
            f"'{model.name}' has no layer named '{name}'.{hint} "
            f"Its layers: {sorted(layers)}"
        )
    nodes = calls_of(model, layers[name])
    if len(nodes) != 1:
        raise ValueError(
            f"The layer '{name}' of '{model.name}' is called {len(nodes)} "
            "times: which of its outputs is meant is not clear."
        )
    tensors = nodes[0].output_tensors
    if len(tensors) != 1:
        raise ValueError(
            f"The layer '{name}' of '{model.name}' returns {len(tensors)} "
            "tensors. Tap a layer that returns one."
        )
    return tensors[0]
