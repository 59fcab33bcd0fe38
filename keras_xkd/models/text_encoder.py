import keras

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.models.encoder import Encoder
from keras_xkd.typing import DTypeLike, PathLike, Pooling, Trainable, Transform


@keras_xkd_export("keras_xkd.models.text_encoder")
def text_encoder(
    backbone: keras.layers.Layer | PathLike,
    modality: str = "text",
    pooling: Pooling = "mean",
    trainable: Trainable = "all",
    lora_rank: int | None = None,
    projection_dim: int | None = None,
    preprocessor: Transform | None = None,
    name: str | None = None,
    dtype: DTypeLike | None = None,
) -> Encoder:
    """An encoder of text from a backbone.

    BERT, RoBERTa, DistilBERT, CLIP, SigLIP and the like of keras-hub, or any
    model of your own that reads token ids. It reads `{"text": {"token_ids":
    ids, "padding_mask": mask}}`, both `(batch, length)`, and `"segment_ids"`
    where the backbone does. The mask is 1 for the tokens that are there; it
    is always needed, but some backbones do not read it: CLIP sees no padding
    that comes last, SigLIP expects that of its tokenizer. See
    `keras_xkd.models.Encoder` for the rules.

    Example:

    ```python
    encoder = keras_xkd.models.text_encoder("bert_tiny_en_uncased")
    ```

    >>> import keras, numpy as np
    >>> from keras_xkd.models import text_encoder
    >>> backbone = keras.Sequential(
    ...     [keras.Input((None,), dtype="int32"), keras.layers.Embedding(9, 4)]
    ... )
    >>> encoder = text_encoder(backbone)
    >>> ids, mask = np.array([[3, 5, 0]]), np.array([[1, 1, 0]])
    >>> outputs = encoder({"text": {"token_ids": ids, "padding_mask": mask}})
    >>> {name: tuple(outputs[name].shape) for name in sorted(outputs)}
    {'features': (1, 4), 'tokens': (1, 3, 4)}

    Args:
        backbone: A backbone of keras-hub, a built Functional or Sequential
            model, or the name or folder of a preset.
        modality: Name of the modality.
        pooling: `"mean"` over all tokens that are there, as sentence encoders
            do; `"cls"`, `"max"` or `"attention"`.
        trainable: `"all"`, `"none"`, or how many of the last blocks learn.
        lora_rank: Rank of LoRA in what learns, or None.
        projection_dim: Width of a linear projection of the features, or None.
        preprocessor: A tokenizer; that of the preset by default.
        name, dtype: See `Encoder`.

    Returns:
        A `keras_xkd.models.Encoder`.

    Raises:
        ValueError: See `Encoder`.
    """
    return Encoder(
        backbone,
        "text",
        modality=modality,
        pooling=pooling,
        trainable=trainable,
        lora_rank=lora_rank,
        projection_dim=projection_dim,
        preprocessor=preprocessor,
        name=name,
        dtype=dtype,
    )
