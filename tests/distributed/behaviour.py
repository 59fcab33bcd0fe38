"""What devices and processes do beside training alike, run as `worker.py` is.

`behaviour.py out.npz check [check ...]`.
"""

import sys

import torch  # noqa: F401  # isort: skip  # Before TensorFlow.
import keras
import numpy as np
from keras import layers

from keras_xkd import distillers
from keras_xkd import losses
from keras_xkd import metrics
from keras_xkd.utils.random_state import random_states
from tests.distributed import problems
from tests.distributed import worker


def fit_and_report(distiller, batches, epochs=1):
    history = distiller.fit(batches, epochs=epochs, verbose=0, shuffle=False)
    evaluation = distiller.evaluate(batches, verbose=0, return_dict=True)
    return problems.results(distiller, history.history, evaluation)


def correlation():
    """A metric whose state does not add up."""
    distiller = distillers.CrossModalDistiller(
        student=problems.network("audio", outputs=1),
        teacher=problems.network("image", outputs=1),
    )
    distiller.compile(
        "sgd",
        "mse",
        losses.Matching("mse", output="logits"),
        metrics=[metrics.PearsonCorrelation(), "mae"],
    )
    problems.fill(distiller)
    batches = problems.batches("video_adviser")
    return fit_and_report(distiller, worker.dataset(batches))


def retrieval():
    """Another one, which keeps what it has seen."""

    def pairs(modality):
        inputs = keras.Input((6 if modality == "audio" else 5,), name=modality)
        x = layers.Reshape((2, 3))(layers.Dense(6)(inputs))
        return keras.Model(inputs, {"logits": x})

    distiller = distillers.CrossModalDistiller(
        student=pairs("audio"), teacher=pairs("image")
    )
    distiller.compile(
        "sgd",
        distillation_loss=losses.Matching("mse", output="logits"),
        metrics=[metrics.RetrievalMAP(capacity=100, embedding_dim=3)],
    )
    problems.fill(distiller)
    return fit_and_report(distiller, worker.dataset(problems.batches("dkd")))


def apart():
    """The loss of a contrast within every device, of fixed weights."""
    distiller = problems.cross_modal(losses.InfoNCE(across_replicas=False))
    problems.fill(distiller)
    batches = problems.batches("contrast_masked")
    found = distiller.evaluate(
        worker.dataset(batches), verbose=0, return_dict=True
    )
    return {"loss": np.array(found["distillation_loss"])}


def statistics():
    """Batch normalisation and dropout."""
    inputs = keras.Input((6,), name="audio")
    x = layers.Dense(6)(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Dropout(0.5, name="dropout")(x)
    student = keras.Model(inputs, layers.Dense(problems.CLASSES)(x))
    distiller = distillers.CrossModalDistiller(
        student=student, teacher=problems.network("image")
    )
    distiller.compile(keras.optimizers.SGD(0.0), problems.TASK)
    problems.fill(distiller)
    distiller.fit(
        worker.dataset(problems.batches("kd")), verbose=0, shuffle=False
    )
    norm = student.get_layer("norm")
    (seed,) = random_states(distiller).values()
    return {
        "mean": np.array(norm.moving_mean.numpy()),
        "seed": np.array(seed.numpy()),
    }


def start():
    """Processes that were made with other weights begin with the same."""
    rank, _ = worker.rank_and_size()
    distiller = problems.make("amid")
    for variable in distiller.trainable_variables:
        variable.assign(variable + 0.1 * rank)
    worker_batches = worker.dataset(problems.batches("amid"))
    return fit_and_report(distiller, worker_batches, problems.EPOCHS)


def teachers():
    """Frozen networks that differ are an error everywhere."""
    rank, _ = worker.rank_and_size()
    distiller = problems.make("kd")
    kernel = distiller.teacher.trainable_variables[0]
    kernel.assign(kernel + 0.1 * rank)
    try:
        distiller.fit(worker.dataset(problems.batches("kd")), verbose=0)
    except ValueError as error:
        return {"error": np.array(str(error))}
    return {}


def nonfinite():
    """One process meets a NaN: all stop, none has changed a weight."""
    distiller = problems.make("kd")
    distiller.compile("adam", problems.TASK, on_nonfinite="raise")
    batches = problems.batches("kd")[:1]
    batches[0][0]["audio"][0] = np.nan
    before = [np.array(w) for w in distiller.get_weights()]
    try:
        distiller.fit(worker.dataset(batches), verbose=0, shuffle=False)
    except ValueError as error:
        moved = [
            np.max(np.abs(new - old))
            for new, old in zip(distiller.get_weights(), before, strict=True)
        ]
        return {"error": np.array(str(error)), "moved": np.max(moved)}
    return {}


def overflow():
    """float16: all replicas leave out a step that overflows on one."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        distiller = problems.make("kd")
    finally:
        keras.config.set_dtype_policy("float32")
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1), initial_scale=1024.0
    )
    distiller.compile(optimizer, problems.TASK)
    (batch,) = problems.batches("kd")[:1]
    batch[2][-1] = 1e4  # Of the last device.
    before = [np.array(w) for w in distiller.get_weights()]
    distiller.fit(worker.dataset([batch]), verbose=0, shuffle=False)
    moved = [
        np.max(np.abs(new - old))
        for new, old in zip(distiller.get_weights(), before, strict=True)
    ]
    scale = np.array(distiller.optimizer.dynamic_scale.numpy())
    return {"moved": np.max(moved), "scale": scale}


def no_sample():
    """A last batch of one sample, which some device does not see."""
    inputs = keras.Input((6,), name="audio")
    x = layers.BatchNormalization(name="norm")(layers.Dense(6)(inputs))
    student = keras.Model(inputs, layers.Dense(problems.CLASSES)(x))
    distiller = distillers.CrossModalDistiller(
        student=student, teacher=problems.network("image")
    )
    distiller.compile(keras.optimizers.SGD(0.1), problems.TASK)
    batches = problems.batches("dkd", rows=problems.BATCH + 1)
    loss = distiller.fit(worker.dataset(batches), verbose=0).history["loss"]
    finite = [np.all(np.isfinite(w)) for w in distiller.get_weights()]
    return {"finite": np.array([*finite, *np.isfinite(loss)])}


def by_batch():
    """`train_on_batch` of processes that were made with other weights."""
    rank, _ = worker.rank_and_size()
    distiller = problems.make("kd")
    for variable in distiller.trainable_variables:
        variable.assign(variable + 0.1 * rank)
    for batch in worker.dataset(problems.batches("kd")):
        distiller.train_on_batch(*batch)
    return {f"{i}": np.array(w) for i, w in enumerate(distiller.get_weights())}


CHECKS = [
    correlation, retrieval, apart, statistics, overflow, no_sample, start,
    by_batch, teachers, nonfinite,
]  # fmt: skip


def main(path, names):
    scope = worker.set_up()
    found = {}
    for name in names:
        check = next(check for check in CHECKS if check.__name__ == name)
        with worker.within(scope):
            keras.utils.set_random_seed(0)
            own = check()
        found |= {f"{name}: {key}": value for key, value in own.items()}
    rank, _ = worker.rank_and_size()
    np.savez(f"{path}.{rank}.npz", **found)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
