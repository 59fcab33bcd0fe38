import os
from typing import Any
from typing import Literal
from typing import Self

import keras

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.layers.token_pooling import TokenPooling
from keras_xkd.models import encoder_graph
from keras_xkd.models import freezing
from keras_xkd.models.backbone_parts import check_kind
from keras_xkd.models.backbone_parts import max_length
from keras_xkd.models.backbone_parts import part_for
from keras_xkd.models.class_tokens import count_leading_tokens
from keras_xkd.models.class_tokens import find_class_token
from keras_xkd.models.lora_state import LoraState
from keras_xkd.models.preprocessing import preprocess
from keras_xkd.models.preprocessing import saved_preprocessor
from keras_xkd.models.presets import is_preset
from keras_xkd.models.presets import open_backbone
from keras_xkd.models.presets import open_preprocessing
from keras_xkd.typing import (
    DTypeLike,
    PathLike,
    Pooling,
    Temporal,
    Tensor,
    Trainable,
    Transform,
)
from keras_xkd.utils.modalities import select_modalities

KINDS = ("image", "text", "audio", "video")
POOLINGS = ("cls", "mean", "max", "attention")


@keras_xkd_export("keras_xkd.models.Encoder")
class Encoder(keras.Model):
    """A backbone as an encoder of one modality.

    `image_encoder`, `text_encoder`, `audio_encoder` and `video_encoder` make
    encoders. An encoder is a Functional model. It reads `{modality: tensor}`,
    or `{modality: {name: tensor}}` where the backbone needs more than one
    tensor, and picks them from a batch with other modalities. It returns
    `{"features": (batch, width), "tokens": (batch, tokens, width)}`: the
    tokens are what the backbone returns, those of padding included, with a
    Keras mask that says which are there; the features are pooled from them.
    Padded positions, whatever they hold, never change features (of text, if
    the backbone reads the mask, or only looks back), and a sample of padding
    alone has features of zeros. Nor does the amount of padding, if the backbone
    sees no further than its tokens; but strided convolutions with
    `padding="same"` split padding by the whole length, and Moonshine's own
    normalisation over time makes features drift with it.

    **What the backbone returns** decides what tokens are:

    | output | tokens |
    |---|---|
    | `(B, T, D)` | as they are |
    | `(B, h, w, D)`, `(B, F, P, D)` | all positions in a row |
    | `(B, D)` | the last positions before the backbone's own pooling, if its graph shows them, else one. The features are the output itself; `pooling` has no effect |
    | a dict | the entry with positions that needs the fewest inputs (an encoder's, not its decoder's) and has the most layers behind it. An entry `"features"` is taken as pooled |

    A backbone of several modalities (CLIP, SigLIP) gives its `vision_encoder`
    or `text_encoder`, one with a decoder (Whisper, Moonshine) its encoder: a
    copy, so that nothing of the rest is kept. Any other backbone is part of
    the encoder itself: training, freezing or LoRA change the one that was
    passed, as in the tasks of keras-hub.

    **Class tokens.** What comes before the patches of an image (class token,
    registers) is not part of `"mean"`, `"max"` and `"attention"`. `"cls"` is
    the first token of images and texts. In a text encoder whose tokens see
    only what is before them (CLIP) it is the last one that is there, the end
    of the text.

    Example:

    >>> import keras, numpy as np
    >>> from keras_xkd.models import Encoder
    >>> inputs = keras.Input((8, 8, 3))
    >>> backbone = keras.Model(inputs, keras.layers.Conv2D(4, 2, 2)(inputs))
    >>> encoder = Encoder(backbone, "image", projection_dim=5)
    >>> outputs = encoder({"image": np.ones((2, 8, 8, 3))})
    >>> {name: tuple(outputs[name].shape) for name in sorted(outputs)}
    {'features': (2, 5), 'tokens': (2, 16, 4)}

    Args:
        backbone: A backbone of keras-hub, or a built Functional or Sequential
            model; or the name or folder of a preset of keras-hub.
        kind: `"image"`, `"text"`, `"audio"` or `"video"`.
        modality: Name of the modality; `kind` by default.
        pooling: `"cls"`, `"mean"`, `"max"` or `"attention"` (learned).
        temporal: For a video that an image backbone sees frame by frame, the
            `kind` of `keras_xkd.layers.TemporalPooling` over the features of
            the frames, which are the tokens then; `"mean"` by default.
        mask: Whether audio or video comes as `{"frames": tensor,
            "padding_mask": (batch, frames)}`. Text always has a mask.
        front_end: A layer from `(batch, samples)` to what the backbone reads.
        trainable: `"all"`, `"none"`, or how many of the backbone's last
            blocks learn. `"all"` leaves the flags of its layers as they are.
            Pooling, projection and front end always learn.
        lora_rank: If given, what learns in the backbone learns by LoRA of
            this rank: in every layer with `enable_lora`, but embeddings. All
            else in the backbone is frozen, biases too.
        projection_dim: Width of a linear projection, without bias, of the
            features. None for features as wide as the tokens.
        preprocessor: What `preprocess` uses: a tokenizer, a converter or
            another layer of keras-hub, which is saved with the encoder, or a
            function from raw data, as they are, to what the encoder reads,
            which is not; that of the preset by default.
        class_token: `"first"` or `"last"`, which token `"cls"` is. Found out
            by default.
        leading_tokens: How many tokens of an image come before its patches.
            Found out by default.
        name, dtype: See `keras.Model`; `dtype` is that of what is added to
            the backbone.

    Raises:
        ValueError: If an argument is unknown or does not fit the backbone: if
            it reads other data, has no class token, layer for LoRA, or blocks.
    """  # noqa: E501

    def __init__(
        self,
        backbone: keras.layers.Layer | PathLike,
        kind: Literal["image", "text", "audio", "video"],
        modality: str | None = None,
        pooling: Pooling = "mean",
        temporal: Temporal | None = None,
        mask: bool = False,
        front_end: keras.layers.Layer | None = None,
        trainable: Trainable = "all",
        lora_rank: int | None = None,
        projection_dim: int | None = None,
        preprocessor: Transform | None = None,
        class_token: Literal["first", "last"] | None = None,
        leading_tokens: int | None = None,
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        _check("kind", kind, KINDS)
        _check("pooling", pooling, POOLINGS)
        freezing.check_trainable(trainable, lora_rank)
        if mask and kind not in ("audio", "video"):
            raise ValueError(
                f"`mask` is for audio and video. Received: kind={kind!r}"
            )
        preset = os.fspath(backbone) if is_preset(backbone) else None
        backbone = open_backbone(backbone)
        network = part_for(backbone, kind)
        check_kind(network, kind)
        if preset and preprocessor is None and front_end is None:
            preprocessor = open_preprocessing(preset, kind)
        over_frames = encoder_graph.reads_frames(network, kind)
        if temporal is not None and not over_frames:
            raise ValueError(
                "`temporal` is for videos that a backbone of images sees frame "
                f"by frame. Received: temporal={temporal!r} with "
                f"'{network.name}'"
            )
        if leading_tokens is None:
            leading_tokens = 0
            if kind == "image" or over_frames:
                leading_tokens = count_leading_tokens(network)
        if pooling == "cls" and class_token is None:
            class_token = find_class_token(
                backbone, network, kind, leading_tokens
            )
        frozen = freezing.plan_freezing(network, trainable)
        with_lora = lora_rank and freezing.plan_lora(network, frozen)

        policy = keras.dtype_policies.get(dtype)
        pool = TokenPooling(
            class_token if pooling == "cls" else pooling,  # type: ignore[arg-type]
            skip=leading_tokens,
            dtype=policy,
        )
        modality = modality or kind
        inputs, tensors, there = encoder_graph.make_inputs(
            network, kind, modality, mask, front_end
        )
        if over_frames:
            tokens, features = encoder_graph.encode_frames(
                network, tensors, there, pool, temporal or "mean", policy
            )
        else:
            tokens, features = encoder_graph.encode(
                network, tensors, there, pool
            )
        features = encoder_graph.project(features, projection_dim, policy)
        outputs = {"features": features, "tokens": tokens}
        super().__init__(inputs, outputs, name=name)
        self.dtype_policy = policy
        self.backbone = network
        self.front_end = front_end
        self.preprocessor = preprocessor
        self.preset = preset
        self.modalities = (modality,)
        self.max_length = max_length(backbone, kind)
        self.arguments = {
            "kind": kind,
            "modality": modality,
            "pooling": pooling,
            "temporal": temporal,
            "mask": mask,
            "projection_dim": projection_dim,
            "class_token": class_token,
            "leading_tokens": leading_tokens,
        }
        self.lora_state = LoraState(self)
        for layer in frozen:
            layer.trainable = False
        if with_lora:
            freezing.start_lora(network, with_lora, lora_rank)

    preprocess = preprocess

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        # A Functional model reads other modalities of a batch for its own.
        inputs = select_modalities(inputs, self)
        return super().__call__(inputs, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        parts = {
            "backbone": self.backbone,
            "front_end": self.front_end,
            "preprocessor": saved_preprocessor(self),
        }
        return {
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            **self.arguments,
            **{key: serialize(part) for key, part in parts.items()},
            "preset": self.preset,
            "max_length": self.max_length,
            "learning": freezing.state_of(self),
        }

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,
    ) -> Self:
        config = {
            key: keras.saving.deserialize_keras_object(
                value, custom_objects=custom_objects
            )
            for key, value in config.items()
        }
        preset, max_length, learning = (
            config.pop(key) for key in ("preset", "max_length", "learning")
        )
        encoder = cls(**config)
        encoder.preset, encoder.max_length = preset, max_length
        freezing.restore(encoder, learning)
        return encoder


def _check(name, value, choices):
    if value not in choices:
        raise ValueError(
            f"`{name}` must be one of {choices}. Received: {name}={value!r}"
        )
