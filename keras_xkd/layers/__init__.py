"""Layers that distillation methods share."""

from keras_xkd.layers.contrastive_memory import ContrastiveMemory
from keras_xkd.layers.projection_head import ProjectionHead

__all__ = ["ContrastiveMemory", "ProjectionHead"]
