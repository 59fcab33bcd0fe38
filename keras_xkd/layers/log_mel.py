from typing import Any

import keras
import numpy as np
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.typing import Shape, Tensor


@keras_xkd_export("keras_xkd.layers.LogMel")
class LogMel(keras.layers.Layer):
    """Log-mel spectrograms of raw sound, inside a model.

    It computes what Whisper reads, with Whisper's settings as defaults: power
    of the short-time Fourier transform (Hann windows of 25 ms every 10 ms),
    mel filters of equal area, the logarithm to base 10, everything more than
    80 dB below the clip's own maximum raised to that floor, `(x + 4) / 4`. An
    encoder of sound with this layer as `front_end` reads waveforms, so that a
    saved or exported student needs no preprocessing.

    `keras.layers.MelSpectrogram` cannot take its place in front of Whisper:
    its filters are those of the HTK scale, of equal height, and its floor lies
    below the maximum of the whole *batch*, so that the features of a quiet
    clip depend on the clips beside it. As the front end of a network that is
    trained with it, `top_db=1000` turns that off; it returns
    `(batch, mels, frames)`, so put a `keras.layers.Permute((2, 1))` after it.

    Computes in float32 whatever the policy says.

    Args:
        num_mel_bins: Number of filters, from 0 Hz to half the sampling rate.
            Whisper: 80, and 128 from version 3 of the large model on.
        fft_length: Length of a window, in samples.
        sequence_stride: Samples from one window to the next.
        sampling_rate: Samples per second.
        fft: Whether the transform is a fast one. ONNX has no operation for
            that: set `layer.fft = False` before `export(format="onnx")`, which
            makes it a convolution. It is slower, and less exact on a GPU that
            rounds to TF32.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        inputs: Sound from -1 to 1, shape `(batch, samples)`, with more than
            half a window of samples.

    Returns:
        A tensor of shape `(batch, samples // sequence_stride, num_mel_bins)`.

    Raises:
        ValueError: If an argument is not positive, `fft_length` is odd, or the
            inputs have another shape or are too short.

    Example:

    >>> import keras, numpy as np
    >>> from keras_xkd.layers import LogMel
    >>> second = np.sin(np.arange(16000) / 16000 * 2 * np.pi * 440)
    >>> features = LogMel()(second[None].astype("float32"))
    >>> tuple(features.shape)
    (1, 100, 80)
    >>> int(keras.ops.argmax(features[0, 50]))  # The loudest filter.
    11

    Reference:

    - [Radford et al., 2022](https://arxiv.org/abs/2212.04356), section 2.2
    """

    def __init__(
        self,
        num_mel_bins: int = 80,
        fft_length: int = 400,
        sequence_stride: int = 160,
        sampling_rate: int = 16000,
        fft: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.arguments = dict(
            num_mel_bins=num_mel_bins,
            fft_length=fft_length,
            sequence_stride=sequence_stride,
            sampling_rate=sampling_rate,
        )
        for name, value in self.arguments.items():
            if value < 1:
                raise ValueError(
                    f"`{name}` must be positive. Received: {name}={value}"
                )
            setattr(self, name, value)
        if fft_length % 2:
            raise ValueError(
                f"`fft_length` must be even. Received: fft_length={fft_length}"
            )
        self.fft = fft
        self.filters = mel_filters(num_mel_bins, fft_length, sampling_rate)

    def call(self, inputs: Tensor) -> Tensor:
        self._check(inputs.shape)
        transform = self._by_fft if self.fft else self._by_convolution
        real, imaginary = transform(ops.cast(inputs, "float32"))
        power = ops.square(real[:, :-1]) + ops.square(imaginary[:, :-1])
        mels = ops.matmul(power, ops.convert_to_tensor(self.filters))
        # Lower powers cannot be told from the rounding of 32-bit numbers.
        mels = ops.log10(ops.maximum(mels, 1e-10))
        floor = ops.max(mels, axis=(1, 2), keepdims=True) - 8.0
        mels = (ops.maximum(mels, floor) + 4.0) / 4.0
        return ops.cast(mels, self.compute_dtype)

    def _by_fft(self, sound):
        return ops.stft(
            sound,
            sequence_length=self.fft_length,
            sequence_stride=self.sequence_stride,
            fft_length=self.fft_length,
        )

    def _by_convolution(self, sound):
        half = self.fft_length // 2
        sound = ops.pad(sound, [[0, 0], [half, half]], mode="reflect")
        waves = ops.conv(
            sound[..., None],
            ops.convert_to_tensor(windowed_waves(self.fft_length)),
            strides=self.sequence_stride,
            data_format="channels_last",
        )
        return waves[..., : half + 1], waves[..., half + 1 :]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self._check(input_shape)
        batch, samples = input_shape
        frames = None if samples is None else samples // self.sequence_stride
        return (batch, frames, self.num_mel_bins)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.arguments, "fft": self.fft}

    def _check(self, shape):
        rank, samples = len(shape), shape[-1] if len(shape) else None
        # While a model is exported, PyTorch has tensors for sizes.
        known = isinstance(samples, int)
        if rank != 2 or (known and samples <= self.fft_length // 2):
            raise ValueError(
                f"'{self.name}' reads sound of shape `(batch, samples)`, with "
                f"more than {self.fft_length // 2} samples. Received: shape "
                f"{tuple(shape)}"
            )


def windowed_waves(length):
    """Cosines and sines of all frequencies, `(length, 1, length + 2)`."""
    n = np.arange(length)
    angles = 2 * np.pi / length * np.outer(n, n[: length // 2 + 1])
    hann = 0.5 - 0.5 * np.cos(2 * np.pi / length * n)
    waves = np.concatenate([np.cos(angles), -np.sin(angles)], axis=1)
    return (hann[:, None] * waves)[:, None].astype("float32")


def mel_filters(num_mel_bins, fft_length, sampling_rate):
    """Triangles of equal area on Slaney's mel scale, `(bins, mels)`.

    The scale is linear below 1000 Hz, 15 mels, and logarithmic above: 27 mels
    for a factor of 6.4.
    """
    bins = np.fft.rfftfreq(fft_length, 1 / sampling_rate)
    top = sampling_rate / 2
    if top > 1000:
        top = 15 + 27 * np.log(top / 1000) / np.log(6.4)
    else:
        top = top * 15 / 1000
    mels = np.linspace(0, top, num_mel_bins + 2)
    edges = np.where(
        mels < 15, mels * 1000 / 15, 1000 * 6.4 ** ((mels - 15) / 27)
    )
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - low) / (centre - low)
    falling = (high - bins[:, None]) / (high - centre)
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * 2 / (high - low)).astype("float32")
