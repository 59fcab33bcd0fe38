import json

import keras
import numpy as np

from keras_xkd.benchmark import loaders


def test_every_loader_reads_every_clip(tmp_path):
    builder = loaders.prepare(tmp_path, size=10, pixels=8)
    kinds = loaders.loaders(builder, batch_size=4)
    if keras.backend.backend() == "tensorflow":
        records = loaders.prepare(tmp_path, 10, 8, "tfrecord")
        batches = loaders.native(records, batch_size=4).as_numpy_iterator()
        assert [len(b["video"]) for b in batches] == [4, 4, 2]
    assert len(kinds) >= 3
    expected = None
    for make in kinds.values():
        batches = [batch[0]["video"] for batch in make()]
        assert [len(video) for video in batches] == [4, 4, 2]
        total = sum(np.asarray(video, "float64").sum() for video in batches)
        expected = expected or total
        assert total == expected


def test_run_writes_seconds(tmp_path, monkeypatch, capsys):
    kinds = {"one": lambda: [1], "two": lambda: [1, 2]}
    monkeypatch.setattr(loaders, "prepare", lambda *args: None)
    monkeypatch.setattr(loaders, "loaders", lambda *args, **kwargs: kinds)
    monkeypatch.setattr(loaders, "native", lambda *args, **kwargs: [1])
    results = loaders.run(range(3), tmp_path, quick=True)
    assert {len(seconds) for seconds in results[32].values()} == {3}
    assert "| one " in capsys.readouterr().out
    assert json.loads((tmp_path / "loaders.json").read_text())
