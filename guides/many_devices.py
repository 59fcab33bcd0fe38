"""
Title: Any backend, from one device to many hosts
Author: The keras_xkd contributors
Date created: 2026/11/21
Last modified: 2026/11/21
Description: Distil on several devices, processes and hosts, on every backend.
Accelerator: GPU
"""

"""
## Any backend

The backend is chosen before Keras is imported, and nothing else changes:

```shell
export KERAS_BACKEND=jax        # or tensorflow, torch
```

From the same weights, with batches in the same order, the three backends train
the same weights: this is a test. Random numbers differ, and with them initial
weights, dropout and a random order of batches. Which backend is fastest
depends on the networks and the machine: `python -m keras_xkd benchmark
backends` trains the same networks on all that are installed. What differs:

- On PyTorch Keras refuses `steps_per_execution > 1`.
- On PyTorch, a training that is resumed from a backup draws the same dropout
  only if the layer has a `seed`.
- On JAX, a step is compiled for every shape that occurs: give sequences one
  length.

`python -m keras_xkd benchmark step-time --levers` measures which settings, such
as `steps_per_execution` and `jit_compile`, pay on your machine.

## What stays the same

A distiller learns the same on one device and on many. This is no matter of
course. A contrast such as `InfoNCE` tells every sample from all others of the
batch: if each device saw its own samples only, more devices would mean fewer
negatives, and another objective. Here it does not:

- A loss that compares samples (`InfoNCE`, `ContrastiveRepresentation`,
  `NTXent`, `SimilarityDistribution`, `CrossModalContrast`,
  `RelationalDistance`, `RelationalAngle`, `ProbabilisticTransfer`) sees the
  samples of all devices, and its gradient reaches all of them. A queue or a
  bank is the same everywhere.
- What is divided by the samples that are present, or by their weights, is
  divided by those of the whole batch.
- Each player, such as the discriminator of `AMID`, learns as it does on one
  device.
- Metrics at the end of an epoch count all samples.
- A frozen teacher is neither wrapped nor synchronised.

After 20 steps of plain gradient descent the weights of every method differ by
less than 1e-5 from those of one device: `make test-distributed`. Dropout draws
other masks (on TensorFlow, the same on all devices), and batch normalisation
on PyTorch and TensorFlow normalises the samples of one device, as usual; use
`keras.layers.GroupNormalization` where this matters.

The engines are those of the backends:

| backend | several devices of a host | several processes and hosts |
|---|---|---|
| JAX | `keras.distribution` | the same, with `jax.distributed` |
| PyTorch | one process per device | `torchrun`, `torch.distributed` |
| TensorFlow | `tf.distribute.MirroredStrategy` | use JAX or PyTorch |

`keras.distribution` does nothing on TensorFlow and PyTorch: a distiller raises
if it is set there, and so it does under other strategies of TensorFlow.

## This script

It runs as it is on one device. Without a GPU, the processor can stand in for
several devices:

```shell
python guides/many_devices.py                                  # one device
XLA_FLAGS=--xla_force_host_platform_device_count=8 KERAS_BACKEND=jax \
    python guides/many_devices.py                              # 8 devices, JAX
DEVICES=2 KERAS_BACKEND=tensorflow python guides/many_devices.py
KERAS_BACKEND=torch torchrun --nproc-per-node 2 guides/many_devices.py
```

On JAX every process is told its number, how many there are, and where the
first one listens:

```shell
export KERAS_BACKEND=jax ADDRESS=localhost:12345 WORLD_SIZE=2
RANK=0 python guides/many_devices.py &
RANK=1 python guides/many_devices.py
```

On several hosts, replace `localhost` by the first of them. With PyTorch, on 4
hosts of 8 GPUs, the same line starts on each:

```shell
KERAS_BACKEND=torch torchrun --nnodes 4 --nproc-per-node 8 \
    --rdzv-backend c10d --rdzv-endpoint host0:29500 guides/many_devices.py
```
"""

