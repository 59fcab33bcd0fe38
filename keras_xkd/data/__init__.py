"""Views of data: few labels, no labels, missing or degraded modalities."""

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
    "missing",
    "take",
    "unlabelled",
]
