from typing import Any

from keras_xkd.backend import by_itself
from keras_xkd.backend import is_first_process


class FirstProcess:
    """A mixin of callbacks that write: only the first process does."""

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._write(super().on_train_batch_end, batch, logs)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._write(super().on_epoch_end, epoch, logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._write(super().on_train_end, logs)

    def _write(self, method, *arguments):
        if is_first_process():
            with by_itself():
                method(*arguments)
