from typing import Any

import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses.numerics import NEVER
from keras_xkd.typing import FusionMode, Shape, Tensor

MODES = ("concat", "mean", "sum", "attention")


@keras_xkd_export("keras_xkd.layers.Fusion")
class Fusion(keras.layers.Layer):
    """Merges the pooled features of several modalities into one vector.

    | `mode` | result | an absent modality |
    |---|---|---|
    | `"concat"` | all features, one after the other | zeros, or learned |
    | `"mean"` | their mean | does not count |
    | `"sum"` | their sum | does not count |
    | `"attention"` | a mean with learned weights | does not count |

    Attention scores each modality `m` by a query of its own, `q_m . f_m +
    b_m`; the weights of a sample are the softmax over what it has. A sample
    without any modality gives zeros, or all placeholders. The modalities are
    merged in sorted order of their names, whatever the order of the dict.
    What lies in the place of an absent modality, NaN included, reaches
    neither the value nor a gradient.

    Args:
        mode: One of the table; all but `"concat"` need features of the same
            width.
        placeholder: Whether a learned vector stands where a modality is
            absent, one for each; in a concatenation only. It starts at zero,
            so that it makes no difference before training.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        features: A dict `{modality: tensor of shape (batch, features)}`, with
            weights always of the same modalities.
        present: Optional dict `{modality: shape (batch,)}`, 1 where a sample
            has the modality. One that is not named is always there.

    Returns:
        Shape `(batch, features)`; with `"concat"` the widths add up.

    Raises:
        ValueError: If the mode is unknown or has no placeholder, or if the
            features have not the shape, or are not the modalities, that it
            needs.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.layers import Fusion
    >>> features = {"video": np.ones((1, 2)), "audio": np.zeros((1, 3))}
    >>> Fusion()(features).shape[1]
    5
    """

    def __init__(
        self,
        mode: FusionMode = "concat",
        placeholder: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if mode not in MODES:
            raise ValueError(
                f"`mode` must be one of {list(MODES)}. Received: mode={mode!r}"
            )
        if placeholder and mode != "concat":
            raise ValueError(
                "A `placeholder` stands in a concatenation; in other modes an "
                "absent modality does not count. Received: placeholder="
                f"{placeholder}, mode={mode!r}"
            )
        self.mode = mode
        self.placeholder = bool(placeholder)
        # Any, as long as there are no weights.
        self.names: list[str] | None = None

    def build(
        self,
        features_shape: dict[str, Shape],
        present_shape: dict[str, Shape] | None = None,
    ) -> None:
        if self.mode != "attention" and not self.placeholder:
            return
        self._check(features_shape)
        names = self.names = sorted(features_shape)
        widths = [features_shape[name][-1] for name in names]
        if self.placeholder:
            self.placeholders = [
                self.add_weight((width,), "zeros", name=f"placeholder_{name}")
                for name, width in zip(self.names, widths, strict=True)
            ]
        else:
            count = len(widths)
            self.query = self.add_weight((count, widths[0]), name="query")
            self.bias = self.add_weight((count,), "zeros", name="bias")

    def call(
        self,
        features: dict[str, Tensor],
        present: dict[str, Tensor] | None = None,
    ) -> Tensor:
        self._check({name: value.shape for name, value in features.items()})
        names, present = sorted(features), present or {}
        parts, there = [], []
        for i, name in enumerate(names):
            value = ops.convert_to_tensor(features[name])
            mask = ops.ones((1, 1), "bool")
            if name in present:
                mask = ops.reshape(ops.cast(present[name], "bool"), (-1, 1))
            instead = ops.zeros_like(value)
            if self.placeholder:  # Has a gradient, if 0, where all are there.
                instead += ops.cast(self.placeholders[i], value.dtype)
            value = ops.where(mask, value, instead)
            parts.append(value)
            there.append(mask)
        if self.mode == "concat":
            return ops.concatenate(parts, axis=-1)
        if self.mode == "attention":
            weights = self._attend(parts, there)
            parts = [part * weight for part, weight in zip(parts, weights)]
        total = sum(parts[1:], parts[0])
        if self.mode != "mean":
            return total
        count = sum(ops.cast(mask, total.dtype) for mask in there)
        return total / ops.maximum(count, 1.0)

    def _attend(self, parts, there):
        """The weight of each modality, shape `(batch, 1)`."""
        scores = [
            ops.sum(ops.cast(part * self.query[i], "float32"), -1, True)
            + ops.cast(self.bias[i], "float32")
            for i, part in enumerate(parts)
        ]
        scores = ops.concatenate(
            [ops.where(mask, s, NEVER) for s, mask in zip(scores, there)], -1
        )
        # Keras' softmax warns where there is one modality alone.
        weights = ops.exp(scores - ops.logsumexp(scores, -1, keepdims=True))
        weights = ops.split(weights, len(parts), axis=-1)
        return [
            ops.cast(weight, part.dtype) * ops.cast(mask, part.dtype)
            for weight, part, mask in zip(weights, parts, there)
        ]

    def _check(self, shapes):
        shapes = {name: tuple(shapes[name]) for name in sorted(shapes)}
        # While PyTorch traces, to export, sizes are tensors.
        widths = {s[-1] for s in shapes.values() if isinstance(s[-1], int)}
        differ = self.mode != "concat" and len(widths) > 1
        if any(len(s) != 2 for s in shapes.values()) or differ:
            raise ValueError(
                "Expected a dict of features of shape `(batch, features)`"
                f"{'' if self.mode == 'concat' else ', all of one width'}. "
                f"Received: {shapes}"
            )
        if self.names is not None and self.names != list(shapes):
            raise ValueError(
                f"'{self.name}' has weights for the modalities {self.names}. "
                f"Received: {list(shapes)}"
            )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "mode": self.mode,
            "placeholder": self.placeholder,
        }
