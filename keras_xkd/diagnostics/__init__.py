"""Will distillation across these modalities help? Measures before training."""

from keras_xkd.diagnostics.modality_distance import modality_distance
from keras_xkd.diagnostics.mutual_information import mutual_information

__all__ = ["modality_distance", "mutual_information"]
