"""Trains problems on the devices or processes that `XKD_ENGINE` names.

Run by `launch.py`: `worker.py out.npz problem [problem ...]`. The engine is
`alone`; on JAX `data:N` and `model:N`, or `processes`; on TensorFlow
`mirrored:N`; on PyTorch `group`, which `torchrun` or the environment set up.
"""

import contextlib
import os
import sys

import torch  # isort: skip  # Before TensorFlow, or the process dies.
import keras
import numpy as np

from tests.distributed import problems

ENGINE, _, COUNT = os.environ.get("XKD_ENGINE", "alone").partition(":")
COUNT = int(COUNT or 1)
BACKEND = keras.backend.backend()


def set_up():
    """The scope that models are made in."""
    if ENGINE in ("data", "model"):
        import jax

        distribution = keras.distribution.DataParallel()
        if ENGINE == "model":
            mesh = keras.distribution.DeviceMesh(
                (COUNT // 2, 2), ["batch", "model"], jax.devices()
            )
            layout = keras.distribution.LayoutMap(mesh)
            layout["hidden_.*kernel"] = (None, "model")
            distribution = keras.distribution.ModelParallel(
                layout_map=layout, batch_dim_name="batch"
            )
        keras.distribution.set_distribution(distribution)
    if ENGINE == "processes":
        keras.distribution.initialize(
            os.environ["XKD_ADDRESS"],
            int(os.environ["WORLD_SIZE"]),
            int(os.environ["RANK"]),
        )
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(auto_shard_dataset=False)
        )
    if ENGINE == "mirrored":
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        logical = [tf.config.LogicalDeviceConfiguration()] * COUNT
        tf.config.set_logical_device_configuration(cpu, logical)
        devices = [f"CPU:{i}" for i in range(COUNT)]
        return tf.distribute.MirroredStrategy(devices)
    if ENGINE == "group":
        torch.distributed.init_process_group("gloo")
    return None


def within(scope):
    return scope.scope() if scope else contextlib.nullcontext()


def rank_and_size():
    if ENGINE in ("group", "processes"):
        return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    return 0, 1


def _share(batch, uneven):
    rank, size = rank_and_size()
    rows = len(keras.tree.flatten(batch)[0])
    bounds = np.linspace(0, rows, size + 1).astype(int)
    if uneven and size > 1:
        bounds[1:-1] = np.minimum(bounds[1:-1] + 1, rows)
    start, stop = bounds[rank : rank + 2]
    return keras.tree.map_structure(lambda v: v[start:stop], batch)


class Share(keras.utils.PyDataset):
    """The samples of every batch that this process trains with."""

    def __init__(self, batches, uneven=False):
        super().__init__()
        self.batches = [_share(batch, uneven) for batch in batches]

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        batch = self.batches[index]
        return batch if len(batch) > 1 else (batch[0], None)


def dataset(batches, uneven=False):
    if BACKEND != "tensorflow":
        return Share(batches, uneven)
    import tensorflow as tf

    whole = keras.tree.map_structure(
        lambda *parts: np.concatenate(parts), *batches
    )
    rows = len(keras.tree.flatten(batches[0])[0])
    return tf.data.Dataset.from_tensor_slices(whole).batch(rows)


def train(name, scope):
    with within(scope):
        distiller = problems.make(name)
    uneven = "XKD_UNEVEN" in os.environ
    rows = int(os.environ.get("XKD_ROWS", problems.BATCH * problems.BATCHES))
    batches = dataset(problems.batches(name, rows), uneven)
    history = distiller.fit(
        batches, epochs=problems.EPOCHS, verbose=0, shuffle=False
    )
    evaluation = distiller.evaluate(batches, verbose=0, return_dict=True)
    found = problems.results(distiller, history.history, evaluation)
    return found | {"memories": memories_apart(distiller, scope)}


def memories_apart(distiller, scope):
    """How far queues and banks are apart on the replicas of a process."""
    apart = [np.float32(0)]
    for layer in distiller.companions.values():
        for variable in layer.variables if scope else ():
            parts = scope.experimental_local_results(variable.value)
            first, *others = [np.array(part.numpy()) for part in parts]
            apart += [np.max(np.abs(first - other)) for other in others]
    return np.max(apart)


def main(path, names):
    scope = set_up()
    found = {}
    for name in names:
        own = train(name, scope)
        found |= {f"{name}: {key}": value for key, value in own.items()}
    rank, _ = rank_and_size()
    np.savez(f"{path}.{rank}.npz", **found)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
