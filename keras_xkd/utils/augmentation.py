"""What makes two views of a sample differ."""

import keras
from keras import layers

from keras_xkd.layers.scaled_gaussian_noise import ScaledGaussianNoise
from keras_xkd.layers.spec_augment import SpecAugment
from keras_xkd.utils.modalities import RESERVED
from keras_xkd.utils.modalities import modalities_of
from keras_xkd.utils.symbolic import symbolic_inputs


def resolve_augmentation(augment, encoder):
    """A dict `{modality: layer or callable}` from what the user gave.

    Args:
        augment: A layer or callable for every modality that the encoder
            reads, such a dict, or None for a default by the kind of input.
        encoder: The network that reads the modalities.
    """
    names = [n for n in modalities_of(encoder) if n not in RESERVED]
    if augment is None:
        inputs = symbolic_inputs([encoder])
        augment = {name: _default(name, inputs[name]) for name in names}
    if not isinstance(augment, dict):
        augment = dict.fromkeys(names, augment)
    unknown = sorted(set(augment) - set(names))
    if unknown:
        raise ValueError(
            f"`augment` names the modalities {unknown}. The encoder reads "
            f"{sorted(names)}"
        )
    for name, function in augment.items():
        if not callable(function):
            raise ValueError(
                "`augment` must be a layer, a callable, or a dict `{modality: "
                f"layer or callable}}`. Received for '{name}': {function!r}"
            )
    return dict(augment)


def augmented(x, augmentation):
    """One view of a batch `{modality: tensor}`."""
    x = dict(x)
    for name, function in augmentation.items():
        is_layer = isinstance(function, keras.layers.Layer)
        x[name] = function(x[name], **({"training": True} if is_layer else {}))
    return x


def _default(name, tensor):
    dtype = getattr(tensor, "dtype", None)
    if dtype is None or not keras.backend.is_float_dtype(dtype):
        raise ValueError(
            f"There is no default augmentation for '{name}', which is not one "
            "tensor of floating-point numbers. Pass `augment`, for text "
            "`TokenDropout` with the id of its mask token. Received: "
            f"augment=None, '{name}' of type {dtype or type(tensor).__name__}"
        )
    rank = len(tensor.shape)
    if rank == 4:
        return layers.Pipeline(
            [
                layers.RandomFlip("horizontal"),
                layers.RandomTranslation(0.1, 0.1),
                layers.RandomZoom((-0.4, 0.0)),
            ]
        )
    return SpecAugment() if rank == 3 else ScaledGaussianNoise(0.5)