"""shell
pip install -q "keras-xkd[jax,viz]"
"""

import contextlib
import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # or "tensorflow", "torch"

if os.environ.get("KERAS_BACKEND") == "torch":
    import torch
import keras
import numpy as np
from keras import layers

import keras_xkd as xkd

"""
## Setting up

This comes before anything else of Keras. What it returns is the scope in which
networks are made and compiled; only TensorFlow needs one.
"""

processes = int(os.environ.get("WORLD_SIZE", 1))
rank = int(os.environ.get("RANK", 0))


def set_up():
    match keras.backend.backend():
        case "jax":
            if processes > 1:
                address = os.environ["ADDRESS"]
                keras.distribution.initialize(address, processes, rank)
            distribution = keras.distribution.DataParallel(
                auto_shard_dataset=False  # Each process reads its own samples.
            )
            keras.distribution.set_distribution(distribution)
        case "torch" if processes > 1:
            if torch.cuda.is_available():
                torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
            torch.distributed.init_process_group()
        case "tensorflow":
            import tensorflow as tf

            count = int(os.environ.get("DEVICES", 1))
            if count > 1:  # Parts of the processor that stand in for GPUs.
                (cpu,) = tf.config.list_physical_devices("CPU")
                parts = [tf.config.LogicalDeviceConfiguration()] * count
                tf.config.set_logical_device_configuration(cpu, parts)
                devices = [f"CPU:{i}" for i in range(count)]
                return tf.distribute.MirroredStrategy(devices).scope()
            if tf.config.list_physical_devices("GPU"):
                return tf.distribute.MirroredStrategy().scope()
    return contextlib.nullcontext()


scope = set_up()

"""
## Data

Each process reads its own samples, as many as the others, and its share of the
batch: of 128 samples, two processes read 64 each. With a `DataLoader` of
PyTorch a `DistributedSampler` does this; with `keras_xkd.data.load` the split,
such as `"train[:5000]"` and `"train[5000:10000]"`. The devices of one process
share its batches by themselves: on JAX their number must divide every batch,
so that a last one that is not full is left out here.
"""

(x, y), (x_val, y_val), _ = xkd.datasets.av_digits.load_data()


def share(x, y):
    rows = np.arange(rank, len(y) - len(y) % 128, processes)
    return xkd.data.take(x, rows), y[rows]


(x, y), (x_val, y_val) = share(x, y), share(x_val, y_val)
batch_size = 128 // processes

"""
## Networks and training

These lines are those of one device. The seed lets all processes make the same
weights. On JAX they have to: set a seed, or load the same file. On PyTorch all
networks begin with the weights of the first process, except those that are
frozen, which are not sent around; the processes compare them, and raise if
they differ.
"""

keras.utils.set_random_seed(0)


def network(*modalities):
    inputs = {m: keras.Input(x[m].shape[1:], name=m) for m in modalities}
    parts = [layers.Flatten()(tensor) for tensor in inputs.values()]
    features = parts[0] if len(parts) == 1 else layers.Concatenate()(parts)
    features = layers.Dense(64, activation="relu")(features)
    return keras.Model(inputs, layers.Dense(10)(features))


with scope:
    distiller = xkd.distillers.AMID(
        student=network("audio"),
        teacher=network("audio", "image"),
        auxiliary=network("image"),
    )
    distiller.compile(
        {"student": "adam", "discriminator": "adam"},
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )

folder = os.environ.get("OUTPUT", "many_devices")
history = distiller.fit(
    x,
    y,
    batch_size=batch_size,
    epochs=3,
    validation_data=(x_val, y_val),
    callbacks=[
        xkd.callbacks.BackupAndRestore(f"{folder}/backup"),
        xkd.callbacks.StudentCheckpoint(f"{folder}/student.keras"),
    ],
    verbose=2 if rank == 0 else 0,
).history
if rank == 0:
    print(f"accuracy of the student: {history['val_accuracy'][-1]:.3f}")

