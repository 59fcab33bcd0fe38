import json

import keras
import numpy as np
import pytest
from keras import layers

from keras_xkd.benchmark import opinions
from keras_xkd.benchmark import video_adviser


def test_opinions_are_what_they_say():
    data = opinions.load({"train": 600, "test": 400}, seed=0)
    x, noisy, sentiment = data["train"]
    video, ids = x["video"], x["text"]["token_ids"]
    assert video.shape == (600, 4, 16, 16, 3) and ids.shape == (600, 8)
    assert np.all(np.abs(noisy) <= 3) and np.all(np.abs(sentiment) <= 3)
    assert 0.55 < np.std(noisy - sentiment) < 0.7  # 0.7, less what is clipped.
    # Video: a half of 0.3 times the sentiment, for g_f has the mean 1/2.
    warmth = (video[..., 0] - video[..., 2]).mean((1, 2, 3))
    assert np.polyfit(sentiment, warmth, 1)[0] == pytest.approx(0.15, abs=0.01)
    assert np.corrcoef(sentiment, warmth)[0, 1] > 0.85
    # Text: the mean sentiment of the texts with a word, learnt on one part,
    # tells that of the other; what was said has a correlation of about 0.9.
    used = np.zeros((600, opinions.WORDS))
    np.put_along_axis(used, ids, 1, axis=1)
    count = used.sum(0)
    tone = used.T @ sentiment / np.maximum(count, 1)
    x, _, sentiment = data["test"]
    guess = tone[x["text"]["token_ids"]].mean(1)
    assert 0.7 < np.corrcoef(guess, sentiment)[0, 1] < 0.9
    again = opinions.load({"train": 600, "test": 400}, seed=0)["test"]
    np.testing.assert_array_equal(again[0]["video"], x["video"])


def test_networks():
    video = keras.KerasTensor((2, 4, 16, 16, 3))
    outputs = video_adviser.make_teacher()({"video": video})
    assert tuple(outputs["logits"].shape) == (2, 7)
    student = video_adviser.make_student()
    assert student.output_shape == (None, 1)
    assert sorted(student.input["text"]) == ["padding_mask", "token_ids"]


def reader():
    inputs = {
        name: keras.Input((opinions.LENGTH,), dtype="int32", name=name)
        for name in ("token_ids", "padding_mask")
    }
    x = layers.Embedding(opinions.WORDS, 4)(inputs["token_ids"])
    x = layers.Dense(1)(layers.GlobalAveragePooling1D()(x))
    weight = layers.Dense(1, use_bias=False)(
        keras.ops.cast(inputs["padding_mask"], "float32")
    )
    return keras.Model({"text": inputs}, x + weight, name="reader")


def watcher():
    video = keras.Input((4, 16, 16, 3), name="video")
    x = layers.GlobalAveragePooling3D()(video)
    outputs = {"logits": layers.Dense(7)(x), "score": layers.Dense(1)(x)}
    model = keras.Model(video, outputs, name="watcher")
    model.class_values = range(-3, 4)
    return model


def test_quick(tmp_path, capsys, monkeypatch):
    """With networks that compile quickly, but all that trains them."""
    monkeypatch.setattr(video_adviser, "make_student", reader)
    monkeypatch.setattr(video_adviser, "make_teacher", watcher)
    found = video_adviser.run([0, 1], tmp_path, quick=True, arguments=["x"])
    assert set(found) == set(video_adviser.PAIRS)
    printed = capsys.readouterr().out
    for title in [*video_adviser.TITLES.values(), *video_adviser.PAIRS]:
        assert title in printed
    written = json.loads((tmp_path / "video-adviser.json").read_text())
    assert written["seeds"] == [0, 1] and written["settings"]["epochs"] == 1
    assert (tmp_path / "video-adviser.png").stat().st_size > 10000
    by_seed = written["by_seed"]
    assert by_seed["0"]["joint"] != by_seed["1"]["joint"]

    # Every seed starts anew: what came before it does not matter.
    alone = video_adviser.Trainer(written["settings"]).one_seed(1)
    for row, measures in alone.items():
        assert measures == pytest.approx(by_seed["1"][row], rel=1e-4), row
    errors = [alone[row]["mae"] for row in ("few", "all", "joint")]
    assert len(set(errors)) == 3
