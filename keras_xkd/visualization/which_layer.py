"""The layer whose positions are laid over an item."""

import keras
import numpy as np
from keras import ops

from keras_xkd.utils.modalities import RESERVED
from keras_xkd.visualization.attention_maps import fits
from keras_xkd.visualization.layer_outputs import LayerOutputs
from keras_xkd.visualization.layer_outputs import layers_of


def last_layer(outputs, grid):
    """The last layer with learned positions that fit a modality.

    Args:
        outputs: The `LayerOutputs`.
        grid: See `grad_cam`.
    """
    subject, found = outputs.subject, {}
    _check_channels_last(subject)
    for layer in reversed(outputs.calls):
        values = outputs.values(layer)
        if values is None or layer not in outputs.learned:
            continue
        if fits(values.shape[1:-1], subject, grid):
            found[layer] = values.ndim - 2
    wanted = 1 if grid else len(subject.item_shape)
    layers = sorted(found, key=lambda layer: found[layer] != wanted)
    layers = _of_modality(outputs, layers)
    if not layers:
        hint = ""
        if subject.channels and len(subject.item_shape) == 2 and not grid:
            hint = " If it has tokens, say by `grid=(h, w)` how they lie."
        raise ValueError(
            f"'{subject.network.name}' has no layer that can be laid over its "
            f"input of shape {tuple(subject.x.shape)}, such as a convolution. "
            f"Name a `layer`, or use `saliency`.{hint} Received: layer=None, "
            f"grid={grid}"
        )
    return layers[0]


def named_layer(outputs, layer, grid):
    """The layer of that name or path, or the layer itself, if it fits."""
    network = outputs.subject.network
    layers = layers_of(network)
    if isinstance(layer, str):
        found = [known for known in layers if layer in (known.name, known.path)]
    else:
        found = [known for known in layers if known is layer]
    if len(found) != 1:
        names = [known.path for known in found or layers]
        raise ValueError(
            f"`layer` must be one layer of '{network.name}': its name, its "
            "path, or the layer itself where several have the same. Received: "
            f"layer={layer!r}, while there {'are' if found else 'is'} {names}"
        )
    _check(outputs, found[0], grid)
    return found[0]


def _check(outputs, layer, grid):
    """Raises unless the layer can be laid over the modality."""
    subject, calls = outputs.subject, len(outputs.calls.get(layer, ()))
    _check_channels_last(subject)
    wrong = None
    values = outputs.values(layer)
    if not calls:
        wrong = "returns no tensor of shape `(batch, positions, channels)`"
    elif values is None:
        wrong = f"is called {calls} times, or within a loop that is traced"
    elif not fits(values.shape[1:-1], subject, grid):
        wrong = f"returns the shape {values.shape}"
    if wrong:
        raise ValueError(
            f"The output of `layer` must have positions of an input of shape "
            f"{tuple(subject.x.shape)}, channels last; tokens of images need "
            f"`grid=(h, w)`. Received: '{layer.name}', which {wrong}, and "
            f"grid={grid}"
        )


def _check_channels_last(subject):
    """Raises if any layer has channels first: of others it cannot be told."""
    first = [
        layer.name
        for layer in layers_of(subject.network)
        if getattr(layer, "data_format", None) == "channels_first"
    ]
    if first:
        raise ValueError(
            f"`grad_cam` needs channels last. Received: '{first[0]}' of "
            f"'{subject.network.name}', which has them first"
        )


def _of_modality(outputs, layers):
    """Those of the layers which the modality has an influence on, alone."""
    subject = outputs.subject
    inputs, place = subject.inputs_with(subject.x), subject.place
    keys = inputs if isinstance(inputs, dict) else range(len(inputs))
    if not place or not {*keys} - {place[0], *RESERVED}:
        return layers  # It is the only one.
    others = dict(inputs) if isinstance(inputs, dict) else list(inputs)
    for key in {*keys} - {place[0], *RESERVED}:
        others[key] = keras.tree.map_structure(_other, inputs[key])
    own = subject.inputs_with(_other(subject.x))
    own, others = LayerOutputs(subject, own), LayerOutputs(subject, others)
    return [
        layer
        for layer in layers
        if not _same(outputs, own, layer) and _same(outputs, others, layer)
    ]


def _other(x):
    """Zeros, or ones where all is zero."""
    zeros = ops.zeros_like(x)
    return zeros if ops.any(ops.not_equal(x, 0)) else ops.ones_like(x)


def _same(one, other, layer):
    return np.allclose(
        one.values(layer), other.values(layer), rtol=1e-4, atol=1e-6
    )
