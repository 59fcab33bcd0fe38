"""Will distillation across these modalities help? Measures before training."""

from keras_xkd.diagnostics.modality_distance import modality_distance

__all__ = ["modality_distance"]
