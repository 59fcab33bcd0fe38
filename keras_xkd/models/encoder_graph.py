"""From the inputs of an `Encoder` through its backbone to its outputs."""

import math

import keras
from keras import ops

from keras_xkd.layers.temporal_pooling import TemporalPooling
from keras_xkd.models.backbone_parts import named_inputs
from keras_xkd.models.backbone_parts import run
from keras_xkd.models.encoder_layers import OverFrames
from keras_xkd.models.encoder_layers import TokenMask
from keras_xkd.models.encoder_layers import ToTokens
from keras_xkd.models.encoder_layers import ZeroPadding
from keras_xkd.models.token_steps import find_steps
from keras_xkd.utils.modalities import known_modalities


def reads_frames(network, kind):
    """Whether a network of images is to see a video frame by frame."""
    shapes = [tuple(x.shape) for x in named_inputs(network).values()]
    return kind == "video" and len(shapes) == 1 and len(shapes[0]) == 4


def make_inputs(network, kind, modality, mask=False, front_end=None):
    """The symbolic inputs of an encoder.

    Returns: Its inputs, `{modality: tensor or dict}`; those of the network, by
    name; and the mask of what is there, or None.
    """
    reads = named_inputs(network)
    own_mask = next((name for name in reads if name.endswith("mask")), None)
    if front_end is not None and len(reads) > 1:
        raise ValueError(
            "`front_end` fits backbones that read one tensor. Received: "
            f"'{network.name}', which reads {sorted(reads)}"
        )
    if len(reads) > 1 and not known_modalities(network):
        raise ValueError(
            f"The backbone '{network.name}' reads {len(reads)} tensors. Name "
            'them, as in `keras.Input(shape, name="token_ids")`. Received: '
            f"{sorted(reads)}"
        )
    nested = kind == "text" or len(reads) > 1 or mask
    tensors, named = {}, {}
    for name, tensor in reads.items():
        key = _key(name, kind, alone=len(reads) == 1)
        shape = tensor.shape[1:]
        if front_end is not None:
            shape = (None,)
        elif reads_frames(network, kind):
            shape = (None, *shape)
        named[key] = tensors[name] = keras.Input(
            shape,
            dtype=tensor.dtype,
            name=f"{modality}_{key}" if nested else modality,
        )
    there = tensors.get(own_mask)
    if own_mask is None and (kind == "text" or mask):
        there = keras.Input(
            (None,), dtype="int32", name=f"{modality}_padding_mask"
        )
        named["padding_mask"] = there
        if kind != "text":  # Some texts are to be padded with a token.
            tensors = {n: ZeroPadding()(x, there) for n, x in tensors.items()}
    if front_end is not None:
        ((name, samples),) = tensors.items()
        tensors = {name: front_end(samples)}
        if there is not None:
            there = _mask_of(tensors[name], [samples], there, steps_only=True)
    if not nested:
        (named,) = named.values()
    return {modality: named}, tensors, there


def encode(network, tensors, there, pooling):
    """Tokens and features of what a network reads.

    Args:
        network: What `part_for` returns.
        tensors: Its inputs by name.
        there: The mask of the inputs, or None.
        pooling: A layer from tokens to features.
    """
    outputs = run(network, tensors)
    raw = outputs.get("tokens", outputs.get("features"))
    mask = outputs.get("mask")
    if mask is None and there is not None:
        mask = _mask_of(raw, [*tensors.values()], there)
    tokens = ToTokens()(raw, mask=mask)
    if "features" not in outputs:
        return tokens, pooling(tokens, mask=mask)
    features = outputs["features"]
    if there is not None:
        some = ops.max(ops.cast(there, "int32"), axis=1)
        features = ZeroPadding()(features, some)
    return tokens, features


def encode_frames(network, tensors, there, pooling, temporal, dtype):
    """The same for a video whose frames a network of images sees one by one.

    The tokens are the features of the frames.
    """
    ((name, frames),) = tensors.items()
    image = keras.Input(frames.shape[2:], dtype=frames.dtype)
    _, features = encode(network, {name: image}, None, pooling)
    features = OverFrames(keras.Model(image, features))(frames)
    tokens = ToTokens()(features, mask=there)
    over_time = TemporalPooling(
        temporal, num_heads=math.gcd(8, tokens.shape[-1]), dtype=dtype
    )
    return tokens, over_time(tokens, mask=there)


def project(features, units, dtype):
    """A linear projection without bias, so that zeros stay zeros."""
    if units is None:
        return features
    layer = keras.layers.Dense(units, use_bias=False, dtype=dtype)
    return layer(features)


def _mask_of(outputs, inputs, there, steps_only=False):
    """The mask of what is made of masked inputs, of its steps or tokens."""
    rule = find_steps(inputs, outputs) if len(outputs.shape) > 2 else {}
    while steps_only and len(outputs.shape) > 3:
        outputs = outputs[:, :, 0]
    return TokenMask(**rule)(there, outputs)


def _key(name, kind, alone):
    """How an encoder calls an input of its backbone."""
    if alone:
        return "token_ids" if kind == "text" else "frames"
    return name.removeprefix("encoder_") if kind == "text" else name
