from typing import Any

import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.layers.attention_block import AttentionBlock
from keras_xkd.typing import Mask, Shape, Tensor


@keras_xkd_export("keras_xkd.layers.PromptDecoder")
class PromptDecoder(keras.layers.Layer):
    """Lets the features of prompts look at the frames of a video.

    ```
    p_k = e_k + scale * decoder(e_k; tokens)
    ```

    with `e_k` the feature of prompt k and `decoder` a stack of blocks, each
    cross-attention (the prompts ask, the tokens answer) and a perceptron four
    times as wide, both residual behind a layer normalisation. `scale` is
    learned, one number per channel, and starts small: the first prompts are
    those of the text encoder. All of this is a common form of such a decoder,
    chosen for this package; VideoAdviser states that its prompts are enhanced
    by the video, not how.

    Args:
        depth: Number of blocks.
        num_heads: Number of attention heads; divides the width.
        scale: What `scale` starts at.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        prompts: Shape `(prompts, width)`, the same for every sample, or
            `(batch, prompts, width)`.
        tokens: Shape `(batch, tokens, token_width)`.
        mask: Shape `(batch, tokens)`, 1 for the tokens that are there. A
            sample without any token attends to all of them alike.

    Returns:
        Prompts of shape `(batch, prompts, width)`.

    Raises:
        ValueError: If an input has another rank, or `num_heads` does not
            divide the width.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.layers import PromptDecoder
    >>> decoder = PromptDecoder(num_heads=2)
    >>> tuple(decoder(np.ones((7, 4)), np.ones((2, 5, 6))).shape)
    (2, 7, 4)
    """

    def __init__(
        self,
        depth: int = 1,
        num_heads: int = 8,
        scale: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.arguments = {
            "depth": depth,
            "num_heads": num_heads,
            "scale": scale,
        }
        self.supports_masking = True
        self.blocks = [
            AttentionBlock(num_heads, dtype=self.dtype_policy)
            for _ in range(depth)
        ]

    def build(self, prompts_shape: Shape, tokens_shape: Shape) -> None:
        if len(prompts_shape) not in (2, 3) or len(tokens_shape) != 3:
            raise ValueError(
                "Expected prompts of shape `(prompts, width)` or `(batch, "
                "prompts, width)` and tokens of shape `(batch, tokens, "
                f"width)`. Received: shapes {tuple(prompts_shape)} and "
                f"{tuple(tokens_shape)}"
            )
        shape = (tokens_shape[0], *prompts_shape[-2:])
        for block in self.blocks:
            block.build(shape, tokens_shape)
        self.scale = self.add_weight(
            shape=(shape[-1],),
            initializer=keras.initializers.Constant(self.arguments["scale"]),
            name="scale",
        )

    def call(
        self, prompts: Tensor, tokens: Tensor, mask: Mask = None
    ) -> Tensor:
        if len(prompts.shape) == 2:
            batch = ops.shape(tokens)[0]
            prompts = ops.broadcast_to(
                prompts[None], (batch, *ops.shape(prompts))
            )
        seen = prompts
        for block in self.blocks:
            seen = block(seen, tokens, mask=mask)
        return prompts + self.scale * seen

    def compute_mask(self, prompts: Tensor, mask: Mask = None) -> None:
        return None

    def compute_output_shape(
        self, prompts_shape: Shape, tokens_shape: Shape
    ) -> Shape:
        return (tokens_shape[0], *prompts_shape[-2:])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.arguments}
