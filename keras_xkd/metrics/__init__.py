"""Metrics of the fields in which modalities teach each other."""

from keras_xkd.metrics.binned_accuracy import BinnedAccuracy
from keras_xkd.metrics.pearson_correlation import PearsonCorrelation
from keras_xkd.metrics.recall_at_k import RecallAtK
from keras_xkd.metrics.recall_at_k import recall_at_k
from keras_xkd.metrics.retrieval_map import RetrievalMAP
from keras_xkd.metrics.retrieval_map import retrieval_map
from keras_xkd.metrics.sign_accuracy import SignAccuracy
from keras_xkd.metrics.sign_f1 import SignF1

__all__ = [
    "BinnedAccuracy",
    "PearsonCorrelation",
    "RecallAtK",
    "RetrievalMAP",
    "SignAccuracy",
    "SignF1",
    "recall_at_k",
    "retrieval_map",
]
