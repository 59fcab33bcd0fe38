import json

import numpy as np

from keras_xkd.benchmark import amid
from keras_xkd.benchmark import amid_problems


def test_the_weak_modality_is_the_students():
    (x, y), (x_test, _) = amid_problems.load("digits", 0)
    assert x["s"].shape == (1200, 64) and x_test["a"].shape == (300, 64)
    (x, y), _ = amid_problems.load("few", 3)
    assert len(y) == 300 and set(np.unique(y)) == {0, 1, 2, 3}


def test_quick(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(amid, "PROBLEMS", {"few": "latent factors"})
    rows = ("ce", "full")
    monkeypatch.setattr(amid, "ROWS", {row: amid.ROWS[row] for row in rows})
    title, difference = "student: AMID against task only", ("student", *rows)
    monkeypatch.setattr(amid, "DIFFERENCES", {title: difference})
    judged = amid.run([0, 1], str(tmp_path), quick=True)
    printed = capsys.readouterr().out
    assert "AMID: + I(T;S) + I(T;A) - H(T|S)" in printed and title in printed
    written = json.loads((tmp_path / "amid.json").read_text())
    results = [written["by_seed"][s]["few"] for s in ("0", "1")]
    found = judged["few"]["rows"]["teacher ce"]["mean"]
    assert found == np.mean([r["ce"]["teacher"] for r in results])
    # The rows start alike, and end otherwise.
    assert results[0]["ce"] != results[0]["full"]
    assert (tmp_path / "amid.png").stat().st_size > 10_000
    # Everything is on disk: nothing is trained again.
    monkeypatch.setattr(amid, "Runner", lambda epochs: None)
    assert amid.run([0, 1], str(tmp_path), quick=True)["few"] == judged["few"]
