"""Will distillation across these modalities help? Measures beforehand."""

from keras_xkd.diagnostics.complementarity import complementarity
from keras_xkd.diagnostics.modality_distance import modality_distance
from keras_xkd.diagnostics.mutual_information import mutual_information

__all__ = ["complementarity", "modality_distance", "mutual_information"]
