import json

import numpy as np
import pytest

from keras_xkd.benchmark import cmcd
from keras_xkd.benchmark import cmcd_report


def made_up(seed, share, tracks):
    """Results of a problem in which LE gains with the share."""
    noise = np.random.default_rng([seed, int(100 * share)]).normal(0, 0.1, 9)
    found = {"scratch": 30.0 + noise[0]}
    for i, name in enumerate(cmcd_report.OBJECTIVES):
        found |= {
            f"{name}_le": 40 - 20 * share + noise[i + 1],
            f"{name}_ft": 30.0 + noise[i + 4],
            f"{name}_total_variation": 0.5 + noise[7],
            f"{name}_joint_total_variation": 1 - share if tracks else 0.3,
            f"{name}_cosine": share,
        }
    return found


def results(tracks=True, seeds=20):
    return [
        {f"{s:g}": made_up(seed, s, tracks) for s in (0, 0.5, 1)}
        for seed in range(seeds)
    ]


def test_verdicts_on_made_up_numbers():
    judged = cmcd_report.judge(results())
    gains = judged["gains"]["cmc_le"]
    assert [gains[s]["verdict"] for s in gains] == [
        "better",  # That is, a higher error.
        "unclear",
        "worse",
    ]
    assert judged["slopes"]["cmc_le"]["verdict"] == "worse"
    assert judged["slopes"]["cmc_ft"]["verdict"] == "unclear"
    found = judged["correlations"]["cmc"]
    assert found["joint_total_variation"]["low"] > 0.9
    assert found["cosine"]["high"] < -0.9
    assert found["total_variation"]["verdict"] == "unclear"
    # A distance that does not move cannot track anything.
    constant = cmcd_report.judge(results(tracks=False))["correlations"]["cmc"]
    assert constant["joint_total_variation"]["mean"] == 0


@pytest.mark.slow
def test_smoke_run(tmp_path, capsys, monkeypatch):
    one = {"cmc": "CMC"}  # For time.
    monkeypatch.setattr(cmcd, "OBJECTIVES", one)
    monkeypatch.setattr(cmcd_report, "OBJECTIVES", one)
    cmcd.run([3], str(tmp_path), quick=True, arguments=["benchmark", "cmcd"])
    printed = capsys.readouterr().out
    for title in ("from scratch", "CMC, FT", "CMC, label-joint TV"):
        assert title in printed
    written = json.loads((tmp_path / "cmcd.json").read_text())
    found = written["by_seed"]["3"]
    for sweep in ("factors", "label"):
        assert sorted(found[sweep]) == ["0", "1"]
        assert found[sweep]["1"].keys() == made_up(0, 0, True).keys()
    # The label is no part of stages 1 and 2.
    before, after = found["label"].values()
    for key in ("cmc_cosine", "cmc_total_variation"):
        assert before[key] == after[key]
    assert found["factors"]["0"]["cmc_cosine"] != before["cmc_cosine"]
    assert (tmp_path / "cmcd.png").stat().st_size > 10_000
