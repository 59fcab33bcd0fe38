"""Small networks with known weights, and what explains them."""

import keras
import numpy as np
from keras import layers

CONVOLUTIONS = {
    1: (layers.Conv1D, layers.GlobalAveragePooling1D),
    2: (layers.Conv2D, layers.GlobalAveragePooling2D),
    3: (layers.Conv3D, layers.GlobalAveragePooling3D),
}
# Items by the name of their modality.
SHAPES = {"image": (6, 5, 3), "audio": (7, 4), "video": (4, 5, 3, 2)}


def data(*names, samples=3, seed=0):
    rng = np.random.default_rng(seed)
    draw = {n: rng.normal(size=(samples, *s)) for n, s in SHAPES.items()}
    return {n: draw[n].astype("float32") for n in names}


def fill(network, seed=0):
    """The same weights on every backend."""
    rng = np.random.default_rng(seed)
    shapes = [w.shape for w in network.get_weights()]
    network.set_weights([rng.normal(size=s) * 0.5 for s in shapes])
    return network


def linear(name, units=4):
    inputs = keras.Input(SHAPES[name], name=name)
    outputs = layers.Dense(units)(layers.Flatten()(inputs))
    return fill(keras.Model(inputs, outputs))


def convolving(name, classes=3, strides=1):
    """A convolution, global average pooling and a linear head."""
    convolution, pooling = CONVOLUTIONS[len(SHAPES[name]) - 1]
    inputs = keras.Input(SHAPES[name], name=name)
    x = convolution(
        4, 2, strides, padding="same", activation="tanh", name="conv"
    )(inputs)
    outputs = layers.Dense(classes, name="head")(pooling()(x))
    return fill(keras.Model(inputs, outputs, name=f"{name}_network"))


def deep(name, classes=3):
    """Two convolutions with normalisation and pooling, and a dense head."""
    rank = len(SHAPES[name]) - 1
    convolution, _ = CONVOLUTIONS[rank]
    pooling = getattr(layers, f"MaxPooling{rank}D")
    x = inputs = keras.Input(SHAPES[name], name=name)
    x = convolution(5, 3, padding="same", name="first")(x)
    x = layers.BatchNormalization()(x)
    x = pooling(2, padding="same")(layers.ReLU()(x))
    x = convolution(4, 2, padding="same", activation="tanh", name="last")(x)
    outputs = layers.Dense(classes)(layers.Flatten()(x))
    network = fill(keras.Model(inputs, outputs))
    for weight in network.non_trainable_weights:
        weight.assign(np.abs(weight.numpy()))  # Variances.
    return network


def to_unit(maps):
    """From 0 to 1 in each map, by a loop."""
    return np.stack([(m - m.min()) / (m.max() - m.min()) for m in maps])


def by_corners(values, shape):
    """Linear interpolation of one map, one axis and one line at a time."""
    for axis, size in enumerate(shape):
        old = values.shape[axis]
        at = [i * (old - 1) / (size - 1) for i in range(size)]
        values = np.apply_along_axis(
            lambda line, at=at: np.interp(at, range(len(line)), line),
            axis,
            values,
        )
    return values


def known_cam(network, x, target, layer="conv"):
    """The Grad-CAM of `convolving`, from the weights of its head.

    The gradient of a logit with respect to channel k at each of n positions
    is `head[k, target] / n`, so its mean over the positions is that, too.
    """
    tap = keras.Model(network.input, network.get_layer(layer).output)
    activation = np.asarray(tap.predict_on_batch(x), "float64")
    head = network.get_layer("head").get_weights()[0]
    cams = []
    for values, index in zip(activation, target, strict=True):
        n = np.prod(values.shape[:-1])
        cams.append(np.maximum((values * head[:, index] / n).sum(-1), 0))
    return np.stack(cams)
