from typing import Any

import keras
import numpy as np
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.layers.attention_block import AttentionBlock
from keras_xkd.layers.masked_mean import masked_mean
from keras_xkd.typing import Mask, Shape, Temporal, Tensor


@keras_xkd_export("keras_xkd.layers.TemporalPooling")
class TemporalPooling(keras.layers.Layer):
    """One vector from the features of the frames of a video.

    | `kind` | result |
    |---|---|
    | `"mean"` | the mean over time |
    | `"attention"` | a mean whose weights are a softmax of learned scores |
    | `"transformer"` | the mean of `frames + scale * transformer(frames)` |

    The transformer is a stack of blocks of self-attention and a perceptron
    four times as wide; sinusoids tell the attention when each frame is. Its
    `scale` is learned, one number per channel, and starts at 0.1, so that the
    features of a pre-trained image encoder keep their meaning at first. Any
    number of frames will do.

    Args:
        kind: `"mean"`, `"attention"` or `"transformer"`.
        depth: Number of blocks of the transformer.
        num_heads: Number of its attention heads; divides the width.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        frames: Shape `(batch, frames, width)`.
        mask: Shape `(batch, frames)`, 1 for the frames that are there. Padded
            frames, whatever they hold, change nothing; a sample without any
            frame gives zeros.

    Returns:
        Features of shape `(batch, width)`.

    Raises:
        ValueError: If `kind` is unknown, if frames have not three axes, or
            if `num_heads` does not divide the width.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.layers import TemporalPooling
    >>> frames = np.array([[[1.0, 2.0], [3.0, 4.0], [99.0, 99.0]]])
    >>> pooled = TemporalPooling("mean")(frames, mask=np.array([[1, 1, 0]]))
    >>> [round(float(value), 1) for value in pooled[0]]
    [2.0, 3.0]
    """

    def __init__(
        self,
        kind: Temporal = "transformer",
        depth: int = 1,
        num_heads: int = 8,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if kind not in ("mean", "attention", "transformer"):
            raise ValueError(
                "`kind` must be 'mean', 'attention' or 'transformer'. "
                f"Received: kind={kind!r}"
            )
        self.arguments = {"kind": kind, "depth": depth, "num_heads": num_heads}
        self.supports_masking = True
        self.blocks = []
        self.score = None
        policy = {"dtype": self.dtype_policy}
        if kind == "transformer":
            self.blocks = [
                AttentionBlock(num_heads, **policy) for _ in range(depth)
            ]
        elif kind == "attention":
            # A bias would be the same for all frames.
            self.score = keras.layers.Dense(1, use_bias=False, **policy)

    def build(self, frames_shape: Shape) -> None:
        if len(frames_shape) != 3:
            raise ValueError(
                "Expected frames of shape `(batch, frames, width)`. "
                f"Received: shape {tuple(frames_shape)}"
            )
        for block in self.blocks:
            block.build(frames_shape)
        if self.blocks:
            self.scale = self.add_weight(
                shape=(frames_shape[-1],),
                initializer=keras.initializers.Constant(0.1),
                name="scale",
            )
        if self.score is not None:
            self.score.build(frames_shape)

    def call(self, frames: Tensor, mask: Mask = None) -> Tensor:
        if mask is None:
            mask = ops.ones_like(frames[:, :, 0])
        there = ops.cast(mask, "bool")[:, :, None]
        frames = ops.where(there, frames, ops.zeros_like(frames))
        if self.blocks:
            positions = _sinusoids(ops.shape(frames)[1], frames.shape[2])
            seen = frames
            for block in self.blocks:
                seen = block(
                    seen,
                    positions=ops.cast(positions, frames.dtype),
                    mask=mask,
                )
            frames = frames + self.scale * seen
        return masked_mean(frames, there, self.score)

    def compute_mask(self, frames: Tensor, mask: Mask = None) -> None:
        return None

    def compute_output_shape(self, frames_shape: Shape) -> Shape:
        return (frames_shape[0], frames_shape[2])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.arguments}


def _sinusoids(frames, width):
    """Sines and cosines of the time, `(frames, width)`."""
    index = np.arange(width)
    rate = 1e4 ** (-(index - index % 2) / width)
    phase = np.pi / 2 * (index % 2)
    rate, phase = (ops.convert_to_tensor(v, "float32") for v in (rate, phase))
    time = ops.cast(ops.arange(frames), "float32")
    return ops.sin(time[:, None] * rate + phase)
