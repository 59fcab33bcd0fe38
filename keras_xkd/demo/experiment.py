"""What the demo trains: four networks per seed, with equal budgets."""

import keras
import numpy as np

from keras_xkd.benchmark.progress import StageProgress
from keras_xkd.data import few_labels
from keras_xkd.datasets import av_digits
from keras_xkd.demo.networks import audio_network
from keras_xkd.demo.networks import image_network
from keras_xkd.distillers import CrossModalDistiller

PER_CLASS = 5
BATCH_SIZE = 60  # 1,200 training pairs are 20 whole batches.
STEPS = 500
RATE = 3e-3

# Names of the rows, and what they are.
TEACHER, FEW, ALL, DISTILLED = "teacher", "few", "all", "distilled"
TITLES = {
    TEACHER: "images, all labels (the teacher)",
    FEW: f"audio, {PER_CLASS} labels per digit",
    ALL: "audio, all labels",
    DISTILLED: "audio, no label, distilled",
}


def run_seed(seed, steps=STEPS, stage="", data=None):
    """Trains the four networks from one seed.

    The three audio networks start from the same weights and take the same
    number of steps. The validation split is only watched; the test split is
    used once, at the end.

    Args:
        seed: Of weights, batches, dropout and the choice of the few labels.
        steps: Steps of each network, rounded up to whole epochs.
        stage: Text in front of the progress bars.
        data: The three splits, by default the AV digits.

    Returns:
        A tuple of the test accuracies in percent by row, the histories by
        row, and the distilled student.
    """
    train, validation, test = data or av_digits.load_data()
    accuracy, history = {}, {}

    def fit(row, model, x, y, validation, **compile_arguments):
        epochs = -(-steps // (_size(x) // BATCH_SIZE))
        total = epochs * (_size(x) // BATCH_SIZE)
        rate = keras.optimizers.schedules.CosineDecay(RATE, total)
        model.compile(keras.optimizers.Adam(rate), **compile_arguments)
        history[row] = model.fit(
            x,
            y,
            batch_size=BATCH_SIZE,
            epochs=epochs,
            validation_data=validation,
            validation_batch_size=_size(validation[0]),
            callbacks=[StageProgress(f"{stage}{TITLES[row]}", total)],
            verbose=0,
        ).history

    def supervise(row, make, modality, x, y):
        keras.utils.set_random_seed(seed)
        model = make()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        held_out = (validation[0][modality], validation[1])
        fit(row, model, x[modality], y, held_out, loss=loss)
        accuracy[row] = _accuracy(model, modality, test)
        return model

    teacher = supervise(TEACHER, image_network, "image", *train)
    few = _repeat(*few_labels(*train, PER_CLASS, seed), len(train[1]))
    supervise(FEW, audio_network, "audio", *few)
    supervise(ALL, audio_network, "audio", *train)

    # Cross-modal distillation: pairs of sound and picture, no label.
    keras.utils.set_random_seed(seed)
    student = audio_network()
    distiller = CrossModalDistiller(student=student, teacher=teacher)
    fit(DISTILLED, distiller, _pairs(train), None, (_pairs(validation),))
    accuracy[DISTILLED] = _accuracy(student, "audio", test)
    return accuracy, history, student


def _pairs(split):
    """The pairs of a split, without its labels."""
    x, _ = split
    return {name: x[name] for name in ("audio", "image")}


def _repeat(x, y, size):
    """Repeats a small set, so that an epoch has as many steps as a full one."""
    rows = np.resize(np.arange(len(y)), size)
    return {name: values[rows] for name, values in x.items()}, y[rows]


def _size(x):
    return len(keras.tree.flatten(x)[0])


def _accuracy(model, modality, split):
    x, y = split
    logits = model.predict(x[modality], batch_size=len(y), verbose=0)
    return float(100 * np.mean(logits.argmax(-1) == y))
