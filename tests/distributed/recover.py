"""Trains with a backup; the last process may be killed on the way.

`recover.py folder epochs [epoch in which it dies]`, run as `worker.py` is, on
PyTorch by `torchrun`. Writes `weights.npz` and the epochs trained.
"""

import json
import os
import pathlib
import signal
import sys

import torch  # noqa: F401  # isort: skip  # Before TensorFlow.
import keras
import numpy as np

from keras_xkd.callbacks import BackupAndRestore
from tests.distributed import problems
from tests.distributed import worker


class Die(keras.callbacks.Callback):
    """The last process is gone in the middle of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.last = epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        rank, size = worker.rank_and_size()
        if self.now == self.last and batch == 2 and rank == size - 1:
            os.kill(os.getpid(), signal.SIGKILL)


def set_up():
    if worker.ENGINE != "processes":
        return worker.set_up()
    import jax

    jax.distributed.initialize(
        os.environ["XKD_ADDRESS"],
        int(os.environ["WORLD_SIZE"]),
        int(os.environ["RANK"]),
        heartbeat_timeout_seconds=10,
    )
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(auto_shard_dataset=False)
    )
    return None


def main(folder, epochs, last=None):
    scope = set_up()
    folder = pathlib.Path(folder)
    with worker.within(scope):
        distiller = problems.make("amid")
    callbacks = [BackupAndRestore(folder / "backup", delete_checkpoint=False)]
    if last is not None:
        callbacks.append(Die(int(last)))
    history = distiller.fit(
        worker.dataset(problems.batches("amid")),
        epochs=int(epochs),
        callbacks=callbacks,
        verbose=0,
        shuffle=False,
    )
    rank, _ = worker.rank_and_size()
    if rank == 0:
        values = [np.array(w) for w in distiller.get_weights()]
        np.savez(folder / "weights.npz", *values)
        (folder / "epochs.json").write_text(json.dumps(history.epoch))


if __name__ == "__main__":
    main(*sys.argv[1:])
