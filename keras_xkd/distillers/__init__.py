"""Methods: models that distil one network into another."""

from keras_xkd.distillers.cross_modal_distiller import CrossModalDistiller
from keras_xkd.distillers.distiller import Distiller
