import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export

MODES = ("concat", "mean", "sum")


@keras_xkd_export("keras_xkd.layers.Fusion")
class Fusion(keras.layers.Layer):
    """Merges the pooled features of several modalities into one vector.

    The modalities are merged in sorted order of their names, whatever the
    order of the dict. An absent modality counts as zeros; in a mean it does
    not count.

    Args:
        mode: `"concat"`, `"mean"` or `"sum"`; the last two need features of
            the same width.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        features: A dict `{modality: tensor of shape (batch, features)}`.
        present: Optional dict `{modality: shape (batch,)}`, 1 where a sample
            has the modality. One that is not named is always there.

    Returns:
        Shape `(batch, features)`; with `"concat"` the widths add up.

    Raises:
        ValueError: If the mode is unknown, or the features have not the shape
            that it needs.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.layers import Fusion
    >>> features = {"video": np.ones((1, 2)), "audio": np.zeros((1, 3))}
    >>> Fusion()(features).shape[1]
    5
    """

    def __init__(self, mode="concat", **kwargs):
        super().__init__(**kwargs)
        if mode not in MODES:
            raise ValueError(
                f"`mode` must be one of {list(MODES)}. Received: mode={mode!r}"
            )
        self.mode = mode

    def call(self, features, present=None):
        self._check(features)
        present = present or {}
        names = sorted(features)
        parts, counts = [], 0.0
        for name in names:
            value = ops.convert_to_tensor(features[name])
            count = 1.0
            if name in present:
                mask = ops.reshape(ops.cast(present[name], "bool"), (-1, 1))
                value = ops.where(mask, value, ops.zeros_like(value))
                count = ops.cast(mask, value.dtype)
            parts.append(value)
            counts = counts + count
        if self.mode == "concat":
            return ops.concatenate(parts, axis=-1)
        total = sum(parts[1:], parts[0])
        if self.mode == "sum":
            return total
        return total / ops.maximum(ops.cast(counts, total.dtype), 1.0)

    def _check(self, features):
        shapes = {
            name: tuple(features[name].shape) for name in sorted(features)
        }
        same = self.mode == "concat" or len({s[-1] for s in shapes.values()})
        if any(len(s) != 2 for s in shapes.values()) or same > 1:
            raise ValueError(
                "Expected a dict of features of shape `(batch, features)`"
                f"{'' if self.mode == 'concat' else ', all of one width'}. "
                f"Received: {shapes}"
            )

    def get_config(self):
        return {**super().get_config(), "mode": self.mode}
