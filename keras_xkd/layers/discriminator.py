from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses.numerics import unit
from keras_xkd.typing import DTypeLike, Shape, Tensor


@keras_xkd_export("keras_xkd.layers.Discriminator")
class Discriminator(keras.layers.Layer):
    """Tells real rows from made-up ones: a small network with one logit.

    Dense layers with leaky ReLUs. By default the weights are divided by
    their largest singular value, as estimated by one power iteration per
    training step (spectral normalisation), so that the logit cannot change
    faster than its input. Where real and made-up rows differ by the slightest
    amount, as in a pair of two equal halves, nothing else keeps a
    discriminator from telling them apart with certainty, and then nobody
    learns from it.

    The division is part of the function that is differentiated, and the
    weights stay as the optimizer left them. (`keras.layers.
    SpectralNormalization` assigns the divided weights during the call, which
    does not combine with `jax.grad`.) Everything is float32 under any policy.

    Args:
        hidden: Widths of the hidden layers. Our choice.
        spectral: Whether to normalise the weights.
        noise: Standard deviation of Gaussian noise that is added to the input
            in training, another way to the same end. 0 by default.
        seed: Seed of the noise.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        inputs: Tensor of shape `(batch, features)`.
        training: Whether to add noise and to advance the power iteration.

    Returns:
        Logits of shape `(batch, 1)`, high for what looks real.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.layers import Discriminator
    >>> tuple(Discriminator(hidden=(8,))(np.ones((2, 6))).shape)
    (2, 1)

    Reference:

    - [Miyato et al., 2018](https://arxiv.org/abs/1802.05957)
    """

    def __init__(
        self,
        hidden: Sequence[int] = (128, 128),
        spectral: bool = True,
        noise: float = 0.0,
        seed: int | None = None,
        dtype: DTypeLike = "float32",
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=dtype, autocast=False, **kwargs)
        if any(width < 1 for width in hidden) or noise < 0:
            raise ValueError(
                "The widths in `hidden` must be positive, and `noise` not "
                f"negative. Received: hidden={hidden}, noise={noise}"
            )
        self.hidden = tuple(hidden)
        self.spectral = spectral
        self.noise = noise
        self.seed = seed
        self.seed_generator = (
            keras.random.SeedGenerator(seed) if noise else None
        )

    def build(self, input_shape: Shape) -> None:
        widths = [input_shape[-1], *self.hidden, 1]
        self.kernels, self.biases, self.directions = [], [], []
        for i, (rows, columns) in enumerate(zip(widths, widths[1:])):
            kernel = self.add_weight(shape=(rows, columns), name=f"kernel_{i}")
            self.kernels.append(kernel)
            self.biases.append(
                self.add_weight(
                    shape=(columns,), initializer="zeros", name=f"bias_{i}"
                )
            )
            if self.spectral:
                self.directions.append(
                    self.add_weight(
                        shape=(1, columns),
                        initializer="ones",
                        trainable=False,
                        name=f"direction_{i}",
                    )
                )
        self.built = True

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        x = ops.cast(inputs, self.compute_dtype)
        if self.noise and training:
            x = x + self.noise * keras.random.normal(
                ops.shape(x), dtype=x.dtype, seed=self.seed_generator
            )
        for i, bias in enumerate(self.biases):
            if i:
                x = ops.leaky_relu(x, 0.2)
            x = ops.matmul(x, self._kernel(i, training)) + bias
        return x

    def _kernel(self, i, training):
        """The weights of a layer, divided by their largest singular value."""
        kernel = ops.convert_to_tensor(self.kernels[i])
        if not self.spectral:
            return kernel
        fixed = ops.stop_gradient(kernel)
        right = ops.convert_to_tensor(self.directions[i])
        left = unit(ops.matmul(right, ops.transpose(fixed)))
        right = unit(ops.matmul(left, fixed))
        if training:
            self.directions[i].assign(right)
        largest = ops.sum(ops.matmul(left, kernel) * right)
        return kernel / ops.where(largest > 1e-12, largest, 1.0)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], 1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "hidden": self.hidden,
            "spectral": self.spectral,
            "noise": self.noise,
            "seed": self.seed,
        }