"""
Numbers at the end of an epoch are those of all processes, so that callbacks
which decide by them, such as `EarlyStopping`, decide the same everywhere.
Some rules:

- `fit` and `evaluate` are called in all processes, with equally many batches
  of the same form: labels in all, or in none. A process that is missing keeps
  the others waiting until their time is up: PyTorch's default, 30 minutes with
  gloo and 10 with NCCL, or what `init_process_group(timeout=...)` says.
- Callbacks that stop within an epoch, such as `TerminateOnNaN`, see the samples
  of one process. Use `compile(on_nonfinite="raise")`, which all processes agree
  on.
- Other models, such as a teacher that is trained beforehand by its own `fit`,
  are not synchronised on PyTorch: each process would train its own. Train it in
  one process, save it, and load it in all.
- Files are written by one process. `BackupAndRestore` and `StudentCheckpoint`
  of this package write in the first; a backup is read in all. On PyTorch, pass
  other callbacks that write, such as `ModelCheckpoint`, in the first process
  only; on JAX with several processes use those two, and predict in one process,
  with the student that was saved.

## When a process is lost

`torchrun` ends the other processes as soon as one of them dies, and a process
that waits for another that is gone gets an error. JAX notices after 100
seconds without a sign of life (`heartbeat_timeout_seconds` of
`jax.distributed.initialize`). Start the same command again, with as many
processes as you have then: with the callback above, training goes on with the
epoch in which it was cut, and ends with the same weights as if nothing had
happened, on the same data.

A backup is a file of weights like any other. It does not know how many devices
wrote it.

## What is sent, and when to send less

In every step the devices add up their gradients, once per step in large
messages; the larger the student, the more. A contrast gathers the features of
teacher and student of all devices; the larger the batch and the wider the
features, the more. Nothing is sent back for their gradients: every device
computes the loss of the whole batch, and keeps the gradient of its own rows.

`python -m keras_xkd benchmark scaling` counts the bytes and prints for which
numbers of devices, batches and widths the gather exceeds the gradients. When
it does, or when the matrix of all similarities becomes large:

- `InfoNCE(chunk_size=1024)` keeps the memory linear in the batch.
- `InfoNCE(across_replicas=False)` tells samples from those of the same device
  only, and sends nothing. This is another objective, with fewer negatives.
- `SimilarityDistribution(queue=...)` and
  `ContrastiveRepresentation(queue=...)` get many negatives from past batches
  instead of large ones.
- A method of your own calls `self.gather(features)` for terms that compare
  samples. Terms that are means over samples need nothing; a Keras loss goes
  through `self.task_terms(..., loss=...)`, since TensorFlow divides what it
  returns by the number of devices.

## Large networks

On JAX, `keras.distribution.ModelParallel` shares networks among devices, the
frozen teacher included. The names of layers choose what is shared:

```python
mesh = keras.distribution.DeviceMesh((4, 2), ["batch", "model"])
layout = keras.distribution.LayoutMap(mesh)
layout["transformer.*kernel"] = (None, "model")
keras.distribution.set_distribution(
    keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")
)
```

A teacher that is too slow rather than too large runs once, and is read from a
cache: `keras_xkd.data.cache_teacher`.

## What was tried

| engine | where |
|---|---|
| JAX `DataParallel` and `ModelParallel` | 8 parts of a processor, as devices |
| JAX, two processes | one host, processor |
| TensorFlow `MirroredStrategy` | 2 and 4 parts of a processor |
| PyTorch, two and three processes, gloo | one host, processor |

Several hosts, GPUs and NCCL use the same calls, and were not tried.
Under TensorFlow's strategies there is no `on_nonfinite="raise"`, no
accumulation of gradients and no `ema_overwrite_frequency`: a distiller raises.
In Keras 3.15, `steps_per_execution` and `jit_compile=True` fail there too.
"""
