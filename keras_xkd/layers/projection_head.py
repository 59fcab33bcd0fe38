from typing import Any

import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses.numerics import unit
from keras_xkd.losses.numerics import upcast
from keras_xkd.typing import Shape, Tensor


@keras_xkd_export("keras_xkd.layers.ProjectionHead")
class ProjectionHead(keras.layers.Layer):
    """Takes features to the space in which they are contrasted.

    A linear layer, or two with ReLU between them, and then rows of length
    one. It belongs to training alone: what is deployed ends at the features.

    Args:
        units: Width of the result. 128 is common.
        hidden: Width of the layer in between. With None there is none, and
            the head is linear.
        normalize: Whether the result has length one. The length is computed
            in float32 under any policy; a row of zeros stays one.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        inputs: Features of shape `(batch, ..., width)`.

    Returns:
        A tensor of shape `(batch, ..., units)`.

    Raises:
        ValueError: If a width is not positive.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.layers import ProjectionHead
    >>> head = ProjectionHead(8, hidden=16)
    >>> tuple(head(np.ones((2, 5))).shape)
    (2, 8)
    """

    def __init__(
        self,
        units: int = 128,
        hidden: int | None = None,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if units < 1 or (hidden is not None and hidden < 1):
            raise ValueError(
                "`units` and `hidden` must be positive. Received: "
                f"units={units}, hidden={hidden}"
            )
        self.units = units
        self.hidden = hidden
        self.normalize = normalize
        dense = keras.layers.Dense
        own = {"dtype": self.dtype_policy}
        self.inner = None
        if hidden is not None:
            self.inner = dense(hidden, "relu", name="inner", **own)
        self.outer = dense(units, name="outer", **own)

    def build(self, input_shape: Shape) -> None:
        if self.inner is not None:
            self.inner.build(input_shape)
            input_shape = self.inner.compute_output_shape(input_shape)
        self.outer.build(input_shape)
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        if self.inner is not None:
            inputs = self.inner(inputs)
        outputs = self.outer(inputs)
        if self.normalize:
            outputs = ops.cast(unit(*upcast(outputs)), outputs.dtype)
        return outputs

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "hidden": self.hidden,
            "normalize": self.normalize,
        }
