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
