import json

import keras
import numpy as np
import pytest

from keras_xkd.benchmark import gaussians
from keras_xkd.datasets import correlated_gaussians
from tests.test_case import to_numpy


def softmax(z):
    p = np.exp(z - z.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def descend(x, targets, steps):
    """One softmax regression by gradient descent, in double precision.

    Cross-entropy with labels and the KL divergence at temperature 1 have the
    same gradient: prediction minus target.
    """
    kernel, bias = np.zeros((x.shape[1], 2)), np.zeros(2)
    for _ in range(steps):
        p = softmax(x @ kernel + bias)
        error = sum(p - target for target in targets) / len(x)
        kernel = kernel - 0.1 * x.T @ error
        bias = bias - 0.1 * error.sum(0)
    return kernel, bias


def reference(overlap, seed, steps):
    """The weights of teacher, student alone and distilled student."""
    (x, y), _ = correlated_gaussians.load_data(overlap=overlap, seed=seed)
    x = {name: view.astype("float64") for name, view in x.items()}
    labels = np.eye(2)[y]
    teacher = descend(x["teacher"], [labels], steps)
    soft = softmax(x["teacher"] @ teacher[0] + teacher[1])
    return {
        "teacher": teacher,
        "alone": descend(x["student"], [labels], steps),
        "distilled": descend(x["student"], [labels, soft], steps),
    }


@pytest.mark.parametrize("overlap", [0, 6])
def test_weights_agree_with_numpy(overlap):
    seeds, steps = [3, 11, 4], 40
    (x, y), _ = gaussians.load(overlap, seeds)
    teacher = gaussians.train("teacher", x, y, steps)
    models = {
        "teacher": teacher,
        "alone": gaussians.train("student", x, y, steps),
        "distilled": gaussians.distil(teacher, x, y, steps),
    }
    for i, seed in enumerate(seeds):
        expected = reference(overlap, seed, steps)
        for name, model in models.items():
            found = [to_numpy(v.value)[i] for v in model.weights]
            for one, two in zip(found, expected[name], strict=True):
                np.testing.assert_allclose(one, two, atol=2e-5, err_msg=name)


def test_measure_reports_test_accuracy():
    seeds, steps = [0, 5], 30
    (result,) = gaussians.measure(
        seeds, steps, overlaps=[4], report=lambda line: None
    )
    assert result["gamma"] == 0.25
    for i, seed in enumerate(seeds):
        _, (x, y) = correlated_gaussians.load_data(overlap=4, seed=seed)
        for name, (kernel, bias) in reference(4, seed, steps).items():
            view = "teacher" if name == "teacher" else "student"
            predicted = (x[view] @ kernel + bias).argmax(-1)
            # A sample on the very boundary may fall on either side.
            assert result[name][i] == pytest.approx(
                100 * np.mean(predicted == y), abs=0.21
            )


def made_up(gains):
    noise = np.array([0.1, -0.1, 0.05, -0.05])
    return [
        {
            "gamma": gamma,
            "teacher": [70.0] * 4,
            "alone": [60.0] * 4,
            "distilled": (60 + gain + noise * (1 + gamma)).tolist(),
        }
        for gamma, gain in zip([0.0, 0.25, 2 / 3, 1.0], gains)
    ]


@pytest.mark.parametrize(
    ("gains", "claim", "rises"),
    [
        ([-3, -1, 2, 3], "holds", True),
        ([3, 2, -1, -3], "not", False),
        ([-3, 2, 1, 3], "in part", False),
        ([0, 1, 2, 3], "in part", True),
        ([-3, -2, -1, 3], "in part", True),
    ],
)
def test_judgement(gains, claim, rises):
    judged = gaussians.judge(made_up(gains))
    assert judged["claim"] == claim
    assert judged["rises"] is rises
    assert f"on this data: {claim}." in gaussians.text(judged)


def test_run(tmp_path, capsys):
    gaussians.run([0, 1], tmp_path, quick=True, arguments=["benchmark"])
    printed = capsys.readouterr().out
    assert "| gamma | teacher | student alone |" in printed
    content = json.loads((tmp_path / "gaussians.json").read_text())
    assert content["seeds"] == [0, 1]
    assert content["settings"] == {"steps": 10}
    assert len(content["by_seed"]["1"]) == 6
    assert keras.backend.backend() in content["command"]
    assert (tmp_path / "gaussians.png").stat().st_size > 10_000
    # Only the seed that is not there is measured, and joins the others.
    judged = gaussians.run([1, 2], tmp_path, quick=True)
    assert "1 of 2 seeds" in capsys.readouterr().out
    fresh = gaussians.run([1, 2], tmp_path / "fresh", quick=True)
    assert judged == fresh


def test_one_seed_has_no_interval(tmp_path):
    judged = gaussians.judge([{**r, "alone": [60.0], "teacher": [70.0],
                               "distilled": r["distilled"][:1]}
                              for r in made_up([-3, -1, 2, 3])])  # fmt: skip
    assert judged["claim"] == "not"
    assert "unclear" in gaussians.text(judged)
    assert gaussians.draw(judged, tmp_path / "one.png").exists()
