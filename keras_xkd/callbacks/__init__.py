"""Callbacks for distillation."""

from keras_xkd.callbacks.backup_and_restore import BackupAndRestore
from keras_xkd.callbacks.loss_weight_schedule import LossWeightSchedule
from keras_xkd.callbacks.run_report import RunReport
from keras_xkd.callbacks.student_checkpoint import StudentCheckpoint
from keras_xkd.callbacks.tensor_board import TensorBoard

__all__ = [
    "BackupAndRestore",
    "LossWeightSchedule",
    "RunReport",
    "StudentCheckpoint",
    "TensorBoard",
]
