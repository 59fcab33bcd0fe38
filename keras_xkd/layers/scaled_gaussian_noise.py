from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.layers.perturbation import Perturbation


@keras_xkd_export("keras_xkd.layers.ScaledGaussianNoise")
class ScaledGaussianNoise(Perturbation):
    """Gaussian noise in proportion to the size of the inputs.

    ```
    outputs = inputs + scale * mean(|inputs|) * N(0, 1)
    ```

    The perturbation of the two-moons experiment of MKE, there with `scale` 1
    and joint. Only active in training.

    Args:
        scale: Standard deviation of the noise, in units of `mean(|inputs|)`.
        axis: Axes over which that mean is taken, None for all of them, the
            batch included.
        joint: Whether the layer takes a dict of tensors in the same unit,
            with one mean for all, as `MKE` passes all modalities to a layer
            with this attribute.
        seed: Seed of the noise.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        inputs: Floating-point tensor of any shape, or if `joint` a dict.
        training: Whether to add noise.

    Returns:
        A tensor or dict like `inputs`.

    Raises:
        ValueError: If `scale` is negative, the inputs are integers, or they
            are a dict without `joint`.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.layers import ScaledGaussianNoise
    >>> layer = ScaledGaussianNoise(scale=0.1, seed=0)
    >>> tuple(layer(np.ones((2, 3)), training=True).shape)
    (2, 3)
    """

    def __init__(
        self,
        scale: float = 1.0,
        axis: int | Sequence[int] | None = None,
        joint: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        if scale < 0:
            raise ValueError(
                f"`scale` must not be negative. Received: scale={scale}"
            )
        self.scale = scale
        self.axis = axis
        self.joint = joint

    def perturb(self, inputs: Any) -> Any:
        if isinstance(inputs, dict) != self.joint:
            raise ValueError(
                f"'{self.name}' expects a {'dict' if self.joint else 'tensor'} "
                f"(joint={self.joint}). Received: {type(inputs).__name__}"
            )
        if not self.joint:
            return self._add_noise(inputs, self._size([inputs]))
        # Masks of presence, of which there may be some, are no modality.
        values = {k: v for k, v in inputs.items() if k != "present"}
        size = self._size(values.values())
        noisy = {k: self._add_noise(v, size) for k, v in values.items()}
        return {**inputs, **noisy}

    def _size(self, tensors):
        """The mean of all absolute values, over `axis`."""
        total = count = 0.0
        for tensor in tensors:
            dtype = keras.backend.standardize_dtype(tensor.dtype)
            if not keras.backend.is_float_dtype(dtype):
                raise ValueError(
                    f"'{self.name}' adds noise to floating-point inputs. "
                    f"Received: inputs of type {dtype}"
                )
            value = ops.abs(ops.cast(tensor, "float32"))
            total += ops.sum(value, axis=self.axis, keepdims=True)
            one = ops.ones_like(value)
            count += ops.sum(one, axis=self.axis, keepdims=True)
        return total / count

    def _add_noise(self, tensor, size):
        noise = keras.random.normal(
            ops.shape(tensor), dtype="float32", seed=self.seed_generator
        )
        value = ops.cast(tensor, "float32") + self.scale * size * noise
        return ops.cast(value, tensor.dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "scale": self.scale,
            "axis": self.axis,
            "joint": self.joint,
        }
