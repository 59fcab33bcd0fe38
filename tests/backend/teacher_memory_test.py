import contextlib

import keras
import numpy as np
from keras import layers

from keras_xkd import backend
from keras_xkd.benchmark import teacher_memory
from keras_xkd.distillers import CrossModalDistiller
from tests.test_case import to_numpy


def test_no_activation_of_the_teacher_is_kept():
    if keras.backend.backend() == "torch":
        small = teacher_memory.saved_bytes(
            teacher_memory.make(CrossModalDistiller, teacher_width=8)
        )
        large = teacher_memory.saved_bytes(
            teacher_memory.make(CrossModalDistiller, teacher_width=512)
        )
        assert large == small
        naive = teacher_memory.saved_bytes(
            teacher_memory.make(teacher_memory._WithGraph, teacher_width=512)
        )
        assert naive > 10 * large
        return
    # Nothing is differentiated with respect to the teacher.
    distiller = teacher_memory.make(CrossModalDistiller, teacher_width=8)
    teacher = {id(v) for v in distiller.teacher.variables}
    assert not teacher & {id(v) for v in distiller.trainable_variables}
    assert teacher <= {id(v) for v in distiller.non_trainable_variables}
    before = [w.copy() for w in distiller.teacher.get_weights()]
    x = {m: np.ones((4, 32), "float32") for m in ("audio", "image")}
    distiller.train_on_batch(x, np.zeros(4, "int32"))
    for a, b in zip(before, distiller.teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_step_takes_one_layer_of_the_teacher():
    if keras.backend.backend() != "torch":
        return  # Compilers free what nobody reads.
    sizes = {"batch_size": 256, "teacher_width": 256, "student_width": 16}
    found = teacher_memory.peaks(teacher_depth=8, **sizes)
    assert found["frozen"] < 1.05 * found["target"]
    assert found["with_graph"] > 1.5 * found["target"]
    # More layers add their weights and nothing else.
    deep = teacher_memory.peaks(teacher_depth=16, **sizes)
    added = deep["frozen"] - found["frozen"]
    weights = deep["weights"] - found["weights"]
    assert abs(added - weights) < 0.01 * weights


def test_that_layers_of_the_teacher_stay_is_seen(monkeypatch):
    """The bound of the test above is not met by what Keras does alone."""
    if keras.backend.backend() != "torch":
        return
    from keras_xkd.backend import torch_trainer

    monkeypatch.setattr(torch_trainer, "forgetting", contextlib.nullcontext)
    found = teacher_memory.peaks(256, 256, 8, 16)
    assert found["frozen"] > 1.2 * found["target"]


def test_networks_run_as_constants_give_the_same():
    """Branches, nested networks, outputs on the way, an input as an output."""
    rng = np.random.default_rng(0)
    inputs = keras.Input((4,))
    first = layers.Dense(4, activation="relu")(inputs)
    second = layers.Dense(4)(first)
    inner = keras.Model(inputs, [layers.Add()([first, second]), first])
    image, audio = (keras.Input((4,), name=n) for n in ("image", "audio"))
    total, early = inner(image)
    again, _ = inner(audio)
    outputs = {
        "sum": layers.Dense(3)(layers.Concatenate()([total, again, image])),
        "early": early,
        "image": image,
        "twice": layers.Multiply()([early, early]),
    }
    model = keras.Model({"image": image, "audio": audio}, outputs)
    sequential = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    x = {
        name: rng.normal(size=(5, 4)).astype("float32")
        for name in ("image", "audio")
    }
    for network, given in ((model, x), (sequential, x["image"])):
        expected = keras.tree.map_structure(to_numpy, network(given))
        found = backend.no_gradient(network, given, training=False)
        keras.tree.map_structure(
            lambda a, b: np.testing.assert_array_equal(to_numpy(a), b),
            found,
            expected,
        )
