import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_xkd.datasets import av_digits
from keras_xkd.demo import experiment
from keras_xkd.demo import networks
from keras_xkd.demo import run as demo
from keras_xkd.distillers import CrossModalDistiller

FILES = ["comparison.png", "curves.png", "results.json", "student.keras"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder that a short run leaves, and what it returned."""
    output = tmp_path_factory.mktemp("demo")
    results = demo.run([0, 1], output, quick=True, arguments=["demo", "-q"])
    return output, results


def run_python(code, folder):
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_files(finished):
    output, results = finished
    assert sorted(path.name for path in output.iterdir()) == FILES
    for name in FILES[:2]:
        assert (output / name).read_bytes().startswith(b"\x89PNG")
        assert (output / name).stat().st_size > 10_000
    content = json.loads((output / "results.json").read_text())
    assert content["seeds"] == [0, 1]
    assert content["command"].endswith("python -m keras_xkd demo -q")
    assert content["backend"] == keras.backend.backend()
    assert content["summary"] == results["summary"]


def test_equal_budgets_and_complete_histories(finished):
    _, results = finished
    for row, histories in results["histories"].items():
        loss = "distillation_loss" if row == "distilled" else "loss"
        for history in histories:
            assert len(history[loss]) == len(history[f"val_{loss}"]) == 1


def test_the_summary_is_of_the_accuracies(finished):
    _, results = finished
    for row, values in results["accuracies"].items():
        assert len(values) == 2
        assert results["summary"][row]["mean"] == pytest.approx(np.mean(values))
    gap = np.subtract(*(results["accuracies"][r] for r in ("distilled", "few")))
    assert results["distilled_minus_few"]["mean"] == pytest.approx(gap.mean())


def test_the_student_needs_keras_alone(finished):
    output, results = finished
    _, _, (x, y) = av_digits.load_data()
    np.save(output.parent / "audio.npy", x["audio"])
    printed = run_python(
        "import sys\n"
        "sys.modules['keras_xkd'] = None\n"
        "import keras, numpy as np\n"
        f"student = keras.models.load_model('{output / 'student.keras'}')\n"
        f"audio = np.load('{output.parent / 'audio.npy'}')\n"
        "digits = student.predict(audio, verbose=0).argmax(-1)\n"
        "print(digits.tolist())",
        output,
    )
    accuracy = 100 * np.mean(np.array(json.loads(printed)) == y)
    assert accuracy == pytest.approx(results["accuracies"]["distilled"][0])


def test_the_snippet_runs(finished):
    output, results = finished
    shown = demo.farewell(output, 0)
    snippet = shown[shown.index("import keras") :]
    accuracy = float(run_python(snippet, output))
    expected = results["accuracies"]["distilled"][0] / 100
    assert accuracy == pytest.approx(expected)


def test_the_student_gets_no_label(monkeypatch):
    seen = []
    fit = CrossModalDistiller.fit

    def watch(self, x, y=None, validation_data=None, **kwargs):
        seen.append((x, y, validation_data))
        return fit(self, x, y, validation_data=validation_data, **kwargs)

    monkeypatch.setattr(CrossModalDistiller, "fit", watch)
    experiment.run_seed(0, steps=1)
    ((x, y, validation_data),) = seen
    assert y is None
    assert set(x) == {"audio", "image"}
    assert len(validation_data) == 1
    assert set(validation_data[0]) == {"audio", "image"}


def test_a_set_is_repeated_in_whole():
    x, y = experiment._repeat({"a": np.arange(3)}, np.array([5, 6, 7]), 6)
    assert x["a"].tolist() == [0, 1, 2, 0, 1, 2]
    assert y.tolist() == [5, 6, 7, 5, 6, 7]


def test_networks():
    for make, name in [
        (networks.image_network, "image"),
        (networks.audio_network, "audio"),
    ]:
        network = make()
        assert network.input.name == name
        assert network.output.shape == (None, 10)
    assert networks.audio_network().count_params() == 33_098


def test_text_of_one_seed():
    values = {row: [50.0] for row in experiment.TITLES}
    summary = {row: demo.summarise(v) for row, v in values.items()}
    gap = demo.compare([50.0], [40.0])
    text = demo.text(
        {
            "steps": 5,
            "summary": summary,
            "accuracies": values,
            "distilled_minus_few": gap,
            "distilled_minus_all": gap,
        }
    )
    assert "1 seed, 5 steps" in text
    assert "+10.0 points (-) against audio, all labels" in text
