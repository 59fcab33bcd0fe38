from collections.abc import Sequence
from typing import Any
from typing import Self

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.layers.prompt_decoder import PromptDecoder
from keras_xkd.layers.temporal_pooling import TemporalPooling
from keras_xkd.losses.numerics import unit
from keras_xkd.losses.numerics import upcast
from keras_xkd.models import clip_parts
from keras_xkd.typing import Inputs, PathLike, Temporal, Tensor, Transform
from keras_xkd.utils.score_scale import check_class_values


@keras_xkd_export("keras_xkd.models.PromptedCLIP")
class PromptedCLIP(keras.Model):
    """CLIP that scores a video by prompts which have seen it.

    The frames go through the image encoder and a temporal transformer, whose
    mean over time is the video's feature `v`. One prompt stands for each class
    k; a decoder lets its text feature look at the frames (`p_k`). Then

    ```
    l_k = exp(log_scale) cos(v, p_k)                  logits of the classes
    E = sum_k softmax(l)_k value_k                    expected value
    r = w . [v ; sum_k softmax(l)_k p_k] + b          score
    ```

    That CLIP with prompts enhanced by the video gives classification logits
    and a regression logit is what VideoAdviser states; the construction is
    this package's choice. The text encoder is asked once, here, and not
    kept: the features of the prompts are a constant weight. The image encoder
    is a copy of that of CLIP, and is trained unless told otherwise.

    Categories without an order, `class_values=None`, are this package's
    adaptation for retrieval: the score then has one number per class, logits
    of a categorical head, and there is no expected value.

    Example:

    ```python
    teacher = keras_xkd.models.PromptedCLIP(
        "clip_vit_base_patch16",
        [f"a person who feels {mood}" for mood in (
            "awful", "bad", "slightly bad", "neutral",
            "slightly good", "good", "wonderful",
        )],
    )
    teacher(np.ones((1, 8, 224, 224, 3)))["score"]
    ```

    With an image encoder of one's own, and prompts encoded before:

    >>> import keras, numpy as np
    >>> from keras_xkd.models import PromptedCLIP
    >>> images = keras.Input((8, 8, 3))
    >>> features = keras.layers.Dense(4)(keras.layers.Flatten()(images))
    >>> teacher = PromptedCLIP(
    ...     keras.Model(images, features), np.eye(3, 4),
    ...     class_values=(-1, 0, 1), num_heads=2,
    ... )
    >>> outputs = teacher(np.ones((2, 5, 8, 8, 3)))
    >>> [tuple(outputs[name].shape) for name in ("logits", "score")]
    [(2, 3), (2, 1)]

    Args:
        backbone: A `keras_hub.models.CLIPBackbone`, or the name or folder of
            one of its presets. Or a model from images to features of shape
            `(batch, width)`, with prompts that are features already.
        prompts: K prompts, two at least, one for each class: strings; or
            token ids `(K, length)`, padded with 0; or text features
            `(K, width)`.
        class_values: K numbers, from low to high: the values that the prompts
            stand for. By default -3 to 3, seven classes of sentiment. None
            for categories.
        tokenizer: For strings, a `keras_hub.models.CLIPTokenizer`; that of
            the preset by default.
        pooling: `kind` of the `TemporalPooling`.
        num_heads: Attention heads over time and in the decoder; divides the
            width.
        modality: Name of the modality.
        train_images: Whether the image encoder is trained, as far as its
            layers are `trainable`. If not, they are marked as not trainable;
            with a model in place of CLIP these are its own layers.
        **kwargs: `name` and `dtype`.

    Call arguments:
        x: `{modality: frames}`, or the bare frames: shape `(batch, frames,
            height, width, channels)`, prepared as the image encoder expects
            (`keras_hub.layers.CLIPImageConverter`). Or, in place of the
            frames, `{"frames": frames, "padding_mask": mask}` with a mask of
            shape `(batch, frames)`, 1 for the frames that are there.

    Returns:
        A dict: `logits` `(batch, K)`; `score` and `expectation`, both
        `(batch, 1)`, in units of the class values; `features` `(batch,
        width)`. All but the features are float32.

    Raises:
        ValueError: If there are fewer than two prompts, if prompts and class
            values differ in number, if class values do not rise, if prompts
            are too long, or if frames are missing or have another shape than
            the images of the encoder.
        ImportError: If a preset or a tokenizer is asked for without keras-hub.

    Reference:

    - [Wang et al., 2023](https://arxiv.org/abs/2309.15494)
    """

    def __init__(
        self,
        backbone: keras.layers.Layer | PathLike,
        prompts: Sequence[str] | ArrayLike,
        class_values: Sequence[float] | None = tuple(range(-3, 4)),
        tokenizer: Transform | None = None,
        pooling: Temporal = "transformer",
        num_heads: int = 8,
        modality: str = "video",
        train_images: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if class_values is not None:
            class_values = tuple(check_class_values(class_values))
        _check_prompts(prompts, class_values)
        self.class_values = class_values
        self.modalities = (modality,)
        self.arguments = {
            "pooling": pooling,
            "num_heads": num_heads,
            "modality": modality,
            "train_images": train_images,
        }
        backbone, prompts = clip_parts.open_backbone(
            backbone, tokenizer, prompts
        )
        features = clip_parts.encode(prompts, backbone)
        self.image_tower = clip_parts.image_tower(backbone)
        if not train_images:
            self.image_tower.trainable = False
        classes, width = features.shape
        if self.image_tower.output_shape != (None, width):
            raise ValueError(
                "The image encoder must return features as wide as those of "
                f"the prompts, {width}. Received: an encoder with outputs of "
                f"shape {self.image_tower.output_shape}"
            )
        policy = {"dtype": self.dtype_policy}
        self.temporal_pooling = TemporalPooling(
            pooling, num_heads=num_heads, **policy
        )
        self.temporal_pooling.build((None, None, width))
        self.prompt_decoder = PromptDecoder(num_heads=num_heads, **policy)
        self.prompt_decoder.build((classes, width), (None, None, width))
        self.prompts = self.add_weight(
            shape=(classes, width), trainable=False, name="prompts"
        )
        self.prompts.assign(features)
        self.log_scale = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(
                clip_parts.log_scale(backbone)
            ),
            name="log_scale",
            autocast=False,
        )
        units = classes if class_values is None else 1
        self.head = keras.layers.Dense(units, dtype="float32", name="head")
        self.head.build((None, 2 * width))
        self.built = True

    def call(
        self, x: Inputs, training: bool | None = None
    ) -> dict[str, Tensor]:
        video, mask = self._frames(x)
        frames = self._frame_features(video, mask, training)
        v = self.temporal_pooling(frames, mask=mask)
        p = self.prompt_decoder(self.prompts, frames, mask=mask)
        features = v
        v, p = upcast(v, p)
        cosines = ops.sum(unit(v)[:, None] * unit(p), axis=-1)
        logits = ops.exp(self.log_scale) * cosines
        shares = ops.softmax(logits)
        prompt = ops.sum(shares[:, :, None] * p, axis=1)
        score = self.head(ops.concatenate([v, prompt], axis=-1))
        outputs = {"logits": logits, "score": score, "features": features}
        if self.class_values is not None:
            values = ops.convert_to_tensor(self.class_values, logits.dtype)
            outputs["expectation"] = ops.matmul(shares, values[:, None])
        return outputs

    def _frames(self, x):
        """The frames in `x` and their mask, None without one."""
        modality = self.modalities[0]
        video = x.get(modality, x) if isinstance(x, dict) else x
        if not isinstance(video, dict):
            return video, None
        if "frames" not in video:
            raise ValueError(
                f"'{self.name}' reads `x['{modality}']`, frames or a dict with "
                f"the keys 'frames' and 'padding_mask'. Received: a dict with "
                f"the keys {sorted(video)}"
            )
        return video["frames"], video.get("padding_mask")

    def _frame_features(self, video, mask, training):
        """The image encoder's features, `(batch, frames, width)`."""
        video = ops.convert_to_tensor(video)
        shape = self.image_tower.input_shape[1:]
        if len(video.shape) != 5 or any(
            known is not None and size is not None and known != size
            for known, size in zip(shape, video.shape[2:])
        ):
            raise ValueError(
                f"'{self.name}' reads videos of shape `(batch, frames, "
                f"*{tuple(shape)})`. Received: shape {tuple(video.shape)}"
            )
        if mask is not None:  # Whatever padding holds, NaN included.
            there = ops.cast(mask, "bool")[:, :, None, None, None]
            video = ops.where(there, video, ops.zeros_like(video))
        sizes = ops.shape(video)
        images = ops.reshape(video, (-1, *sizes[2:]))
        features = self.image_tower(images, training=training)
        return ops.reshape(features, (-1, sizes[1], self.prompts.shape[1]))

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "backbone": keras.saving.serialize_keras_object(self.image_tower),
            "prompts": ops.convert_to_numpy(self.prompts).tolist(),
            "class_values": self.class_values,
            "frozen_layers": clip_parts.frozen_layers(self),
            **self.arguments,
        }

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,
    ) -> Self:
        backbone = keras.saving.deserialize_keras_object(
            config["backbone"], custom_objects=custom_objects
        )
        prompts = np.array(config["prompts"], "float32")
        arguments = {**config, "backbone": backbone, "prompts": prompts}
        frozen = arguments.pop("frozen_layers", ())
        model = cls(**arguments)
        clip_parts.freeze(model, frozen)
        return model


def _check_prompts(prompts, class_values):
    if isinstance(prompts, str) or len(prompts) < 2:
        raise ValueError(
            "`prompts` must be a list of two prompts or more. "
            f"Received: {prompts!r}"
        )
    if class_values is not None and len(class_values) != len(prompts):
        raise ValueError(
            f"Every prompt needs one class value. Received: {len(prompts)} "
            f"prompts and {len(class_values)} class values, {class_values}"
        )
