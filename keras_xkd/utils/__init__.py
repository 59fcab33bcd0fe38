"""What several parts of the package use."""

from keras_xkd.utils.modalities import select_modalities

__all__ = [
    "select_modalities",
]
