"""The part of a backbone that encodes one modality, and what it returns."""

import keras

from keras_xkd.models.clip_parts import freeze
from keras_xkd.models.clip_parts import frozen_layers
from keras_xkd.utils.graph import input_structure
from keras_xkd.utils.graph import operations_behind
from keras_xkd.utils.graph import output_structure
from keras_xkd.utils.graph import positions_before

# The ranks of what a backbone of a modality reads, and what that is.
_READS = {
    "image": ({4}, "images `(batch, height, width, channels)`"),
    "video": (
        {4, 5},
        "videos `(batch, frames, height, width, channels)`, or images",
    ),
    "audio": ({2, 3, 4}, "floats `(batch, samples)` or `(batch, frames, ...)`"),
    "text": ({2}, "token ids `(batch, length)`"),
}
# Where a backbone of several modalities keeps the network of one.
TOWERS = {
    "image": ("vision_encoder", "image_encoder"),
    "video": ("video_encoder", "vision_encoder", "image_encoder"),
    "audio": ("audio_encoder",),
    "text": ("text_encoder",),
}


def part_for(backbone, kind):
    """The model that encodes a modality: a backbone, or a part of one.

    It reads and computes no more than it needs. It returns a tensor of shape
    `(batch, width)` or `(batch, positions..., width)`; or a dict of
    `"tokens"`, `"features"` that the backbone has pooled by itself, and
    `"mask"` where it says which tokens are there.

    Layers are shared with the backbone. Where the network of another modality
    or a decoder is left out, the part is a copy: the layers of one graph hold
    on to all of it.
    """
    for name in TOWERS[kind]:
        tower = getattr(backbone, name, None)
        if isinstance(tower, keras.Model):
            return part_for(_copy(tower), kind)
    is_model = isinstance(backbone, keras.Model)
    outputs = output_structure(backbone) if is_model else None
    if outputs is None:
        raise ValueError(
            "`backbone` must be a backbone of keras-hub, a built Functional "
            f"or Sequential model, or a preset. Received: backbone={backbone!r}"
        )
    chosen = _choose(outputs, kind, backbone.name)
    inputs = input_structure(backbone)
    used = _used(inputs, chosen.values())
    whole = len(keras.tree.flatten(used)) == len(keras.tree.flatten(inputs))
    if whole and len(chosen) == len(keras.tree.flatten(outputs)):
        if not isinstance(outputs, dict) or set(outputs) == set(chosen):
            return backbone
    if set(chosen) == {"tokens"}:
        chosen = chosen["tokens"]
    part = keras.Model(used, chosen, name=backbone.name)
    return part if whole else _copy(part)


def check_kind(network, kind):
    """Raises if no input of a network can be data of a modality.

    The type is no sign for texts and images: ids of an `Embedding` may come as
    floats, which are the default of `keras.Input`, and pixels as integers.
    """
    ranks, what = _READS[kind]
    inputs = named_inputs(network)
    fitting = [
        tensor
        for tensor in inputs.values()
        if len(tensor.shape) in ranks
        and (kind != "audio" or "float" in tensor.dtype)
    ]
    if not fitting:
        found = {k: (tuple(x.shape), x.dtype) for k, x in inputs.items()}
        raise ValueError(
            f"A backbone of kind '{kind}' must read {what}. Received: "
            f"'{network.name}', which reads {found}"
        )


def max_length(backbone, kind):
    """How many tokens or frames a backbone can read, or None."""
    towers = [getattr(backbone, name, None) for name in TOWERS[kind]]
    for network in (*towers, backbone):
        for name in ("max_sequence_length", "max_encoder_sequence_length"):
            if hasattr(network, name):
                return getattr(network, name)
    return None


def named_inputs(network):
    """The inputs of a model, a dict by name."""
    inputs = input_structure(network)
    if isinstance(inputs, dict):
        return dict(inputs)
    return {tensor.name: tensor for tensor in keras.tree.flatten(inputs)}


