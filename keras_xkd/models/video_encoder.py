import keras

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.models.encoder import Encoder
from keras_xkd.typing import (
    DTypeLike,
    PathLike,
    Pooling,
    Temporal,
    Trainable,
    Transform,
)


@keras_xkd_export("keras_xkd.models.video_encoder")
def video_encoder(
    backbone: keras.layers.Layer | PathLike,
    modality: str = "video",
    pooling: Pooling = "mean",
    temporal: Temporal | None = None,
    mask: bool = False,
    trainable: Trainable = "all",
    lora_rank: int | None = None,
    projection_dim: int | None = None,
    preprocessor: Transform | None = None,
    name: str | None = None,
    dtype: DTypeLike | None = None,
) -> Encoder:
    """An encoder of videos from a backbone of videos or of images.

    It reads `{"video": (batch, frames, height, width, channels)}`. VideoPrism,
    and any model that reads such a tensor, sees the video at once: the tokens
    are the patches of all frames. Any backbone of images sees it frame by
    frame: `pooling` makes one vector of a frame, these are the tokens, and
    `temporal` makes one of all frames. See `keras_xkd.models.Encoder` for the
    rules.

    Example:

    ```python
    encoder = keras_xkd.models.video_encoder(
        "dinov2_small", pooling="cls", temporal="transformer"
    )
    ```

    >>> import keras, numpy as np
    >>> from keras_xkd.models import video_encoder
    >>> inputs = keras.Input((8, 8, 3))
    >>> backbone = keras.Model(inputs, keras.layers.Conv2D(4, 2, 2)(inputs))
    >>> encoder = video_encoder(backbone, temporal="attention")
    >>> outputs = encoder({"video": np.ones((2, 5, 8, 8, 3))})
    >>> {name: tuple(outputs[name].shape) for name in sorted(outputs)}
    {'features': (2, 4), 'tokens': (2, 5, 4)}

    Args:
        backbone: A backbone of keras-hub, a built Functional or Sequential
            model, or the name or folder of a preset.
        modality: Name of the modality.
        pooling: `"mean"`, `"max"`, `"attention"`, or `"cls"` of a backbone of
            images that has a class token.
        temporal: `"mean"` (the default), `"attention"` or `"transformer"`,
            see `keras_xkd.layers.TemporalPooling`; for backbones of images.
        mask: Whether the encoder reads `{"frames": tensor, "padding_mask":
            (batch, frames)}`. What is not there is zeros to the backbone, and
            pooling leaves it out.
        trainable: `"all"`, `"none"`, or how many of the last blocks learn.
        lora_rank: Rank of LoRA in what learns, or None.
        projection_dim: Width of a linear projection of the features, or None.
        preprocessor: An image or video converter; that of the preset by
            default.
        name, dtype: See `Encoder`.

    Returns:
        A `keras_xkd.models.Encoder`.

    Raises:
        ValueError: See `Encoder`.
    """
    return Encoder(
        backbone,
        "video",
        modality=modality,
        pooling=pooling,
        temporal=temporal,
        mask=mask,
        trainable=trainable,
        lora_rank=lora_rank,
        projection_dim=projection_dim,
        preprocessor=preprocessor,
        name=name,
        dtype=dtype,
    )
