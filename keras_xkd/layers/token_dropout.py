from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.layers.perturbation import Perturbation
from keras_xkd.layers.perturbation import check_rate


@keras_xkd_export("keras_xkd.layers.TokenDropout")
class TokenDropout(Perturbation):
    """Replaces random tokens of a text by a mask token.

    Padding and special tokens stay. Only active in training.

    Args:
        rate: Probability with which each other token is replaced. 0.15, as
            in masked language models, is our choice.
        mask_id: The id of the mask token.
        special_ids: Ids that are never replaced, such as those of `[CLS]`
            and `[SEP]`; that of the padding too, unless the inputs have a
            `padding_mask`.
        seed: Seed of what is replaced.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        inputs: Token ids of shape `(batch, tokens)`, or a dict with
            `token_ids` and possibly `padding_mask`, 1 for a token and 0 for
            padding; other entries are passed on.
        training: Whether to replace tokens.

    Returns:
        Token ids or a dict, like `inputs`.

    Raises:
        ValueError: If `rate` is not between 0 and 1, or the token ids are
            not integers or not in the dict.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.layers import TokenDropout
    >>> layer = TokenDropout(rate=1.0, mask_id=103, special_ids=(101, 102, 0))
    >>> ids = np.array([[101, 7592, 2088, 102, 0]])
    >>> [int(i) for i in layer(ids, training=True)[0]]
    [101, 103, 103, 102, 0]
    """

    def __init__(
        self,
        rate: float = 0.15,
        *,
        mask_id: int,
        special_ids: Sequence[int] = (),
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        check_rate(rate)
        self.rate = rate
        self.mask_id = mask_id
        self.special_ids = tuple(special_ids)

    def perturb(self, inputs: Any) -> Any:
        if not isinstance(inputs, dict):
            return self._replace(inputs, None)
        if "token_ids" not in inputs:
            raise ValueError(
                f"'{self.name}' replaces what is called `token_ids` in a dict. "
                f"Received: {sorted(inputs)}. Name the token ids so, or wrap "
                "the layer in a function that picks them."
            )
        padding_mask = inputs.get("padding_mask")
        tokens = self._replace(inputs["token_ids"], padding_mask)
        return {**inputs, "token_ids": tokens}

    def _replace(self, tokens, padding_mask):
        dtype = keras.backend.standardize_dtype(tokens.dtype)
        if not keras.backend.is_int_dtype(dtype):
            raise ValueError(
                f"'{self.name}' replaces integer token ids. Received: token "
                f"ids of type {dtype}"
            )
        drawn = keras.random.uniform(
            ops.shape(tokens), dtype="float32", seed=self.seed_generator
        )
        replaced = drawn < self.rate
        for special in self.special_ids:
            replaced = ops.logical_and(replaced, tokens != special)
        if padding_mask is not None:
            is_token = ops.cast(padding_mask, "bool")
            replaced = ops.logical_and(replaced, is_token)
        return ops.where(replaced, ops.cast(self.mask_id, dtype), tokens)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rate": self.rate,
            "mask_id": self.mask_id,
            "special_ids": self.special_ids,
        }
