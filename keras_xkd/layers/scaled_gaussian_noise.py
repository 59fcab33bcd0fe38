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

    The perturbation of the two-moons experiment of MKE, there with `scale` 1.
    Only active in training.

    Args:
        scale: Standard deviation of the noise, in units of `mean(|inputs|)`.
        axis: Axes over which that mean is taken, None for all of them, the
            batch included.
        seed: Seed of the noise.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        inputs: Floating-point tensor of any shape.
        training: Whether to add noise.

    Returns:
        A tensor like `inputs`.

    Raises:
        ValueError: If `scale` is negative, or the inputs are integers.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.layers import ScaledGaussianNoise
    >>> layer = ScaledGaussianNoise(scale=0.1, seed=0)
    >>> tuple(layer(np.ones((2, 3)), training=True).shape)
    (2, 3)
    """

    def __init__(self, scale=1.0, axis=None, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        if scale < 0:
            raise ValueError(
                f"`scale` must not be negative. Received: scale={scale}"
            )
        self.scale = scale
        self.axis = axis

    def perturb(self, inputs):
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        if not keras.backend.is_float_dtype(dtype):
            raise ValueError(
                f"'{self.name}' adds noise to floating-point inputs. "
                f"Received: inputs of type {dtype}"
            )
        values = ops.cast(inputs, "float32")
        size = ops.mean(ops.abs(values), axis=self.axis, keepdims=True)
        noise = keras.random.normal(
            ops.shape(values), dtype="float32", seed=self.seed_generator
        )
        return ops.cast(values + self.scale * size * noise, dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "scale": self.scale,
            "axis": self.axis,
        }
