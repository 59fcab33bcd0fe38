"""Distillation losses: what a student learns from a teacher's outputs."""

from keras_xkd.losses.comparison import Comparison
from keras_xkd.losses.contrastive_representation import (
    ContrastiveRepresentation,
)
from keras_xkd.losses.decoupled_soft_targets import DecoupledSoftTargets
from keras_xkd.losses.decoupled_soft_targets import decoupled_soft_targets
from keras_xkd.losses.feature_matching import FeatureMatching
from keras_xkd.losses.feature_matching import feature_matching
from keras_xkd.losses.info_nce import InfoNCE
from keras_xkd.losses.info_nce import info_nce
from keras_xkd.losses.matching import Matching
from keras_xkd.losses.noise_contrast import contrastive_representation
from keras_xkd.losses.probabilistic_transfer import ProbabilisticTransfer
from keras_xkd.losses.probabilistic_transfer import probabilistic_transfer
from keras_xkd.losses.relational_angle import RelationalAngle
from keras_xkd.losses.relational_angle import relational_angle
from keras_xkd.losses.relational_distance import RelationalDistance
from keras_xkd.losses.relational_distance import relational_distance
from keras_xkd.losses.soft_targets import SoftTargets
from keras_xkd.losses.soft_targets import soft_targets

__all__ = [
    "Comparison",
    "ContrastiveRepresentation",
    "DecoupledSoftTargets",
    "FeatureMatching",
    "InfoNCE",
    "Matching",
    "ProbabilisticTransfer",
    "RelationalAngle",
    "RelationalDistance",
    "SoftTargets",
    "contrastive_representation",
    "decoupled_soft_targets",
    "feature_matching",
    "info_nce",
    "probabilistic_transfer",
    "relational_angle",
    "relational_distance",
    "soft_targets",
]
