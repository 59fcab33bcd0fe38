import json

import keras
import numpy as np
import pytest

from keras_xkd.benchmark import two_moons as benchmark
from keras_xkd.datasets import two_moons
from tests.test_case import to_numpy


def softmax(z):
    p = np.exp(z - z.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def forward(weights, x):
    hidden = [x]
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2]):
        hidden.append(np.maximum(hidden[-1] @ kernel + bias, 0))
    return hidden, hidden[-1] @ weights[-2] + weights[-1]


def descend(weights, x, y, steps):
    """One network by gradient descent, in double precision."""
    weights = [np.asarray(w, "float64") for w in weights]
    for _ in range(steps):
        hidden, logits = forward(weights, x)
        error = (softmax(logits) - np.eye(2)[y]) / len(y)
        new = list(weights)
        for i in (4, 2, 0):
            new[i] = weights[i] - 0.01 * hidden[i // 2].T @ error
            new[i + 1] = weights[i + 1] - 0.01 * error.sum(0)
            error = error @ weights[i].T * (hidden[i // 2] > 0)
        weights = new
    return weights


def of_run(model, run):
    return [to_numpy(v.value)[run] for v in model.weights]


def test_runs_agree_with_numpy():
    """A teacher, and a student that learns from its labels."""
    data_seeds, seeds, steps = [42, 5], [3, 8], 60
    (x, y), (x_unlabelled, _), _ = benchmark.load(data_seeds)
    teacher = benchmark.networks(benchmark.ONE, seeds, 0)
    student = benchmark.networks(benchmark.TWO, seeds, 2)
    start = [[of_run(m, i) for i in range(2)] for m in (teacher, student)]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    own = {"alpha": x["alpha"]}
    benchmark.train(teacher, (own, y), steps, "teacher", loss=loss)
    benchmark.distil(student, teacher, x_unlabelled, steps, "student")
    for run, seed in enumerate(data_seeds):
        (a, b), (u, _), _ = two_moons.load_data(seed)
        expected = descend(start[0][run], a["alpha"], b, steps)
        for one, two in zip(of_run(teacher, run), expected, strict=True):
            np.testing.assert_allclose(one, two, atol=2e-5)
        labels = forward(expected, u["alpha"])[1].argmax(-1)
        points = np.concatenate([u["alpha"], u["beta"]], 1)
        expected = descend(start[1][run], points, labels, steps)
        for one, two in zip(of_run(student, run), expected, strict=True):
            np.testing.assert_allclose(one, two, atol=2e-5)


def test_initial_weights():
    """Uniform with bounds 1 / sqrt(fan in), also for the biases."""
    model = benchmark.networks(benchmark.TWO, list(range(200)), 2)
    shapes = [v.shape for v in model.weights]
    assert shapes[0] == (200, 2, 16) and shapes[3] == (200, 16)
    for variable, fan_in in zip(model.weights, (2, 2, 16, 16, 16, 16)):
        values = to_numpy(variable.value)
        bound = fan_in**-0.5
        assert np.abs(values).max() <= bound
        np.testing.assert_allclose(values.std(), bound / 3**0.5, rtol=0.1)
    # Those of one seed are the same beside other seeds.
    alone = benchmark.networks(benchmark.TWO, [7], 2)
    for one, all_of_them in zip(alone.weights, model.weights, strict=True):
        np.testing.assert_array_equal(
            to_numpy(one.value)[0], to_numpy(all_of_them.value)[7]
        )


def test_noise_has_the_scale_of_each_run():
    x = {
        name: np.full((4000, 2, 1), size) * np.array([[[1.0], [10.0]]])
        for name, size in [("alpha", 1.0), ("beta", -3.0)]
    }
    noisy = benchmark.noise(0)(x, training=True)
    for name in x:
        added = to_numpy(noisy[name]) - x[name]
        np.testing.assert_allclose(
            added.std((0, 2)), [2.0, 20.0], rtol=0.05, err_msg=name
        )


@pytest.mark.parametrize(
    ("mke", "gain", "words"),
    [
        (77.0, 5.0, ["77.0, inside", "in 2 of 2", "+5.0 points on average: m"]),
        (70.0, -1.0, ["70.0, OUTSIDE", "in 0 of 2", "average: NOT more"]),
    ],
)
def test_judgement(mke, gain, words):
    values = {row: [60.0, 61.0] for row in benchmark.ROWS}
    accuracies = {
        "notebook": {**values, "mke": [mke - 1, mke + 1]},
        "draws": {**values, "mke": [60 + gain, 61 + gain]},
    }
    agreements = {"copy": [99.0], "mke": [90.0]}
    written = benchmark.text(
        accuracies, {"notebook": agreements, "draws": agreements}
    )
    assert all(word in written for word in words)


def test_run(tmp_path, capsys):
    benchmark.run([0, 1], tmp_path, quick=True, arguments=["benchmark"])
    assert "| MKE: student on both, perturbed" in capsys.readouterr().out
    content = json.loads((tmp_path / "two-moons.json").read_text())
    for setting in benchmark.SETTINGS:
        found = content["accuracies"][setting]
        assert list(found) == list(benchmark.ROWS)
        assert all(len(values) == 2 for values in found.values())
    assert (tmp_path / "two-moons.png").stat().st_size > 10_000
