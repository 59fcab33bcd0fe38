import keras

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.models.encoder import Encoder
from keras_xkd.typing import DTypeLike, PathLike, Pooling, Trainable, Transform


@keras_xkd_export("keras_xkd.models.audio_encoder")
def audio_encoder(
    backbone: keras.layers.Layer | PathLike,
    modality: str = "audio",
    pooling: Pooling = "mean",
    mask: bool = False,
    front_end: keras.layers.Layer | None = None,
    trainable: Trainable = "all",
    lora_rank: int | None = None,
    projection_dim: int | None = None,
    preprocessor: Transform | None = None,
    name: str | None = None,
    dtype: DTypeLike | None = None,
) -> Encoder:
    """An encoder of audio from a backbone.

    What it reads depends on the backbone: Whisper `{"audio": (batch, frames,
    mels)}`; Moonshine `{"audio": {"encoder_input_values": (batch, samples),
    "encoder_padding_mask": (batch, samples)}}`; a model of your own what that
    reads. With a `front_end` it is raw audio, `{"audio": (batch, samples)}`.
    Of a backbone with a decoder, as these have, only the encoder is kept. See
    `keras_xkd.models.Encoder` for the rules.

    Example:

    ```python
    encoder = keras_xkd.models.audio_encoder("whisper_tiny_en")
    ```

    >>> import keras, numpy as np
    >>> from keras_xkd.models import audio_encoder
    >>> inputs = keras.Input((None, 6))
    >>> backbone = keras.Model(inputs, keras.layers.Conv1D(4, 2, 2)(inputs))
    >>> encoder = audio_encoder(backbone, mask=True)
    >>> frames = {"frames": np.ones((2, 8, 6)), "padding_mask": np.ones((2, 8))}
    >>> outputs = encoder({"audio": frames})
    >>> {name: tuple(outputs[name].shape) for name in sorted(outputs)}
    {'features': (2, 4), 'tokens': (2, 4, 4)}

    Args:
        backbone: A backbone of keras-hub, a built Functional or Sequential
            model, or the name or folder of a preset.
        modality: Name of the modality.
        pooling: `"mean"`, `"max"` or `"attention"`. Audio backbones have no
            class token.
        mask: Whether the encoder reads `{"frames": tensor, "padding_mask":
            (batch, frames)}`, with samples in the place of frames if there is
            a front end. What is not there is zeros to the backbone, and
            pooling leaves it out. A backbone that reads a mask does anyway.
        front_end: A layer from `(batch, samples)` to `(batch, frames, mels)`,
            such as a log-mel spectrogram, kept in the saved encoder.
        trainable: `"all"`, `"none"`, or how many of the last blocks learn.
        lora_rank: Rank of LoRA in what learns, or None.
        projection_dim: Width of a linear projection of the features, or None.
        preprocessor: An audio converter; that of the preset by default.
        name, dtype: See `Encoder`.

    Returns:
        A `keras_xkd.models.Encoder`.

    Raises:
        ValueError: See `Encoder`.
    """
    return Encoder(
        backbone,
        "audio",
        modality=modality,
        pooling=pooling,
        mask=mask,
        front_end=front_end,
        trainable=trainable,
        lora_rank=lora_rank,
        projection_dim=projection_dim,
        preprocessor=preprocessor,
        name=name,
        dtype=dtype,
    )
