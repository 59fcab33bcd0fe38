import json

from keras_xkd.benchmark import teacher_cache


def test_quick(tmp_path):
    results = teacher_cache.run([0, 1], tmp_path, quick=True)
    for clock in ("wall", "processor"):
        seconds = results["seconds"][clock]
        assert sorted(seconds) == ["cached", "live", "student"]
        assert {len(own) for own in seconds.values()} == {2}
        assert results["ratios"][clock]["student"]["ratio"] == 1
    written = json.loads((tmp_path / "teacher_cache.json").read_text())
    assert written["ratios"] == results["ratios"]


def test_ratio():
    found = teacher_cache.ratio([1.0, 3.0, 5.0], [1.0, 2.0, 3.0])
    assert found["ratio"] == 1.5
    assert found["low"] == 1 <= found["high"] == 5 / 3
