import pathlib
import runpy
import sys

import keras
import keras_hub
import numpy as np
import onnxruntime
import pytest

from tests.datasets import media_files
from tests.test_case import to_numpy

SCRIPT = pathlib.Path(__file__).parents[2] / "examples/files_to_student.py"
SIZE = {"num_layers": 1, "num_heads": 2, "hidden_dim": 16}


def write_clips(folder):
    """Two kinds of clips: bright and high, dark and low."""
    for label, hertz, gray in (("high", 1200, 200), ("low", 300, 40)):
        for i in range(6):
            place = pathlib.Path("train") / label / f"{label}_{i}"
            media_files.write_video(
                folder / "video" / place.with_suffix(".mp4"),
                media_files.grays([gray + i] * 10),
            )
            media_files.write_wav(
                folder / "audio" / place.with_suffix(".wav"),
                media_files.sine(frequency=hertz + 10 * i),
            )
            text = folder / "text" / place.with_suffix(".txt")
            text.parent.mkdir(parents=True, exist_ok=True)
            text.write_text(f"a {label} note")


def write_presets(folder):
    hub = keras_hub.models
    vit = hub.ViTBackbone((32, 32, 3), 8, mlp_dim=32, **SIZE)
    bert = hub.BertBackbone(8, intermediate_dim=32, **SIZE)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "high", "low", "a"]
    vit.save_to_preset(folder / "vit")
    bert.save_to_preset(folder / "bert")
    hub.BertTokenizer(words).save_to_preset(folder / "bert")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Constant folding:UserWarning")
def test_from_files_to_a_student(tmp_path, monkeypatch):
    write_clips(tmp_path / "clips")
    write_presets(tmp_path / "presets")
    lines = SCRIPT.read_text().splitlines()[1:]
    assert len([n for n in lines if n and not n.startswith("#")]) < 25
    folders = [str(tmp_path / n) for n in ("clips", "presets", "output")]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *folders])
    found = runpy.run_path(str(SCRIPT))

    history = found["distiller"].history.history
    assert history["accuracy"][-1] == 1
    assert history["distillation_loss"][-1] < history["distillation_loss"][0]
    sound = np.random.default_rng(0).normal(0, 0.1, (3, 16000))
    sound = sound.astype("float32")
    expected = to_numpy(found["student"]({"audio": sound}))
    loaded = keras.models.load_model(tmp_path / "output/student.keras")
    np.testing.assert_allclose(
        to_numpy(loaded({"audio": sound})), expected, atol=1e-5
    )
    session = onnxruntime.InferenceSession(tmp_path / "output/student.onnx")
    (logits,) = session.run(None, {session.get_inputs()[0].name: sound})
    np.testing.assert_allclose(logits, expected, atol=1e-4)
