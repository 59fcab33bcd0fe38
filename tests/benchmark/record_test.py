import json

import keras

from keras_xkd.benchmark import record


def test_write(tmp_path):
    path = record.write(
        tmp_path / "new" / "a.json", {"gain": 1.5}, ["demo", "a b"], range(2)
    )
    content = json.loads(path.read_text())
    backend = keras.backend.backend()
    assert content["gain"] == 1.5
    assert content["seeds"] == [0, 1]
    assert content["backend"] == backend
    assert content["versions"]["keras"] == keras.__version__
    assert set(content["versions"]) == {"keras", "keras_xkd", "numpy", backend}
    assert content["command"] == (
        f"KERAS_BACKEND={backend} python -m keras_xkd demo 'a b'"
    )
    assert f"keras {keras.__version__}" in record.describe()
