import keras

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.models.encoder import Encoder
from keras_xkd.typing import DTypeLike, PathLike, Pooling, Trainable, Transform


@keras_xkd_export("keras_xkd.models.image_encoder")
def image_encoder(
    backbone: keras.layers.Layer | PathLike,
    modality: str = "image",
    pooling: Pooling = "mean",
    trainable: Trainable = "all",
    lora_rank: int | None = None,
    projection_dim: int | None = None,
    preprocessor: Transform | None = None,
    name: str | None = None,
    dtype: DTypeLike | None = None,
) -> Encoder:
    """An encoder of images from a backbone.

    ViT, DeiT, DINO, CLIP, SigLIP, ResNet, MobileNet, EfficientNet and the like
    of keras-hub, or any model of your own. It reads `{"image": (batch, height,
    width, channels)}`. See `keras_xkd.models.Encoder` for the rules.

    Example:

    ```python
    encoder = keras_xkd.models.image_encoder(
        "vit_base_patch16_224_imagenet", pooling="cls", trainable=2
    )
    ```

    >>> import keras, numpy as np
    >>> from keras_xkd.models import image_encoder
    >>> inputs = keras.Input((8, 8, 3))
    >>> backbone = keras.Model(inputs, keras.layers.Conv2D(4, 2, 2)(inputs))
    >>> outputs = image_encoder(backbone)({"image": np.ones((2, 8, 8, 3))})
    >>> {name: tuple(outputs[name].shape) for name in sorted(outputs)}
    {'features': (2, 4), 'tokens': (2, 16, 4)}

    Args:
        backbone: A backbone of keras-hub, a built Functional or Sequential
            model, or the name or folder of a preset.
        modality: Name of the modality.
        pooling: `"mean"`, `"cls"`, `"max"` or `"attention"`.
        trainable: `"all"`, `"none"`, or how many of the last blocks learn.
        lora_rank: Rank of LoRA in what learns, or None.
        projection_dim: Width of a linear projection of the features, or None.
        preprocessor: An image converter; that of the preset by default.
        name, dtype: See `Encoder`.

    Returns:
        A `keras_xkd.models.Encoder`.

    Raises:
        ValueError: See `Encoder`; for example, if there is no class token.
    """
    return Encoder(
        backbone,
        "image",
        modality=modality,
        pooling=pooling,
        trainable=trainable,
        lora_rank=lora_rank,
        projection_dim=projection_dim,
        preprocessor=preprocessor,
        name=name,
        dtype=dtype,
    )
