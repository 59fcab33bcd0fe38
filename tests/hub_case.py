"""Backbones of keras-hub, as small as they can be."""

import keras
import keras_hub
from keras import layers

PROMPTS = [[1, 2 + k, 19, 0] for k in range(7)]
IMAGE = (8, 8, 3)


def clip(width=8):
    size = {
        "hidden_dim": 8,
        "num_layers": 1,
        "num_heads": 2,
        "intermediate_dim": 16,
    }
    return keras_hub.models.CLIPBackbone(
        keras_hub.models.CLIPVisionEncoder(
            patch_size=4, image_shape=IMAGE, **size
        ),
        keras_hub.models.CLIPTextEncoder(
            vocabulary_size=20, embedding_dim=8, max_sequence_length=6, **size
        ),
        projection_dim=width,
    )


def tokenizer():
    pieces = [*"gobad", "d</w>", "go", "goo", "ba", "good</w>", "bad</w>"]
    ends = {"<|startoftext|>": 1, "<|endoftext|>": 19}
    return keras_hub.models.CLIPTokenizer(
        vocabulary={piece: 2 + i for i, piece in enumerate(pieces)} | ends,
        merges=["g o", "go o", "goo d</w>", "b a", "ba d</w>"],
    )


def roberta_student(units=1):
    """A student that reads `x["text"]`, token ids and a mask."""
    backbone = keras_hub.models.RobertaBackbone(
        vocabulary_size=20,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_sequence_length=6,
    )
    inputs = {
        name: keras.Input((None,), dtype="int32", name=name)
        for name in ("token_ids", "padding_mask")
    }
    x = layers.Dropout(0.1)(backbone(inputs)[:, 0])
    return keras.Model({"text": inputs}, layers.Dense(units)(x))
