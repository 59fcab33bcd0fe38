"""Batches of data sets; views with few labels, none, or less modalities."""

from keras_xkd.data.cache_on_beam import cache_teacher_on_beam
from keras_xkd.data.cache_teacher import add_teacher_outputs
from keras_xkd.data.cache_teacher import cache_teacher
from keras_xkd.data.load import load
from keras_xkd.data.views import degrade
from keras_xkd.data.views import few_labels
from keras_xkd.data.views import hide_labels
from keras_xkd.data.views import missing
from keras_xkd.data.views import take
from keras_xkd.data.views import unlabelled

__all__ = [
    "add_teacher_outputs",
    "cache_teacher",
    "cache_teacher_on_beam",
    "degrade",
    "few_labels",
    "hide_labels",
    "load",
    "missing",
    "take",
    "unlabelled",
]
