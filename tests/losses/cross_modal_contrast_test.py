import numpy as np
import pytest
from keras import ops

from keras_xkd.losses import CrossModalContrast
from keras_xkd.losses import cross_modal_contrast
from keras_xkd.losses import info_nce
from tests.test_case import gradient
from tests.test_case import to_numpy

RNG = np.random.default_rng(18)
T, S = RNG.normal(size=(2, 5, 3)).astype("float32")


def test_info_nce_with_a_fixed_source():
    np.testing.assert_array_equal(
        to_numpy(cross_modal_contrast(T, S, 0.3)),
        to_numpy(info_nce(T, S, 0.3)),
    )
    by_teacher, by_student = gradient(
        lambda t, s: ops.sum(cross_modal_contrast(t, s, 0.3)), T, S
    )
    moving, expected = gradient(lambda t, s: ops.sum(info_nce(t, s, 0.3)), T, S)
    assert np.all(by_teacher == 0)
    assert np.abs(moving).max() > 0.01
    np.testing.assert_allclose(by_student, expected, rtol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match="temperature.*positive. Received: 0"):
        CrossModalContrast(temperature=0)
