from typing import Literal

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.typing import Inputs
from keras_xkd.visualization import tf_keras_vis_engine
from keras_xkd.visualization.attention_maps import cover
from keras_xkd.visualization.attention_maps import normalize
from keras_xkd.visualization.layer_outputs import LayerOutputs
from keras_xkd.visualization.subject import Subject
from keras_xkd.visualization.which_layer import last_layer
from keras_xkd.visualization.which_layer import named_layer


@keras_xkd_export("keras_xkd.visualization.grad_cam")
def grad_cam(
    model: keras.Model,
    x: Inputs,
    layer: str | keras.layers.Layer | None = None,
    target: int | ArrayLike | None = None,
    modality: str | tuple[str, ...] | None = None,
    channels: bool | None = None,
    grid: tuple[int, int] | None = None,
    engine: Literal["keras_xkd", "tf-keras-vis"] | None = None,
) -> np.ndarray:
    """Which positions of a layer speak for the output of a network.

    Grad-CAM (Selvaraju et al., 2017): the channels of a layer, each weighted
    by the mean over positions of the gradient of the score, are added up, and
    what is negative becomes 0. The map is spread over the item by linear
    interpolation from corner to corner. The network runs in inference mode and
    nothing of it changes.

    The layer is found where it is called, so it may lie within nested and
    subclassed networks, and also in an encoder of images that sees the frames
    of a video one by one. It returns channels last, in one of the shapes

    - `(batch, h, w, channels)`: positions of an image or a spectrogram, and in
      a video those of all frames,
    - `(batch, t, channels)`: frames of a spectrogram, a video or a waveform;
      the map is the same for all that a frame holds,
    - `(batch, f, h, w, channels)`: positions of a video.

    Args:
        model, x, target, modality, channels: See `saliency`.
        layer: The name of a layer, its path, or the layer itself. By default,
            the last one with learned positions that can be laid over the
            modality; those with as many axes as the item come first.
        grid: For tokens `(batch, t, channels)` of an image, such as those of
            a vision transformer: `(h, w)`, how the last `h * w` of them lie in
            rows. What comes before them, a class token, is left out.
        engine: As in `saliency`; tf-keras-vis does not reach layers of nested
            models.

    Returns:
        Maps of the shape of `x` without channels, float32, from 0 to 1 as
        those of `saliency`. All 0 if the layer speaks against the output.

    Raises:
        ValueError: If an argument does not fit the network, or if there is no
            such layer.
        ImportError: If tf-keras-vis is asked for and not installed.

    Example:

    >>> import keras, numpy as np
    >>> from keras_xkd.visualization import grad_cam
    >>> inputs = keras.Input((2, 2, 1), name="image")
    >>> x = keras.layers.Conv2D(1, 1, kernel_initializer="ones")(inputs)
    >>> x = keras.layers.GlobalAveragePooling2D()(x)
    >>> outputs = keras.layers.Dense(1, kernel_initializer="ones")(x)
    >>> model = keras.Model(inputs, outputs)
    >>> image = np.array([[[[0.0], [1]], [[2], [4]]]])
    >>> grad_cam(model, {"image": image}).tolist()
    [[[0.0, 0.25], [0.5, 1.0]]]
    """
    tf_keras_vis_engine.check_engine(engine)
    subject = Subject(model, x, target, modality, channels)
    outputs = LayerOutputs(subject, subject.inputs_with(subject.x))
    if layer is None:
        layer = last_layer(outputs, grid)
    else:
        layer = named_layer(outputs, layer, grid)
    if tf_keras_vis_engine.is_chosen(engine, subject, layer):
        maps = tf_keras_vis_engine.cam(subject, layer)
    else:
        values = outputs.values(layer)
        gradient = outputs.gradient(layer)
        positions = tuple(range(1, values.ndim - 1))
        weights = gradient.mean(axis=positions, keepdims=True)
        maps = np.maximum((values * weights).sum(axis=-1), 0)
    return normalize(cover(maps, subject.item_shape, grid))
