from typing import Literal

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.backend import gradient_of
from keras_xkd.typing import Inputs
from keras_xkd.visualization import tf_keras_vis_engine
from keras_xkd.visualization.attention_maps import normalize
from keras_xkd.visualization.layer_outputs import to_float32
from keras_xkd.visualization.subject import Subject


@keras_xkd_export("keras_xkd.visualization.saliency")
def saliency(
    model: keras.Model,
    x: Inputs,
    target: int | ArrayLike | None = None,
    modality: str | tuple[str, ...] | None = None,
    samples: int = 1,
    noise: float = 0.2,
    seed: int = 0,
    channels: bool | None = None,
    engine: Literal["keras_xkd", "tf-keras-vis"] | None = None,
) -> np.ndarray:
    """Where a small change of the input changes a network's score most.

    The absolute gradient of the score of each sample with respect to one
    modality (Simonyan et al., 2014); of several channels the largest counts.
    With `samples`, it is the mean over noisy copies of the input, SmoothGrad
    (Smilkov et al., 2017), though of absolute gradients, as in tf-keras-vis.
    The network runs in inference mode and nothing of it changes.

    Args:
        model: A Keras network of any kind that returns logits or a score,
            `(batch, outputs)`, or a dict with `"logits"` or `"score"`; or a
            distiller, whose student is meant. Use logits: what comes out of a
            softmax has hardly a gradient where the network is sure.
        x: A few samples: a dict `{modality: array}`, which may hold more than
            the network reads, or the one array that it reads.
        target: The index of the output that is explained, one for all or one
            for each sample. None for the largest output of each.
        modality: Name of the modality, needed if several could be meant. If
            it is a dict, its one floating tensor, or the keys that lead
            to a tensor, `("audio", "frames")`. Integers have no gradient,
            but pixels are converted where the network declares a floating
            input.
        samples: Number of noisy copies; 1 for the input itself.
        noise: Standard deviation of the noise, as a share of the range of the
            values of each sample.
        seed: Of the noise, which is the same on all backends.
        channels: Whether the last axis of the modality holds channels; by
            default where it has four axes or more, with the batch. Say so for
            grey videos without that axis (`False`) and for features over time
            of which only time is of interest (`True`).
        engine: `"keras_xkd"`; `"tf-keras-vis"`, which needs the TensorFlow
            backend and a Functional or Sequential network with floating
            inputs that returns one tensor; None for tf-keras-vis where it can
            be used. Both give the same maps.

    Returns:
        Maps of the shape of `x` without channels, float32: `(batch, H, W)` of
        images, `(batch, T, F)` of spectrograms, `(batch, F, H, W)` of videos.
        In each, 0 is the least gradient and 1 the largest; where all are
        equal, all are 0.

    Raises:
        ValueError: If an argument does not fit the network, or if a gradient
            is not finite.
        ImportError: If tf-keras-vis is asked for and not installed.

    Example:

    >>> import keras, numpy as np
    >>> from keras_xkd.visualization import saliency
    >>> inputs = keras.Input((2, 2), name="audio")
    >>> flat = keras.layers.Flatten()(inputs)
    >>> weights = keras.initializers.Constant([[0], [1], [-2], [4]])
    >>> outputs = keras.layers.Dense(1, kernel_initializer=weights)(flat)
    >>> model = keras.Model(inputs, outputs)
    >>> saliency(model, {"audio": np.ones((1, 2, 2))}).tolist()
    [[[0.0, 0.25], [0.5, 1.0]]]
    """
    if samples < 1 or noise < 0:
        raise ValueError(
            "`samples` must be 1 or more and `noise` must not be negative. "
            f"Received: samples={samples}, noise={noise}"
        )
    tf_keras_vis_engine.check_engine(engine)
    subject = Subject(model, x, target, modality, channels)
    if tf_keras_vis_engine.is_chosen(engine, subject):
        gradients = [
            tf_keras_vis_engine.absolute_gradient(subject, x)
            for x in _copies(subject.x, samples, noise, seed)
        ]
    else:
        gradients = [
            np.abs(to_float32(gradient_of(subject.score, x)))
            for x in _copies(subject.x, samples, noise, seed)
        ]
    maps = np.mean(gradients, axis=0)
    return normalize(maps.max(axis=-1) if subject.channels else maps)


def _copies(x, samples, noise, seed):
    """The input alone, or as many noisy copies of it."""
    if samples == 1:
        yield x
        return
    rng = np.random.default_rng(seed)
    values = to_float32(x)
    axes = tuple(range(1, values.ndim))
    deviation = noise * np.ptp(values, axis=axes, keepdims=True)
    for _ in range(samples):
        moved = values + deviation * rng.standard_normal(values.shape)
        yield ops.convert_to_tensor(moved.astype("float32"))
