"""Batches of data sets; views with few labels, none, or less modalities."""

from keras_xkd.data.load import load
from keras_xkd.data.views import degrade
from keras_xkd.data.views import few_labels
from keras_xkd.data.views import hide_labels
from keras_xkd.data.views import missing
from keras_xkd.data.views import take
from keras_xkd.data.views import unlabelled

__all__ = [
    "degrade",
    "few_labels",
    "hide_labels",
    "load",
    "missing",
    "take",
    "unlabelled",
]
