"""Measures: beforehand, will it help; afterwards, what does a student need."""

from keras_xkd.diagnostics.compare_seeds import compare_seeds
from keras_xkd.diagnostics.complementarity import complementarity
from keras_xkd.diagnostics.deployment_report import deployment_report
from keras_xkd.diagnostics.modality_distance import modality_distance
from keras_xkd.diagnostics.modality_subsets import modality_subsets
from keras_xkd.diagnostics.mutual_information import mutual_information

__all__ = [
    "compare_seeds",
    "complementarity",
    "deployment_report",
    "modality_distance",
    "modality_subsets",
    "mutual_information",
]
