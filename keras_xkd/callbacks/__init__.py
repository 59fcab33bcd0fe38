"""Callbacks for distillation."""

from keras_xkd.callbacks.loss_weight_schedule import LossWeightSchedule
from keras_xkd.callbacks.student_checkpoint import StudentCheckpoint

__all__ = [
    "LossWeightSchedule",
    "StudentCheckpoint",
]
