"""The networks of the benchmarks of speed, in three sizes.

Every layer with weights has a name, so that the same network can be written in
a framework's own layers, and reads its weights from here.
"""

import dataclasses

import keras
from keras import layers
from keras import ops

SIZES = ("mlp", "conv", "transformer")


@dataclasses.dataclass(frozen=True)
class Shape:
    """How large a network is, and what it reads.

    Attributes:
        inputs: Shape of each modality, without the batch.
        width: Width of the (first) layers.
        blocks: Layers of the MLP, blocks of every stage of the convolutional
            network, or blocks of the transformer.
        stages: Stages of the convolutional network; each doubles the width.
        heads: Heads of attention.
        batch_size: Number of samples in a batch.
    """

    inputs: dict
    width: int
    blocks: int
    batch_size: int
    stages: int = 0
    heads: int = 0


# The convolutional network is a ResNet-18.
FULL = {
    "mlp": Shape({"audio": (32,), "image": (48,)}, 64, 3, 32),
    "conv": Shape(
        {"audio": (64, 64, 1), "image": (64, 64, 3)}, 64, 2, 16, stages=4
    ),
    "transformer": Shape(
        {"audio": (128, 64), "image": (128, 48)}, 256, 12, 8, heads=4
    ),
}
TINY = {
    "mlp": Shape({"audio": (6,), "image": (8,)}, 8, 2, 8),
    "conv": Shape({"audio": (8, 8, 1), "image": (8, 8, 3)}, 4, 1, 4, stages=2),
    "transformer": Shape({"audio": (5, 4), "image": (5, 3)}, 8, 2, 4, heads=2),
}


class Positions(layers.Layer):
    """Adds a learned vector to every position."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=input_shape[1:], name="kernel")

    def call(self, inputs):
        return inputs + self.kernel

    def compute_output_shape(self, input_shape):
        return input_shape


def network(size, shape, modalities, classes=None, name=None):
    """A network that reads modalities together, from their first layer on.

    Args:
        size: One of `SIZES`.
        shape: A `Shape`.
        modalities: Names of what it reads; concatenated on the last axis.
        classes: Number of classes, or None for an encoder without a head.
        name: Name of the model.

    Returns:
        A Keras model `{modality: tensor} -> {"features", "logits"}`.
    """
    inputs = {
        m: keras.Input(input_shape(shape.inputs[m]), name=m) for m in modalities
    }
    x = list(inputs.values())
    axis = _channels() if size == "conv" else -1
    x = x[0] if len(x) == 1 else layers.Concatenate(axis, name="join")(x)
    trunk = {"mlp": _mlp, "conv": _resnet, "transformer": _transformer}[size]
    x = trunk(x, shape)
    outputs = {"features": x}
    if classes:
        outputs["logits"] = layers.Dense(classes, name="head")(x)
    return keras.Model(inputs, outputs, name=name)


def input_shape(shape):
    """The shape of a modality; that of images as Keras is configured."""
    if len(shape) == 3 and _channels() == 1:
        return (shape[-1], *shape[:-1])
    return shape


def _channels():
    """The axis of the channels of images."""
    return 1 if keras.config.image_data_format() == "channels_first" else -1


def _mlp(x, shape):
    for i in range(shape.blocks):
        # The last layer has the name by which `features` are found.
        name = "features" if i + 1 == shape.blocks else f"dense_{i}"
        x = layers.Dense(shape.width, "relu", name=name)(x)
    return x


def _resnet(x, shape):
    x = _conv(x, shape.width, 7, 2, "stem")
    x = layers.ReLU()(_norm(x, "stem_norm"))
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))
    for stage in range(shape.stages):
        for block in range(shape.blocks):
            name = f"stage_{stage}_{block}"
            width = shape.width * 2**stage
            stride = 2 if stage and not block else 1
            short = x
            if x.shape[_channels()] != width:
                short = _conv(x, width, 1, stride, f"{name}_short")
                short = _norm(short, f"{name}_short_norm")
            x = _conv(x, width, 3, stride, f"{name}_1")
            x = layers.ReLU()(_norm(x, f"{name}_norm_1"))
            x = _conv(x, width, 3, 1, f"{name}_2")
            # A small scale keeps untrained deep networks in range.
            x = _norm(x, f"{name}_norm_2", 0.3)
            x = layers.ReLU()(layers.Add()([x, short]))
    return layers.GlobalAveragePooling2D(name="features")(x)


def _conv(x, filters, size, stride, name):
    """Padding is explicit: `same` with a stride differs between frameworks."""
    padding = "same"
    if stride > 1:
        padding = "valid"
        if size > 1:
            x = layers.ZeroPadding2D(size // 2)(x)
    return layers.Conv2D(
        filters, size, stride, padding, use_bias=False, name=name
    )(x)


def _norm(x, name, scale=1.0):
    scale = keras.initializers.Constant(scale)
    return layers.BatchNormalization(
        _channels(), gamma_initializer=scale, name=name
    )(x)


def _transformer(x, shape):
    x = Positions(name="positions")(layers.Dense(shape.width, name="embed")(x))
    for i in range(shape.blocks):
        y = layers.LayerNormalization(epsilon=1e-6, name=f"norm_{i}_1")(x)
        y = layers.MultiHeadAttention(
            shape.heads, shape.width // shape.heads, name=f"attention_{i}"
        )(y, y)
        x = layers.Add()([x, y])
        y = layers.LayerNormalization(epsilon=1e-6, name=f"norm_{i}_2")(x)
        y = layers.Dense(4 * shape.width, "gelu", name=f"inner_{i}")(y)
        y = layers.Dense(shape.width, name=f"outer_{i}")(y)
        x = layers.Add()([x, y])
    x = layers.LayerNormalization(epsilon=1e-6, name="norm")(x)
    return layers.GlobalAveragePooling1D(name="features")(x)


def perturb(x):
    """A perturbation without random numbers: the same on every backend."""
    return x + 0.2 * ops.sin(25.0 * x)
