from typing import Any

import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.typing import Shape, Tensor


@keras_xkd_export("keras_xkd.layers.GradientReversal")
class GradientReversal(keras.layers.Layer):
    """Passes its input on, and its gradient back with the opposite sign.

    What stands behind it, such as a classifier of modalities, learns as
    usual; what stands before it learns the opposite, features that tell that
    classifier nothing. One objective and one optimizer do for both; two
    players of a `Distiller` are the other way to the same end.

    Args:
        scale: Factor of the reversed gradient. With 0 nothing passes back.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        inputs: Tensor of any shape.

    Returns:
        The same values.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.layers import GradientReversal
    >>> float(GradientReversal()(np.array([2.0]))[0])
    2.0

    Reference:

    - [Ganin and Lempitsky, 2015](https://arxiv.org/abs/1409.7495)
    """

    def __init__(self, scale: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if scale < 0:
            raise ValueError(
                f"`scale` must not be negative. Received: scale={scale}"
            )
        self.scale = scale
        self.supports_masking = True

    def call(self, inputs: Tensor) -> Tensor:
        reversed_ = -self.scale * inputs
        return reversed_ + ops.stop_gradient(inputs - reversed_)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}
