import json

import numpy as np
import pytest

from keras_xkd.benchmark import complementarity
from keras_xkd.benchmark import gaussians


def test_few_samples_are_the_first():
    (x, y), (x_test, y_test) = complementarity.few(4, [5, 6])
    (x_all, y_all), (x_same, _) = gaussians.load(4, [5, 6])
    assert y.shape == (50, 2)
    np.testing.assert_array_equal(x["teacher"], x_all["teacher"][:50])
    np.testing.assert_array_equal(y, y_all[:50])
    np.testing.assert_array_equal(x_test["student"], x_same["student"])
    assert y_test.shape == (1000, 2)


def made_up(gain, left, right):
    spread = np.array([0.1, -0.1, 0.05, -0.05])
    result = {"family": "factors, good teacher", "share": 0.5}
    result["gain"] = (gain + spread).tolist()
    for way, value in (("features", left + 9), ("decisions", left)):
        result[f"{way}_left"] = (value + spread / 9).tolist()
        result[f"{way}_right"] = (right - spread / 9).tolist()
        result[f"{way}_verdicts"] = ["help", "help", "not", "unclear"]
    return result


@pytest.mark.parametrize(
    ("gain", "left", "agreement"),
    [
        (1.0, 0.8, "agrees"),
        (-1.0, 0.2, "agrees"),
        (1.0, 0.2, "contradicts"),
        (-1.0, 0.8, "contradicts"),
        (0.0, 0.8, "open"),
        (1.0, 0.5, "open"),
    ],
)
def test_judgement(gain, left, agreement):
    rows = complementarity.judge([made_up(gain, left, 0.5)])
    assert rows[0]["decisions"]["agreement"] == agreement
    assert rows[0]["decisions"]["left"] == pytest.approx(left)
    counts = {"help": 2, "unclear": 1, "not": 1}
    assert rows[0]["decisions"]["verdicts"] == counts
    text = complementarity.text(rows)
    assert f"Of 1 problems, decisions: 1 {agreement}." in text
    assert " 2 / 1 / 1 |" in text


def test_run(tmp_path, capsys):
    complementarity.run([0, 1], tmp_path, quick=True, arguments=["benchmark"])
    printed = capsys.readouterr().out
    assert "| problem " in printed
    assert "Of 4 problems, decisions:" in printed
    content = json.loads((tmp_path / "complementarity.json").read_text())
    assert content["seeds"] == [0, 1]
    assert len(content["by_seed"]["0"]) == 4
    assert "decisions_left" in content["by_seed"]["1"][0]
    assert (tmp_path / "complementarity.png").stat().st_size > 10_000
