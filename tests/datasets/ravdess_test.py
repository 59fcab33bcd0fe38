import numpy as np
import pytest

from keras_xkd import datasets
from tests.datasets import builder_case
from tests.datasets import media_files

SIZES = {"frame_rate": 4, "image_size": 8, "sample_rate": 4000}


@pytest.fixture
def folder(tmp_path):
    """As the zip files unpack: together, or each in a folder of its own."""
    folder = tmp_path / "raw"
    sound = media_files.sine(8000, seconds=0.5)
    bright = media_files.grays([200] * 5)

    def write(path, **kwargs):
        media_files.write_video(folder / path, bright, **kwargs)

    # A take with all three files.
    write("Actor_01/01-01-05-02-01-02-01.mp4", sound=sound)
    write("Actor_01/02-01-05-02-01-02-01.mp4")
    media_files.write_wav(
        folder / "Actor_01/03-01-05-02-01-02-01.wav", sound[:2000]
    )
    # Of the video with sound only; of video alone; of sound alone.
    videos = "Video_Speech_Actor_19/Actor_19/"
    write(videos + "01-01-01-01-02-01-19.mp4", sound=sound)
    write(videos + "02-01-08-01-02-01-19.mp4")
    media_files.write_wav(
        folder / "Audio/Actor_24/03-01-07-01-02-01-24.wav", sound
    )
    # A song, and what macOS put into the zip files.
    write("Actor_23/01-02-03-01-01-01-23.mp4", sound=sound)
    (folder / "Actor_23/._01-02-03-01-01-01-23.mp4").write_bytes(b"x")
    (folder / "readme.txt").write_text("x")
    return folder


def test_speech(folder, tmp_path):
    def make(data_dir):
        return datasets.RAVDESS(manual_dir=folder, data_dir=data_dir, **SIZES)

    built, splits = builder_case.run_builder_test(make, tmp_path)
    assert {k: len(v) for k, v in splits.items()} == {
        "train": 1,
        "validation": 2,
        "test": 1,
    }
    [take] = splits["train"]
    assert take["name"] == "01-05-02-01-02-01"
    assert take["label"] == 4
    assert built.info.features["label"].names[4] == "angry"
    assert take["intensity"] == 1
    assert take["actor"] == 1
    assert take["text"] == "Kids are talking by the door"
    assert take["present"] == {"video": True, "audio": True}
    assert take["video"].shape == (2, 8, 8, 3)
    assert abs(take["video"].mean() - 200) < 3
    assert take["audio"].shape == (1000,)  # The wav, not the video's track.

    by_name = builder_case.by_name(splits["validation"] + splits["test"])
    with_sound = by_name["01-01-01-02-01-19"]
    assert with_sound["present"] == {"video": True, "audio": True}
    assert abs(len(with_sound["audio"]) - 2000) < 400
    assert with_sound["text"] == "Dogs are sitting by the door"
    silent = by_name["01-08-01-02-01-19"]
    assert silent["present"] == {"video": True, "audio": False}
    assert silent["label"] == 7
    blind = by_name["01-07-01-02-01-24"]
    assert blind["present"] == {"video": False, "audio": True}
    assert len(blind["video"]) == 0
    assert blind["actor"] == 24


def test_song_and_other_actors(folder, tmp_path):
    def names(**kwargs):
        built = datasets.RAVDESS(
            manual_dir=folder, data_dir=str(tmp_path), **SIZES, **kwargs
        )
        splits = builder_case.prepare(built)
        return {k: sorted(e["actor"] for e in v) for k, v in splits.items()}

    assert names(channel="song") == {"test": [23]}
    assert names(channel="both", validation_actors=(), test_actors=(1, 24)) == {
        "train": [19, 19, 23],
        "test": [1, 24],
    }


def test_corrupt_clip(folder, tmp_path):
    path = folder / "Actor_01/01-01-05-02-01-02-01.mp4"
    media_files.cut_off(path)

    def built(on_error):
        return datasets.RAVDESS(
            manual_dir=folder,
            data_dir=str(tmp_path),
            on_error=on_error,
            **SIZES,
        )

    with pytest.raises(datasets.DataFileError, match=path.name):
        built("raise").download_and_prepare()
    with pytest.warns(UserWarning, match=path.name):
        splits = builder_case.prepare(built("absent"))
    [take] = splits["train"]
    assert take["present"] == {"video": False, "audio": True}
    assert np.any(take["audio"])


def test_bad_input(folder, tmp_path):
    for kwargs, message in [
        ({"channel": "talk"}, "`channel` must be 'speech', 'song' or 'both'"),
        ({"test_actors": (19,)}, "must be different actors"),
        ({"test_actors": (25,)}, "actors from 1 to 24"),
    ]:
        with pytest.raises(ValueError, match=message):
            datasets.RAVDESS(data_dir=str(tmp_path), **kwargs)
    empty = tmp_path / "empty"
    (empty / "x").mkdir(parents=True)
    built = datasets.RAVDESS(manual_dir=empty, data_dir=str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no mp4 or wav .*zenodo.org"):
        built.download_and_prepare()
    media_files.write_wav(
        folder / "03-01-09-01-01-01-01.wav", media_files.sine()
    )
    built = datasets.RAVDESS(manual_dir=folder, data_dir=str(tmp_path))
    with pytest.raises(ValueError, match="a code such as .*03-01-09-01-01-01"):
        built.download_and_prepare()
