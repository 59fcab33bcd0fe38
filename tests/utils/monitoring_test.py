import keras
import pytest

from keras_xkd.metrics import PearsonCorrelation
from keras_xkd.utils.monitoring import choose_modes
from keras_xkd.utils.role_metrics import resolve_metric


@pytest.mark.parametrize(
    ("monitor", "mode", "expected"),
    [
        ("val_accuracy", "auto", "max"),
        ("mae", "auto", "min"),
        ("val_pearson_correlation", "auto", "max"),
        ("val_image_distillation_loss", "auto", "min"),
        ("val_accuracy", "min", "min"),
        ("val_something", "auto", "auto"),
    ],
)
def test_the_better_direction(monitor, mode, expected):
    metrics = [resolve_metric("accuracy"), resolve_metric("mae")]
    metrics.append(PearsonCorrelation())
    callback = keras.callbacks.EarlyStopping(monitor, mode=mode)
    choose_modes([keras.callbacks.Callback(), [callback]], metrics)
    assert callback.mode == expected
    choose_modes(None, metrics)
