"""The small layers of an `Encoder` between its inputs and its outputs."""

import keras
from keras import ops

register = keras.saving.register_keras_serializable("keras_xkd")


class _AsTheyAre(keras.layers.Layer):
    """A layer that leaves the type of its inputs to the backbone."""

    def __init__(self, **kwargs):
        super().__init__(**{"autocast": False, **kwargs})
        self.supports_masking = True

    def get_config(self):
        return {**super().get_config(), "autocast": False}


@register
class ZeroPadding(_AsTheyAre):
    """Zeros in the place of padding, whatever it held, NaN included.

    Call arguments: `x` of shape `(batch, positions, ...)`, or `(batch, ...)`
    with one entry of the mask per sample; `there`, 1 for what is there.
    """

    def call(self, x, there):
        shape = ops.shape(there) + (1,) * (len(x.shape) - len(there.shape))
        there = ops.reshape(ops.cast(there, "bool"), shape)
        return ops.where(there, x, ops.zeros_like(x))

    def compute_output_spec(self, x, there):
        return keras.KerasTensor(x.shape, x.dtype)


@register
class TokenMask(_AsTheyAre):
    """Which tokens are there, from a mask of what the backbone read.

    A backbone has fewer tokens than inputs where it strides (Whisper: half as
    many as frames), and more where an input becomes several tokens (patches
    of a frame). A token is there if the last input that it needs is. So a
    clip has as many tokens as without padding, but at least one. Where the
    rule is not known, a token is there if the input that it starts at is, as
    far as the numbers of inputs and tokens tell.

    Args:
        stride, field, per_step: What `find_steps` returns; None if unknown.
        **kwargs: See `keras.layers.Layer`.

    Call arguments: `there`, shape `(batch, inputs)`; `x`, what the backbone
    returned, shape `(batch, steps, ..., width)`.

    Returns: A mask of shape `(batch, tokens)`.
    """

    def __init__(self, stride=None, field=None, per_step=None, **kwargs):
        super().__init__(**kwargs)
        self.stride = stride
        self.field = field
        self.per_step = per_step

    def call(self, there, x):
        there = ops.cast(there, "bool")
        some = ops.any(there, axis=1, keepdims=True)
        if len(x.shape) == 2:
            return some
        inputs, steps = ops.shape(there)[1], ops.shape(x)[1]
        starts = self._starts(inputs, steps)
        ends = starts if self.field is None else starts + (self.field - 1)
        found = ops.take(there, ops.clip(ends, 0, inputs - 1), axis=1)
        # Of a clip that no token fits in, the one that starts with it.
        first = ops.argmax(ops.cast(there, "int32"), axis=1)
        first = ops.cast(first, "int32")[:, None]
        start = ops.max(ops.where(starts <= first, starts, 0), axis=1)
        none = ops.logical_not(ops.any(found, axis=1, keepdims=True))
        short = ops.logical_and(starts == start[:, None], none)
        there = ops.logical_or(found, ops.logical_and(some, short))
        for _ in x.shape[2:-1]:
            there = there[..., None]
        there = ops.logical_and(there, ops.ones_like(x[..., 0], dtype="bool"))
        return ops.reshape(there, (ops.shape(there)[0], -1))

    def _starts(self, inputs, steps):
        """The input that each token starts at."""
        index = ops.arange(steps, dtype="int32")
        if self.stride is not None:
            return index // self.per_step * self.stride
        ratio = ops.cast(inputs, "float32") / ops.cast(steps, "float32")
        stride = ops.where(ratio > 1, ops.round(ratio), ratio)
        # The small number makes up for rounding of the ratio.
        index = ops.cast(index, "float32") * stride + 1e-3
        return ops.cast(index, "int32")

    def compute_output_spec(self, there, x):
        return keras.KerasTensor((x.shape[0], _tokens(x.shape)), "bool")

    def get_config(self):
        names = ("stride", "field", "per_step")
        own = {name: getattr(self, name) for name in names}
        return {**super().get_config(), **own}


@register
class ToTokens(_AsTheyAre):
    """Outputs `(batch, ..., width)` of a backbone as `(batch, tokens, width)`.

    The tokens carry `mask`, of shape `(batch, tokens)`, as their Keras mask.
    """

    def call(self, x, mask=None):
        if len(x.shape) == 2:
            return x[:, None, :]
        if len(x.shape) == 3:
            return x
        return ops.reshape(x, (ops.shape(x)[0], -1, x.shape[-1]))

    def compute_output_spec(self, x, mask=None):
        return keras.KerasTensor(
            (x.shape[0], _tokens(x.shape), x.shape[-1]), x.dtype
        )


@register
class OverFrames(_AsTheyAre):
    """Runs a network of images on every frame of a video.

    Args:
        network: A built model from images to features `(images, width)`.
        **kwargs: See `keras.layers.Layer`.

    Call arguments: `frames`, shape `(batch, frames, height, width, channels)`.

    Returns: Features of shape `(batch, frames, features)`.
    """

    def __init__(self, network, **kwargs):
        super().__init__(**kwargs)
        self.network = network

    def build(self, frames_shape):
        self.built = True

    def call(self, frames):
        sizes = ops.shape(frames)
        images = ops.reshape(frames, (-1, *sizes[2:]))
        features = self.network(images)
        return ops.reshape(features, (-1, sizes[1], features.shape[-1]))

    def compute_output_spec(self, frames):
        (image,) = self.network.inputs
        shape = (None, *frames.shape[2:])
        features = self.network(keras.KerasTensor(shape, image.dtype))
        return keras.KerasTensor(
            (*frames.shape[:2], features.shape[-1]), features.dtype
        )

    def get_config(self):
        network = keras.saving.serialize_keras_object(self.network)
        return {**super().get_config(), "network": network}

    @classmethod
    def from_config(cls, config):
        network = keras.saving.deserialize_keras_object(config["network"])
        return cls(**{**config, "network": network})


def _tokens(shape):
    """The number of tokens of outputs with this shape, None if unknown."""
    count = 1
    for size in shape[1:-1]:
        count = None if None in (count, size) else count * size
    return count
