import keras
import numpy as np
from keras import ops

from keras_xkd.utils.running_means import RunningMeans
from tests.test_case import to_numpy


def test_means_of_all_samples():
    """As `keras.metrics.Mean`, one for each name."""
    rng = np.random.default_rng(0)
    means = RunningMeans(["a", "b"])
    single = {name: keras.metrics.Mean() for name in "ab"}
    for count in (4, 1, 7):
        values = {name: ops.convert_to_tensor(rng.normal()) for name in "ab"}
        if count == 1:
            del values["b"]
        means.update_state(values, count)
        for name, value in values.items():
            single[name].update_state(value, sample_weight=count)
    found = means.result()
    for name, mean in single.items():
        expected = to_numpy(mean.result())
        np.testing.assert_allclose(to_numpy(found[name]), expected, 1e-6)
    means.reset_state()
    assert {k: float(v) for k, v in means.result().items()} == {"a": 0, "b": 0}


def test_nothing_counts_nothing():
    means = RunningMeans(["a"])
    means.update_state({"a": ops.convert_to_tensor(2.0)}, 3)
    means.update_state({"a": ops.convert_to_tensor(float("nan"))}, 0)
    assert float(means.result()["a"]) == 2
    means.update_state({"a": ops.convert_to_tensor(float("nan"))}, 1)
    assert np.isnan(float(means.result()["a"]))


def test_half_precision_counts_in_float32():
    means = RunningMeans(["a"])
    for _ in range(3):
        value = ops.cast(60000.0, "float16")
        means.update_state({"a": value}, ops.convert_to_tensor(4096))
    assert float(means.result()["a"]) == float(ops.cast(60000.0, "float16"))
