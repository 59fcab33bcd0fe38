import json

import numpy as np
import pytest

from keras_xkd.benchmark import umt_or_ume


def test_problems_are_what_they_are_said_to_be():
    x, y = umt_or_ume.paired(3, "test")
    difference = x["first"] - x["second"]
    np.testing.assert_allclose(difference[:, 0], y, atol=1e-6)
    # The first modality alone: the error function of 1 / (2 sigma).
    right = np.mean((x["first"][:, 0] > 0.5) == y)
    assert right == pytest.approx(0.6306, abs=0.03)
    assert np.mean((x["second"][:, 0] > 0) == y) == pytest.approx(0.5, abs=0.03)

    x, y = umt_or_ume.unimodal(3, "test")
    noise = [
        x[name] - np.stack([x[name][y == k].mean(0) for k in (0, 1)])[y]
        for name in umt_or_ume.MODALITIES
    ]
    assert [n.std() for n in noise] == pytest.approx([5.0, 5.0], abs=0.05)
    # Given the label, nothing of one modality is in the other.
    shared = (noise[0].T @ noise[1]) / len(y) / 25
    assert np.abs(shared).max() < 5 / np.sqrt(len(y))
    for problem in umt_or_ume.PROBLEMS.values():
        (a, y), (b, _) = problem(0, "train"), problem(0, "train")
        np.testing.assert_array_equal(a["first"], b["first"])
        assert len(y) == 100
        assert not np.array_equal(
            problem(0, "validation")[0]["first"][:100], a["first"]
        )


def made_up(gap, choice):
    noise = np.array([0.1, -0.1, 0.05, -0.05])
    return [
        {
            "ume": 70.0,
            "umt": 70 + gap + n,
            "joint": 69.0 + n,
            "first": 60.0,
            "second": 50.0,
            "A": 70.0,
            "B": 75.0,
            "interval": [4.0, 6.0],
            "choice": choice,
            "rule": "UMT",
        }
        for n in noise
    ]


@pytest.mark.parametrize(
    ("unimodal", "paired", "claim"),
    [
        ((-5, "UME"), (5, "UMT"), "holds"),
        ((5, "UME"), (5, "UMT"), "in part"),
        ((-5, "UMT"), (5, "UMT"), "in part"),
        ((0, "UME"), (5, "UME"), "not"),
    ],
)
def test_judgement(unimodal, paired, claim, tmp_path):
    results = [
        {"uni-modal": one, "paired": two}
        for one, two in zip(made_up(*unimodal), made_up(*paired))
    ]
    judged = umt_or_ume.judge(results)
    assert judged["claim"] == claim
    text = umt_or_ume.text(judged)
    assert f"better on the test set: {claim}." in text
    assert f"{4 if paired[1] == 'UMT' else 0} of 4" in text


def test_run(tmp_path, capsys):
    umt_or_ume.run([5], tmp_path, quick=True, arguments=["benchmark"])
    printed = capsys.readouterr().out
    assert "| UME " in printed and "| UMT " in printed
    content = json.loads((tmp_path / "umt-or-ume.json").read_text())
    found = content["by_seed"]["5"]["paired"]
    assert set(umt_or_ume.TITLES) < set(found)
    # Random features of both modalities tell the label, without training.
    assert found["B"] > 95 > 75 > found["A"]
    assert found["choice"] == "UMT"
    assert (tmp_path / "umt-or-ume.png").stat().st_size > 10_000
