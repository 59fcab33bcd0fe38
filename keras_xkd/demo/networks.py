"""The two small networks of the demo, with layers of Keras alone."""

import keras
from keras import layers


def image_network():
    """A convolutional network for images of 8x8 pixels, returns logits."""
    inputs = keras.Input((8, 8, 1), name="image")
    x = inputs
    for filters in (16, 32):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, _classify(x), name="image_network")


def audio_network():
    """A network that convolves over the frames of a log-mel spectrogram."""
    inputs = keras.Input((40, 32), name="audio")
    x = inputs
    for filters, width, pool in [(32, 5, True), (64, 3, True), (64, 3, False)]:
        x = layers.Conv1D(filters, width, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
        if pool:
            x = layers.MaxPooling1D(2)(x)
    x = layers.Concatenate()(
        [layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)]
    )
    return keras.Model(inputs, _classify(x), name="audio_network")


def _classify(x, classes=10):
    x = layers.Dropout(0.3)(x)
    x = layers.Dense(64, activation="relu", name="features")(x)
    x = layers.Dropout(0.3)(x)
    return layers.Dense(classes, name="logits")(x)
