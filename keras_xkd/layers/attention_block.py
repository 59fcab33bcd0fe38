import keras
from keras import ops


class AttentionBlock(keras.layers.Layer):
    """Attention, then a perceptron four times as wide, both residual.

    Layer normalisation comes first in each branch. Without `tokens` the
    inputs attend to themselves. What says where an input stands in time,
    `positions`, enters the attention alone.

    Args:
        num_heads: Number of attention heads; divides the width.
        **kwargs: See `keras.layers.Layer`.

    Call arguments: `inputs` of shape `(batch, inputs, width)`; `tokens` of
    shape `(batch, tokens, width)`; `positions`, added to the normalised
    inputs; `mask`, shape `(batch, tokens)`, 1 for the tokens that are there.
    """

    def __init__(self, num_heads=8, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.supports_masking = True

    def build(self, inputs_shape, tokens_shape=None):
        width = inputs_shape[-1]
        if self.num_heads < 1 or width % self.num_heads:
            raise ValueError(
                "`num_heads` must divide the width of the features. Received: "
                f"num_heads={self.num_heads}, features of width {width}"
            )
        policy = {"dtype": self.dtype_policy}
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5, **policy)
        self.norm.build(inputs_shape)
        self.token_norm = None
        if tokens_shape is not None:
            self.token_norm = keras.layers.LayerNormalization(
                epsilon=1e-5, **policy
            )
            self.token_norm.build(tokens_shape)
        self.attention = keras.layers.MultiHeadAttention(
            self.num_heads, width // self.num_heads, **policy
        )
        self.attention.build(inputs_shape, tokens_shape or inputs_shape)
        self.perceptron = keras.Sequential(
            [
                keras.layers.LayerNormalization(epsilon=1e-5, **policy),
                keras.layers.Dense(4 * width, activation="gelu", **policy),
                keras.layers.Dense(width, **policy),
            ]
        )
        self.perceptron.build(inputs_shape)

    def call(self, inputs, tokens=None, positions=None, mask=None):
        queries = self.norm(inputs)
        if positions is not None:
            queries = queries + positions
        keys = queries if tokens is None else self.token_norm(tokens)
        if mask is not None:
            mask = ops.cast(mask, "bool")[:, None, :]
        x = inputs + self.attention(queries, keys, attention_mask=mask)
        return x + self.perceptron(x)

    def compute_output_shape(self, inputs_shape, tokens_shape=None):
        return inputs_shape

    def get_config(self):
        return {**super().get_config(), "num_heads": self.num_heads}
