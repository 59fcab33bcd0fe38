import json

import keras
import numpy as np
import pytest

from keras_xkd.benchmark import rows
from keras_xkd.benchmark.study import Restart
from keras_xkd.benchmark.study import Study
from tests.distiller_case import classifier
from tests.distiller_case import make_data


def test_what_was_measured_is_not_measured_again(tmp_path):
    asked = []

    def one_seed(seed):
        asked.append(seed)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return {"value": seed / 2}

    def measure(settings):
        study = Study("some", tmp_path, settings)
        return study.measure([4, 5, 6], one_seed, report=lambda line: None)

    with pytest.raises(KeyboardInterrupt):
        measure({"steps": (1, 2)})
    assert asked == [4, 5, 6]
    found = measure({"steps": (1, 2)})
    assert found == [{"value": 2.0}, {"value": 2.5}, {"value": 3.0}]
    assert asked == [4, 5, 6, 6]
    written = json.loads((tmp_path / "some.json").read_text())
    assert written["by_seed"]["5"] == {"value": 2.5}
    assert written["seeds"] == [4, 5, 6]
    # Numbers of other settings are not mixed in.
    measure({"steps": (1, 3)})
    assert asked == [4, 5, 6, 6, 4, 5, 6]


def test_restart_equals_a_new_model():
    x, y = make_data()

    def new(seed):
        # Without dropout: Keras draws from its seed once more in a first `fit`.
        keras.utils.set_random_seed(seed)
        return classifier("audio", 4, batch_norm=True)

    def fit(model, seed):
        keras.utils.set_random_seed(seed)
        model.fit(x["audio"], y, epochs=2, shuffle=False, verbose=0)
        return model.get_weights()

    arguments = dict(
        optimizer=keras.optimizers.Adam(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model = new(1)
    model.compile(**arguments)
    restart = Restart(model)
    fit(model, 1)
    again = fit(restart(new(2)), 2)
    other = new(2)
    other.compile(**{**arguments, "optimizer": keras.optimizers.Adam(0.01)})
    for a, b in zip(again, fit(other, 2), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_tables():
    values = rows.columns([{"a": 1.0, "b": 2.0}, {"a": 2.0, "b": 3.1}])
    text = rows.means(values, {"b": "second", "a": "first"}, digits=2)
    assert "| second | 2.55 | 0.78 |" in text
    text, found = rows.differences(values, {"b - a": ("b", "a")}, digits=2)
    assert "+1.05" in text and "+0.41 to +1.69" in text and "higher" in text
    assert found["b - a"]["verdict"] == "better"
