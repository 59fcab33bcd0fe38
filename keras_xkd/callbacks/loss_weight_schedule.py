from collections.abc import Callable
from typing import Any
from typing import Self

import keras

from keras_xkd.api_export import keras_xkd_export


@keras_xkd_export("keras_xkd.callbacks.LossWeightSchedule")
class LossWeightSchedule(keras.callbacks.Callback):
    """Sets the weight of a loss term at the beginning of every epoch.

    The weight is a variable, so that moving it does not trace the training
    step again.

    Example:

    >>> from keras_xkd.callbacks import LossWeightSchedule
    >>> warm_up = LossWeightSchedule.linear_warm_up("distillation", 0.9, 3)
    >>> [round(warm_up.schedule(epoch), 2) for epoch in range(4)]
    [0.3, 0.6, 0.9, 0.9]

    Args:
        term: Name of the loss term, as in `compile(loss_weights=...)`.
        schedule: A function from the epoch, counted from 0, to the weight.
    """

    def __init__(self, term: str, schedule: Callable[[int], float]) -> None:
        super().__init__()
        if not callable(schedule):
            raise ValueError(
                "`schedule` must be a function from the epoch to a weight. "
                f"Received: schedule={schedule!r}"
            )
        self.term = term
        self.schedule = schedule

    @classmethod
    def linear_warm_up(cls, term: str, weight: float, epochs: int) -> Self:
        """Grows a weight linearly, and keeps it after `epochs` epochs.

        The authors' code of DKD (Zhao et al., 2022) does this for 20 epochs.
        """
        return cls(term, lambda epoch: weight * min((epoch + 1) / epochs, 1.0))

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self.model.set_loss_weight(self.term, self.schedule(epoch))

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if logs is not None:
            weight = self.model.loss_weights[self.term]
            logs[f"{self.term}_loss_weight"] = weight
