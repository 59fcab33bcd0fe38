from typing import Any

import keras


class Perturbation(keras.layers.Layer):
    """What the random perturbations of this package have in common.

    A subclass defines `perturb(inputs)` and draws with `self.seed_generator`.
    Outside training the inputs are returned as they are.

    Args:
        seed: Seed of what is drawn.
        **kwargs: See `keras.layers.Layer`.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True
        self.built = True

    def perturb(self, inputs: Any) -> Any:
        raise NotImplementedError(
            f"{type(self).__name__} must define `perturb`."
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.perturb(inputs) if training else inputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


def check_rate(rate, name="rate"):
    """Raises unless `rate` is a probability."""
    if not 0 <= rate <= 1:
        raise ValueError(
            f"`{name}` must lie between 0 and 1. Received: {name}={rate}"
        )
