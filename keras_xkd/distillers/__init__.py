"""Methods: models that distil one network into another."""

from keras_xkd.distillers.amid import AMID
from keras_xkd.distillers.choose_late_fusion import choose_late_fusion
from keras_xkd.distillers.cmcd import CMCD
from keras_xkd.distillers.contrastive_pretraining import ContrastivePretraining
from keras_xkd.distillers.cross_modal_distiller import CrossModalDistiller
from keras_xkd.distillers.distiller import Distiller
from keras_xkd.distillers.mke import MKE
from keras_xkd.distillers.ume import UME
from keras_xkd.distillers.umt import UMT
from keras_xkd.distillers.video_adviser import VideoAdviser

__all__ = [
    "AMID",
    "CMCD",
    "ContrastivePretraining",
    "CrossModalDistiller",
    "Distiller",
    "MKE",
    "UME",
    "UMT",
    "VideoAdviser",
    "choose_late_fusion",
]
