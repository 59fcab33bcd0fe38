from typing import Any
from typing import Literal

import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.layers.perturbation import Perturbation
from keras_xkd.layers.perturbation import check_rate
from keras_xkd.typing import Tensor


@keras_xkd_export("keras_xkd.layers.SpecAugment")
class SpecAugment(Perturbation):
    """Masks stretches of time and bands of frequency of a spectrogram.

    Each mask has a random width between 0 and its largest, every whole number
    being equally likely, and a random place; every sample has its own. The
    defaults are the paper's policy SM (Switchboard, mild), without its time
    warping, which the paper finds to contribute least. Only active in
    training.

    Args:
        time_masks: Number of masks in time.
        time_width: Largest width of a mask in time, in frames.
        time_share: Largest width of a mask in time, as a share of all frames;
            the smaller of the two limits holds.
        frequency_masks: Number of masks in frequency.
        frequency_width: Largest width of a mask in frequency, in bins.
        value: What masks are filled with: `"mean"`, that of the sample, or a
            number. The paper uses 0, the mean of its normalised spectrograms.
        seed: Seed of the masks.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        inputs: Spectrograms of shape `(batch, frames, bins)`.
        training: Whether to mask.

    Returns:
        A tensor like `inputs`.

    Raises:
        ValueError: If the inputs have another rank, a number or width is
            negative, or `time_share` is not between 0 and 1.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.layers import SpecAugment
    >>> layer = SpecAugment(frequency_width=4, seed=0)
    >>> tuple(layer(np.ones((2, 50, 20)), training=True).shape)
    (2, 50, 20)

    Reference:

    - [Park et al., 2019](https://arxiv.org/abs/1904.08779)
    """

    def __init__(
        self,
        time_masks: int = 2,
        time_width: int = 70,
        time_share: float = 0.2,
        frequency_masks: int = 2,
        frequency_width: int = 15,
        value: float | Literal["mean"] = "mean",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        check_rate(time_share, "time_share")
        if isinstance(value, str) and value != "mean":
            raise ValueError(
                f"`value` must be 'mean' or a number. Received: value={value!r}"
            )
        self.arguments: dict[str, Any] = dict(
            time_masks=time_masks,
            time_width=time_width,
            time_share=time_share,
            frequency_masks=frequency_masks,
            frequency_width=frequency_width,
            value=value,
        )
        for name in list(self.arguments)[:5]:
            if self.arguments[name] < 0:
                raise ValueError(
                    f"`{name}` must not be negative. Received: "
                    f"{name}={self.arguments[name]}"
                )

    def perturb(self, inputs: Tensor) -> Tensor:
        if len(inputs.shape) != 3:
            raise ValueError(
                f"'{self.name}' expects spectrograms of shape (batch, frames, "
                f"bins). Received: inputs of shape {tuple(inputs.shape)}"
            )
        own = self.arguments
        frames = ops.cast(ops.shape(inputs)[1], "float32")
        longest = ops.minimum(
            float(own["time_width"]), ops.floor(own["time_share"] * frames)
        )
        in_time = self._masks(inputs, 1, own["time_masks"], longest)
        in_frequency = self._masks(
            inputs, 2, own["frequency_masks"], float(own["frequency_width"])
        )
        masked = ops.logical_or(in_time[:, :, None], in_frequency[:, None, :])
        value = own["value"]
        if value == "mean":
            value = ops.mean(inputs, axis=(1, 2), keepdims=True)
        return ops.where(masked, ops.cast(value, inputs.dtype), inputs)

    def _masks(self, inputs, axis, masks, longest):
        """Which places along an axis are masked, shape `(batch, places)`."""
        batch, places = ops.shape(inputs)[0], ops.shape(inputs)[axis]
        drawn = keras.random.uniform(
            (2, batch, masks), dtype="float32", seed=self.seed_generator
        )
        length = ops.cast(places, "float32")
        # Any whole number from 0 to the largest, each with the same chance.
        width = ops.floor(drawn[0] * (ops.minimum(longest, length) + 1))
        start = ops.floor(drawn[1] * (length - width + 1))
        place = ops.arange(places, dtype="float32")[None, None, :]
        start, end = start[:, :, None], (start + width)[:, :, None]
        inside = ops.logical_and(place >= start, place < end)
        return ops.any(inside, axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.arguments}
