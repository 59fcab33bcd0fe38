import json

import numpy as np
import pytest

from keras_xkd.benchmark import umt_laziness


def made_up(joint, umt):
    noise = np.array([0.1, -0.1, 0.05, -0.05])
    rows = [*umt_laziness.ACCURACIES]
    probes = [f"{m} {row}" for m in ("audio", "image") for row in
              umt_laziness.PROBES]  # fmt: skip
    return [
        {
            **dict.fromkeys([*rows, *probes], 70.0),
            "audio joint": joint + n,
            "audio umt": umt + 2 * n,
        }
        for n in noise
    ]


@pytest.mark.parametrize(
    ("joint", "umt", "claim", "words"),
    [
        (60, 69, "holds", "is lazy, and UMT cures it"),
        (60, 60, "in part", "is lazy, and UMT does not cure it"),
        (70, 75, "in part", "is not lazy, and UMT cures it"),
        (75, 70, "not", "is not lazy, and UMT does not cure it"),
    ],
)
def test_judgement(joint, umt, claim, words):
    judged = umt_laziness.judge(made_up(joint, umt))
    assert judged["claim"] == claim
    assert f"{words}: {claim}." in umt_laziness.text(judged)


def test_run(tmp_path, capsys):
    umt_laziness.run([5], tmp_path, quick=True, arguments=["benchmark"])
    printed = capsys.readouterr().out
    assert "| audio alone " in printed and "| UMT - joint " in printed
    content = json.loads((tmp_path / "umt-laziness.json").read_text())
    found = content["by_seed"]["5"]
    assert {"ume", "umt", "joint", "audio long", "image umt"} < set(found)
    assert all(0 < value <= 100 for value in found.values())
    assert (tmp_path / "umt-laziness.png").stat().st_size > 10_000