def run(network, tensors):
    """Calls a model on a dict of its inputs by name; its outputs by name."""
    inputs = input_structure(network)
    if isinstance(inputs, keras.KerasTensor):
        (tensors,) = tensors.values()
    elif not isinstance(inputs, dict):
        tensors = list(tensors.values())
    return named_outputs(network(tensors))


def named_outputs(outputs):
    """The outputs of a part, symbolic or not, by name.

    A single tensor is `"features"` if it has no positions, else `"tokens"`.
    """
    if isinstance(outputs, (list, tuple)) and len(outputs) == 1:
        outputs = outputs[0]
    if isinstance(outputs, (dict, list, tuple)):
        return outputs
    return {"features" if len(outputs.shape) == 2 else "tokens": outputs}


def _choose(outputs, kind, name):
    """The outputs to use, under the names that `part_for` gives them."""
    outputs = named_outputs(outputs)
    if not isinstance(outputs, dict):
        raise ValueError(
            f"The backbone '{name}' returns {len(outputs)} tensors without "
            "names. An encoder needs one tensor, or a dict that names them."
        )
    masks = {k: x for k, x in outputs.items() if "mask" in k}
    others = {k: x for k, x in outputs.items() if k not in masks}
    deep = {k: x for k, x in others.items() if len(x.shape) > 2}
    flat = {k: x for k, x in others.items() if len(x.shape) == 2}
    chosen = {}
    if deep:
        chosen["tokens"] = _best(deep, kind)
        if "features" in flat:
            chosen["features"] = flat["features"]
    else:
        flat = {"features": flat["features"]} if "features" in flat else flat
        flat = _of_kind(flat, kind)
        if len(flat) != 1:
            raise ValueError(
                "An encoder needs tokens, `(batch, positions..., width)`, or "
                f"one output `(batch, width)`. The backbone '{name}' returns "
                f"{ {k: tuple(x.shape) for k, x in outputs.items()} }"
            )
        (pooled,) = flat.values()
        chosen["features"] = pooled
        positions = positions_before(pooled)
        if positions is not None:
            chosen["tokens"] = positions
    read = _read(chosen.get("tokens"))
    for mask in masks.values():
        if len(mask.shape) == 2 and _read(mask) <= read:
            chosen["mask"] = mask
    return chosen


def _best(outputs, kind):
    """Of outputs with positions the one that encodes the modality.

    It needs the fewest inputs (that of an encoder, not of its decoder) and
    has the most layers behind it (the last, not an intermediate one).
    """

    def rank(tensor):
        return len(_read(tensor)), -len(operations_behind(tensor))

    return min(_of_kind(outputs, kind).values(), key=rank)


def _of_kind(outputs, kind):
    """Those that read ids alone for text, that read other data otherwise."""
    text = kind == "text"
    fitting = {
        key: tensor
        for key, tensor in outputs.items()
        if text == all(map(_is_ids, operations_behind(tensor).values()))
    }
    return fitting or outputs


def _is_ids(operation):
    """False for an input of anything but ids and masks."""
    if not isinstance(operation, keras.layers.InputLayer):
        return True
    return "float" not in operation.dtype and len(operation.batch_shape) == 2


def _read(tensor):
    """The inputs that a tensor is computed from, as ids of their layers."""
    if tensor is None:
        return set()
    behind = operations_behind(tensor).items()
    return {k for k, op in behind if isinstance(op, keras.layers.InputLayer)}


def _used(inputs, outputs):
    """The inputs, in their structure, that some of the outputs need."""
    read = set().union(*map(_read, outputs))

    def is_used(tensor):
        return id(tensor._keras_history.operation) in read

    if isinstance(inputs, dict):
        return {name: x for name, x in inputs.items() if is_used(x)}
    if isinstance(inputs, (list, tuple)):
        return [x for x in inputs if is_used(x)]
    return inputs


def _copy(model):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    freeze(copy, frozen_layers(model))
    return copy
