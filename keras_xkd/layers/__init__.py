"""Layers that distillation methods share."""

from keras_xkd.layers.cached_teacher import CachedTeacher
from keras_xkd.layers.contrastive_memory import ContrastiveMemory
from keras_xkd.layers.discriminator import Discriminator
from keras_xkd.layers.fusion import Fusion
from keras_xkd.layers.gradient_reversal import GradientReversal
from keras_xkd.layers.log_mel import LogMel
from keras_xkd.layers.modality_dropout import ModalityDropout
from keras_xkd.layers.projection_head import ProjectionHead
from keras_xkd.layers.prompt_decoder import PromptDecoder
from keras_xkd.layers.scaled_gaussian_noise import ScaledGaussianNoise
from keras_xkd.layers.similarity_queue import SimilarityQueue
from keras_xkd.layers.spec_augment import SpecAugment
from keras_xkd.layers.temporal_pooling import TemporalPooling
from keras_xkd.layers.token_dropout import TokenDropout
from keras_xkd.layers.token_pooling import TokenPooling

__all__ = [
    "CachedTeacher",
    "ContrastiveMemory",
    "Discriminator",
    "Fusion",
    "GradientReversal",
    "LogMel",
    "ModalityDropout",
    "ProjectionHead",
    "PromptDecoder",
    "ScaledGaussianNoise",
    "SimilarityQueue",
    "SpecAugment",
    "TemporalPooling",
    "TokenDropout",
    "TokenPooling",
]
