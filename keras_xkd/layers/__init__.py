"""Layers that distillation methods share."""

from keras_xkd.layers.contrastive_memory import ContrastiveMemory

__all__ = ["ContrastiveMemory"]
