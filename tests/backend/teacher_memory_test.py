import keras
import numpy as np

from keras_xkd.benchmark import teacher_memory
from keras_xkd.distillers import CrossModalDistiller


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
