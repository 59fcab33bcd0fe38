"""Distillation losses: what a student learns from a teacher's outputs."""

from keras_xkd.losses.comparison import Comparison
from keras_xkd.losses.contrastive_representation import (
    ContrastiveRepresentation,
)
from keras_xkd.losses.cross_modal_contrast import CrossModalContrast
from keras_xkd.losses.cross_modal_contrast import cross_modal_contrast
from keras_xkd.losses.decoupled_soft_targets import DecoupledSoftTargets
from keras_xkd.losses.decoupled_soft_targets import decoupled_soft_targets
from keras_xkd.losses.feature_matching import FeatureMatching
from keras_xkd.losses.feature_matching import feature_matching
from keras_xkd.losses.info_nce import InfoNCE
from keras_xkd.losses.info_nce import info_nce
from keras_xkd.losses.matching import Matching
from keras_xkd.losses.noise_contrast import contrastive_representation
from keras_xkd.losses.nt_xent import NTXent
from keras_xkd.losses.nt_xent import nt_xent
from keras_xkd.losses.probabilistic_transfer import ProbabilisticTransfer
from keras_xkd.losses.probabilistic_transfer import probabilistic_transfer
from keras_xkd.losses.relational_angle import RelationalAngle
from keras_xkd.losses.relational_angle import relational_angle
from keras_xkd.losses.relational_distance import RelationalDistance
from keras_xkd.losses.relational_distance import relational_distance
from keras_xkd.losses.similarity_distribution import SimilarityDistribution
from keras_xkd.losses.similarity_distribution import similarity_distribution
from keras_xkd.losses.soft_targets import SoftTargets
from keras_xkd.losses.soft_targets import soft_targets

__all__ = [
    "Comparison",
    "ContrastiveRepresentation",
    "CrossModalContrast",
    "DecoupledSoftTargets",
    "FeatureMatching",
    "InfoNCE",
    "Matching",
    "NTXent",
    "ProbabilisticTransfer",
    "RelationalAngle",
    "RelationalDistance",
    "SimilarityDistribution",
    "SoftTargets",
    "contrastive_representation",
    "cross_modal_contrast",
    "decoupled_soft_targets",
    "feature_matching",
    "info_nce",
    "nt_xent",
    "probabilistic_transfer",
    "relational_angle",
    "relational_distance",
    "similarity_distribution",
    "soft_targets",
]
