import json

import keras
import numpy as np
import pytest

from keras_xkd.benchmark import export
from keras_xkd.models import LateFusion

ON_TORCH = keras.backend.backend() == "torch"


@pytest.mark.parametrize(
    ("student", "title"),
    [
        ("convolutional", "SavedModel"),
        ("convolutional", "ONNX"),
        ("LateFusion of two modalities", "SavedModel"),
        pytest.param(
            "keras-hub BERT, any length",
            "ONNX, fixed sizes",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_works(student, title, capfd):
    found = export.attempt(student, title)
    # Keras cannot export a SavedModel on PyTorch: the README says so.
    expected = not (ON_TORCH and title == "SavedModel")
    assert found["works"] == expected, found["detail"]
    printed = capfd.readouterr()
    assert not printed.out and not printed.err


def test_a_student_that_predicts_otherwise_does_not_work(monkeypatch):
    monkeypatch.setattr(export, "difference", lambda *_: 0.5)
    assert export.attempt("dense", "ONNX") == {
        "works": False,
        "detail": "differs by 5e-01",
    }

    def refuse(*_):
        raise TypeError("no\n  such format")

    monkeypatch.setattr(export, "difference", refuse)
    cell = export.attempt("dense", "ONNX")
    assert cell == {"works": False, "detail": "TypeError: no such format"}


def test_table(monkeypatch, tmp_path, capsys):
    cells = iter(
        [
            {"works": True, "detail": "differs by 1e-07"},
            {"works": False, "detail": "TypeError: no"},
            {"works": True, "detail": "differs by 2e-07"},
        ]
    )
    monkeypatch.setattr(export, "attempt", lambda *_: next(cells))
    export.run([0], tmp_path, quick=True)
    printed = capsys.readouterr().out
    assert "| dense" in printed and "dense, ONNX: TypeError: no" in printed
    backend = keras.backend.backend()
    saved = json.loads((tmp_path / f"export_{backend}.json").read_text())
    works = [cell["works"] for cell in saved["exports"]["dense"].values()]
    assert works == [True, False, True]


@pytest.mark.filterwarnings("ignore")  # Of the exporter itself.
def test_a_late_fusion_that_is_told_what_is_present(tmp_path):
    """The masks are inputs of the exported network, if one asks for them."""
    import onnxruntime

    student = export.late_fusion()
    assert isinstance(student, LateFusion)
    x = export.samples(student, 4)
    x["present"] = {
        "audio": np.array([1, 1, 0, 0], "float32"),
        "image": np.array([1, 0, 1, 0], "float32"),
    }
    signature = {
        "audio": keras.InputSpec("float32", (None, 8), name="audio"),
        "image": keras.InputSpec("float32", (None, 16, 16, 3), name="image"),
        "present": {
            name: keras.InputSpec("float32", (None,), name=f"present_{name}")
            for name in ("audio", "image")
        },
    }
    path = str(tmp_path / "student.onnx")
    student.export(path, "onnx", verbose=False, input_signature=[signature])
    session = onnxruntime.InferenceSession(path)
    feed = {name: x[name] for name in ("audio", "image")}
    feed |= {f"present_{n}": mask for n, mask in x["present"].items()}
    names = {node.name for node in session.get_inputs()}
    assert names == set(feed)
    (found,) = session.run(None, feed)
    np.testing.assert_allclose(found, student.predict(x, verbose=0), atol=1e-5)
