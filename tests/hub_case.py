"""Backbones of keras-hub, as small as they can be."""

import keras
import keras_hub
import numpy as np
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


_TRANSFORMER = {"hidden_dim": 8, "num_layers": 2, "num_heads": 2}
_TEXT = {
    **_TRANSFORMER,
    "vocabulary_size": 20,
    "intermediate_dim": 16,
    "max_sequence_length": 6,
}
_CLIP_TEXT = {**_TEXT, "embedding_dim": 8}
_VISION = {"patch_size": 4, "image_shape": IMAGE, **_TRANSFORMER}
_WIDE_VISION = {**_VISION, "intermediate_dim": 16}
_DINO = {**_WIDE_VISION, "num_register_tokens": 2, "use_mask_token": False}

# Class in `keras_hub.models`: arguments. By modality.
IMAGES = {
    "ViTBackbone": {**_VISION, "mlp_dim": 16},
    "DINOV2Backbone": {**_DINO, "position_embedding_shape": (8, 8, 3)},
    "ResNetBackbone": {
        "input_conv_filters": [64],
        "input_conv_kernel_sizes": [3],
        "stackwise_num_filters": [64, 8],
        "stackwise_num_blocks": [1, 1],
        "stackwise_num_strides": [1, 2],
        "block_type": "basic_block",
    },
    "CLIPVisionEncoder": _WIDE_VISION,
}
MORE_IMAGES = {
    "DeiTBackbone": _WIDE_VISION,
    "DINOV3Backbone": _DINO,
    "SigLIPVisionEncoder": _WIDE_VISION,
    "MobileNetBackbone": {
        "stackwise_expansion": [[8, 8]],
        "stackwise_num_blocks": [2],
        "stackwise_num_filters": [[8, 8]],
        "stackwise_kernel_size": [[3, 3]],
        "stackwise_num_strides": [[2, 1]],
        "stackwise_se_ratio": [[None, 0.5]],
        "stackwise_activation": [["relu", "hard_swish"]],
        "stackwise_padding": [[1, 1]],
        "output_num_filters": 8,
        "depthwise_filters": 8,
        "depthwise_stride": 2,
        "depthwise_residual": False,
        "last_layer_filter": 8,
        "input_num_filters": 8,
        "image_shape": (32, 32, 3),
    },
    "EfficientNetBackbone": {
        "stackwise_width_coefficients": [1.0] * 2,
        "stackwise_depth_coefficients": [1.0] * 2,
        "stackwise_kernel_sizes": [3, 3],
        "stackwise_num_repeats": [1, 2],
        "stackwise_input_filters": [8, 8],
        "stackwise_output_filters": [8, 8],
        "stackwise_expansion_ratios": [1, 2],
        "stackwise_squeeze_and_excite_ratios": [0.0, 0.25],
        "stackwise_strides": [1, 2],
        "stackwise_block_types": ["fused", "unfused"],
        "stackwise_force_input_filters": [0, 0],
        "stackwise_nores_option": [False, False],
    },
}
TEXTS = {
    "BertBackbone": _TEXT,
    "RobertaBackbone": _TEXT,
    "CLIPTextEncoder": _CLIP_TEXT,
}
MORE_TEXTS = {"DistilBertBackbone": _TEXT, "SigLIPTextEncoder": _CLIP_TEXT}
AUDIOS = {
    "WhisperBackbone": {
        **_TRANSFORMER,
        "vocabulary_size": 20,
        "intermediate_dim": 16,
        "num_mels": 4,
        "max_encoder_sequence_length": 20,
        "max_decoder_sequence_length": 6,
    },
    "MoonshineBackbone": {
        "vocabulary_size": 20,
        "filter_dim": 8,
        "encoder_num_layers": 2,
        "decoder_num_layers": 1,
        "hidden_dim": 8,
        "intermediate_dim": 16,
        "encoder_num_heads": 2,
        "decoder_num_heads": 2,
    },
}
VIDEOS = {
    "VideoPrismBackbone": {
        "num_frames": 2,
        "patch_size": 4,
        "hidden_dim": 8,
        "intermediate_dim": 16,
        "num_heads": 2,
        "num_spatial_layers": 1,
        "num_temporal_layers": 1,
        "num_auxiliary_layers": 0,
        "image_shape": IMAGE,
    },
}


def make(name, seed=0, **arguments):
    """A backbone by its class, with the same weights on every backend."""
    for group in (IMAGES, MORE_IMAGES, TEXTS, MORE_TEXTS, AUDIOS, VIDEOS):
        arguments = {**group.get(name, {}), **arguments}
    backbone = getattr(keras_hub.models, name)(**arguments)
    rng = np.random.default_rng(seed)
    for weight in backbone.weights:
        if "float" not in weight.dtype:
            continue
        if weight.name.startswith("interpolated"):
            continue
        start = keras.ops.convert_to_numpy(weight)
        noise = 0.2 * rng.normal(size=start.shape)
        if np.ptp(start) == 0:  # Variances and scales stay positive.
            noise = start + noise**2
        weight.assign(noise)
        if weight.name == "position_embeddings":
            # The other is made from it, and again when it is loaded.
            found = weight.path.replace(
                weight.name, f"interpolated_{weight.name}"
            )
            (other,) = (w for w in backbone.weights if w.path == found)
            other.assign(noise)
    return backbone
