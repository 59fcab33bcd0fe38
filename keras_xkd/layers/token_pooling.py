from typing import Any
from typing import Literal

import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.layers.masked_mean import masked_mean
from keras_xkd.losses.numerics import NEVER
from keras_xkd.typing import Mask, Shape, Tensor

KINDS = ("first", "last", "mean", "max", "attention")


@keras_xkd_export("keras_xkd.layers.TokenPooling")
class TokenPooling(keras.layers.Layer):
    """One vector from the tokens of an encoder.

    | `kind` | result |
    |---|---|
    | `"first"`, `"last"` | the first or the last token that is there |
    | `"mean"`, `"max"` | the mean or the largest value over the tokens |
    | `"attention"` | a mean whose weights are a softmax of learned scores |

    Args:
        kind: See the table.
        skip: How many tokens at the start are no positions, such as a class
            token and registers. Mean, maximum and attention leave them out.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        tokens: Shape `(batch, tokens, width)`.
        mask: Shape `(batch, tokens)`, 1 for the tokens that are there; by
            default the Keras mask of the tokens, if they have one. Padded
            tokens, whatever they hold, change nothing; a sample without any
            token gives zeros.

    Returns:
        Features of shape `(batch, width)`.

    Raises:
        ValueError: If `kind` is unknown, if `skip` is negative, or if the
            tokens have not three axes.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.layers import TokenPooling
    >>> tokens = np.array([[[1.0, 2.0], [3.0, 4.0], [99.0, 99.0]]])
    >>> mask = np.array([[1, 1, 0]])
    >>> for kind in ("first", "last", "mean", "max"):
    ...     pooled = TokenPooling(kind)(tokens, mask=mask)
    ...     print(kind, [round(float(value), 1) for value in pooled[0]])
    first [1.0, 2.0]
    last [3.0, 4.0]
    mean [2.0, 3.0]
    max [3.0, 4.0]
    """

    def __init__(
        self,
        kind: Literal["first", "last", "mean", "max", "attention"] = "mean",
        skip: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if kind not in KINDS:
            raise ValueError(
                f"`kind` must be one of {KINDS}. Received: kind={kind!r}"
            )
        if skip < 0:
            raise ValueError(
                "`skip` is a number of tokens, 0 or more. Received: "
                f"skip={skip}"
            )
        self.kind = kind
        self.skip = skip
        self.supports_masking = True
        self.score = None
        if kind == "attention":
            # A bias would be the same for all tokens.
            self.score = keras.layers.Dense(
                1, use_bias=False, dtype=self.dtype_policy
            )

    def build(self, tokens_shape: Shape) -> None:
        if len(tokens_shape) != 3:
            raise ValueError(
                "Expected tokens of shape `(batch, tokens, width)`. "
                f"Received: shape {tuple(tokens_shape)}"
            )
        if self.score is not None:
            self.score.build(tokens_shape)

    def call(self, tokens: Tensor, mask: Mask = None) -> Tensor:
        there = ops.ones_like(tokens[:, :, 0], dtype="bool")
        if mask is not None:
            there = ops.logical_and(there, ops.cast(mask, "bool"))
        if self.kind in ("first", "last"):
            there = _only(there, self.kind)
        else:
            tokens, there = tokens[:, self.skip :], there[:, self.skip :]
        there = there[:, :, None]
        tokens = ops.where(there, tokens, ops.zeros_like(tokens))
        if self.kind == "max":
            # In float16 there is no number that is small enough.
            values = ops.cast(tokens, "float32")
            largest = ops.max(ops.where(there, values, NEVER), axis=1)
            pooled = ops.where(ops.any(there, axis=1), largest, 0.0)
            return ops.cast(pooled, tokens.dtype)
        return masked_mean(tokens, there, self.score)

    def compute_mask(self, tokens: Tensor, mask: Mask = None) -> None:
        return None

    def compute_output_shape(self, tokens_shape: Shape) -> Shape:
        return (tokens_shape[0], tokens_shape[2])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind, "skip": self.skip}


def _only(there, kind):
    """The same mask with the first or the last true entry alone."""
    count = ops.cumsum(ops.cast(there, "int32"), axis=1)
    wanted = 1 if kind == "first" else count[:, -1:]
    return ops.logical_and(there, ops.equal(count, wanted))
