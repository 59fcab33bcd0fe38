"""What `PromptedCLIP` takes from a CLIP backbone of keras-hub."""

import math
import os

import keras
import numpy as np
from keras import ops

from keras_xkd.backend import no_gradient


def open_backbone(backbone, tokenizer, prompts):
    """The backbone, and token ids or features in the place of strings."""
    prompts = np.asarray(prompts)
    preset = isinstance(backbone, (str, os.PathLike))
    if prompts.dtype.kind == "U":
        if tokenizer is None and not preset:
            raise ValueError(
                "Prompts that are strings need a `tokenizer`, or a preset as "
                f"`backbone`. Received: backbone={backbone}"
            )
        if tokenizer is None:
            tokenizer = import_keras_hub().models.CLIPTokenizer.from_preset(
                backbone
            )
        prompts = _tokenize(prompts, tokenizer)
    if preset:
        backbone = import_keras_hub().models.CLIPBackbone.from_preset(backbone)
    return backbone, prompts


def encode(prompts, backbone):
    """The text features of prompts, `(prompts, width)`; runs the text tower."""
    if prompts.ndim != 2 or prompts.dtype.kind not in "iuf":
        raise ValueError(
            "`prompts` must be strings, token ids of shape `(prompts, length)` "
            "or features of shape `(prompts, width)`. Received: an array of "
            f"shape {prompts.shape} and type {prompts.dtype}"
        )
    if prompts.dtype.kind == "f":
        return prompts
    if not _is_clip(backbone):
        raise ValueError(
            "Token ids need a `keras_hub.models.CLIPBackbone`; with another "
            "image encoder pass the text features of the prompts. Received: "
            f"backbone={backbone}"
        )
    encoder = backbone.text_encoder
    longest, tokens = encoder.max_sequence_length, encoder.vocabulary_size
    if (
        prompts.shape[1] > longest
        or prompts.min() < 0
        or prompts.max() >= tokens
    ):
        raise ValueError(
            f"CLIP reads prompts of at most {longest} tokens, start and end "
            f"included, with ids below {tokens}. Received: prompts of "
            f"{prompts.shape[1]} tokens, ids from {prompts.min()} to "
            f"{prompts.max()}"
        )
    ids = ops.convert_to_tensor(prompts, "int32")
    features = no_gradient(backbone.get_text_embeddings, ids)
    return ops.convert_to_numpy(ops.cast(features, "float32"))


def image_tower(backbone):
    """A model from images to features.

    That of a backbone is a copy: the layers of the backbone's own graph hold
    on to the text tower, which is nearly half of CLIP.
    """
    if not _is_clip(backbone):
        return backbone
    images = keras.Input(backbone.vision_encoder.image_shape, name="images")
    features = backbone.get_vision_embeddings(images)
    shared = keras.Model(images, features, name="image_tower")
    tower = keras.models.clone_model(shared)
    tower.set_weights(shared.get_weights())
    freeze(tower, frozen_layers(shared))
    return tower


def frozen_layers(model):
    """Which layers of a model, at any depth, are marked as not trainable."""
    flags = [layer.trainable for layer in model._flatten_layers()]
    return [i for i, trainable in enumerate(flags) if not trainable]


def freeze(model, layers):
    """Marks the `frozen_layers` of a model of the same form."""
    all_layers = list(model._flatten_layers())
    for i in layers:
        all_layers[i].trainable = False


def log_scale(backbone):
    """The logarithm of CLIP's scale of cosines; where CLIP itself started."""
    if not _is_clip(backbone):
        return math.log(1 / 0.07)
    return float(ops.convert_to_numpy(backbone.clip_head.logit_scale))


def _is_clip(backbone):
    return hasattr(backbone, "get_text_embeddings")


def _tokenize(texts, tokenizer):
    """Token ids `(texts, length)` in CLIP's form, padded with zeros."""
    rows = [
        [
            tokenizer.start_token_id,
            *np.asarray(tokenizer(str(text).lower())).ravel(),
            tokenizer.end_token_id,
        ]
        for text in texts.ravel()
    ]
    ids = np.zeros((len(rows), max(map(len, rows))), "int32")
    for row, tokens in zip(ids, rows, strict=True):
        row[: len(tokens)] = tokens
    return ids


def import_keras_hub():
    """The package keras-hub, or an error that names the extra."""
    try:
        import keras_hub
    except ImportError as error:
        raise ImportError(
            "Backbones, presets and tokenizers of CLIP need keras-hub, which "
            "is not installed. Install it, or the extra `hub` of this package: "
            '`pip install "keras-xkd[hub]"`.',
            name="keras_hub",
        ) from error
    return keras_hub
