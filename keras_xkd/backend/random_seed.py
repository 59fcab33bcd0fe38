"""The seed of `keras.utils.set_random_seed`, which Keras can be told only."""


def random_seed() -> int | None:
    """The seed, None if there is none or Keras does not say."""
    try:
        from keras.src.utils.rng_utils import get_random_seed
    except ImportError:  # Not public: another version may not have it.
        return None
    return get_random_seed()
