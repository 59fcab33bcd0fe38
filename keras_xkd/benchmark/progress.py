"""One line per stage that moves while the stage trains."""

import sys
import time

import keras

WIDTH = 20


class StageProgress(keras.callbacks.Callback):
    """A progress bar over a whole `fit`, one line that stays when it is done.

    Where the output is a file, only the finished line is written.

    Args:
        title: What is being trained.
        steps: Number of batches in all, over all epochs.
        stream: Where to write, by default the standard output.
    """

    def __init__(self, title, steps, stream=None):
        super().__init__()
        self.title = title
        self.steps = steps
        self.stream = stream or sys.stdout
        self.done = 0
        self.start = self.shown = 0.0

    def on_train_begin(self, logs=None):
        self.done = 0
        self.start = time.monotonic()
        self._show()

    def on_train_batch_end(self, batch, logs=None):
        self.done += 1
        if time.monotonic() - self.shown > 0.1:
            self._show()

    def on_train_end(self, logs=None):
        self._show(end=True)

    def _show(self, end=False):
        moving = hasattr(self.stream, "isatty") and self.stream.isatty()
        if not (moving or end):
            return
        self.shown = time.monotonic()
        full = WIDTH * self.done // max(self.steps, 1)
        bar = "#" * full + "." * (WIDTH - full)
        line = (
            f"{self.title:<38} [{bar}] {self.done}/{self.steps}, "
            f"{self.shown - self.start:.0f} s"
        )
        start = "\r" if moving else ""
        self.stream.write(start + line + ("\n" if end else ""))
        self.stream.flush()
