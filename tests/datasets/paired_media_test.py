import pathlib

import numpy as np
import pytest

from keras_xkd import data
from keras_xkd import datasets
from tests.datasets import builder_case
from tests.datasets import media_files

SIZES = {"frame_rate": 4, "image_size": (12, 16), "sample_rate": 4000}


def table(folder, *lines):
    folder.mkdir(exist_ok=True)
    (folder / "samples.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def builder(folder, **kwargs):
    kwargs = SIZES | {"data_dir": str(folder.parent / "data")} | kwargs
    return datasets.PairedMedia(manual_dir=folder, **kwargs)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "My clips"
    sound = media_files.sine(8000)
    media_files.write_video(folder / "clips" / "a1.mp4", sound=sound)
    media_files.write_video(folder / "clips" / "a2.mp4")  # Without sound.
    media_files.write_video(folder / "clips" / "b1.avi", codec="mpeg4", rate=20)
    media_files.write_wav(folder / "b1.wav", sound)
    pixels = np.full((24, 32, 3), 90, "uint8")
    media_files.write_image(folder / "left.png", pixels)
    media_files.write_image(folder / "photo.jpg", pixels)
    depth = np.full((24, 32), 30_000, "uint16")
    media_files.write_image(folder / "depth.png", depth)
    (folder / "a2.txt").write_text("Grüße", encoding="utf-8")
    return table(
        folder,
        "id,split,label,video,audio,text,image_left,sketch,depth",
        'a1,train,dog,clips/a1.mp4,clips/a1.mp4,"a dog, barking",left.png,,',
        "a2,train,cat,clips/a2.mp4,clips/a2.mp4,a2.txt,,photo.jpg,depth.png",
        "b1,test,cat,clips/b1.avi,b1.wav,,left.png,photo.jpg,depth.png",
    )


MODALITIES = ["audio", "depth", "image_left", "sketch", "text", "video"]


def test_table(folder, tmp_path):
    def make(data_dir):
        return builder(folder, data_dir=data_dir)

    built, splits = builder_case.run_builder_test(make, tmp_path)
    assert built.builder_config.dataset == "My_clips"
    assert built.info.features["label"].names == ["cat", "dog"]
    train = builder_case.by_name(splits["train"])
    [b1] = splits["test"]
    a1, a2 = train["a1"], train["a2"]

    assert (a1["label"], a2["label"], b1["label"]) == (1, 0, 0)
    assert {m for m in MODALITIES if not a1["present"][m]} == {
        "sketch",
        "depth",
    }
    # A video without sound has none, whatever the table says.
    assert {m for m in MODALITIES if not a2["present"][m]} == {
        "audio",
        "image_left",
    }
    assert {m for m in MODALITIES if not b1["present"][m]} == {"text"}

    assert a1["video"].shape == (4, 12, 16, 3)
    gray = a1["video"].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(gray, [0, 40, 100, 140], atol=3)
    assert b1["video"].shape == (2, 12, 16, 3)  # Half a second.
    assert a1["audio"].shape[0] == pytest.approx(4000, abs=200)
    assert b1["audio"].shape == (4000,) and b1["audio"].dtype == "float32"
    assert a2["audio"].shape == (0,)
    assert a1["text"] == "a dog, barking"
    assert a2["text"] == "Grüße"
    assert b1["text"] == ""
    assert a1["image_left"].shape == (12, 16, 3)
    assert (a1["image_left"] == 90).all()
    assert a1["sketch"].shape == (12, 16, 3) and not a1["sketch"].any()
    assert a2["depth"].dtype == "uint16"
    assert (a2["depth"] == 30_000).all()
    assert not a1["depth"].any()


def test_read_without_the_folder(folder, tmp_path):
    builder(folder).download_and_prepare()
    reader = datasets.PairedMedia(
        dataset="My_clips", data_dir=str(tmp_path / "data"), **SIZES
    )
    assert reader.info.features["label"].names == ["cat", "dog"]
    train = builder_case.by_name(builder_case.read(reader, "train"))
    assert train["a2"]["text"] == "Grüße"
    assert set(reader.info.features["present"]) == set(MODALITIES)


def test_loaded(folder):
    built = builder(folder)
    batches = data.load(
        built,
        ["video", "audio"],
        "train",
        batch_size=2,
        length={"video": 4, "audio": 4000},
        shuffle=False,
    )
    x, y = next(iter(batches))
    assert tuple(x["video"].shape) == (2, 4, 12, 16, 3)
    assert tuple(x["audio"].shape) == (2, 4000)
    present = np.asarray(x["present"]["audio"])
    assert sorted(present.tolist()) == [0, 1]
    assert np.asarray(y)[present == 1].tolist() == [1]


def test_parts_of_a_file(tmp_path):
    folder = tmp_path / "raw"
    frames = media_files.grays(range(0, 200, 20))
    sound = media_files.sine(8000)
    media_files.write_video(
        folder / "long.mkv",
        frames,
        sound=sound,
        codec="ffv1",
        sound_codec="flac",
    )
    table(
        folder,
        "id,label,start,end,video,audio",
        "one,1,0.0,0.5,long.mkv,long.mkv",
        "two,2,0.5,,long.mkv,long.mkv",
        "ten,10,,0.25,long.mkv,long.mkv",
    )
    built = builder(folder, sample_rate=8000, max_seconds=0.4)
    train = builder_case.by_name(builder_case.prepare(built)["train"])
    assert built.info.features["label"].names == ["1", "2", "10"]
    gray = {k: v["video"].mean(axis=(1, 2, 3)) for k, v in train.items()}
    np.testing.assert_allclose(gray["one"], [0, 40], atol=3)
    np.testing.assert_allclose(gray["two"], [100, 140], atol=3)
    np.testing.assert_allclose(gray["ten"], [0], atol=3)
    exact = sound[:, 0] / 32768
    np.testing.assert_array_equal(train["one"]["audio"], exact[:3200])
    np.testing.assert_array_equal(train["two"]["audio"], exact[4000:7200])
    np.testing.assert_array_equal(train["ten"]["audio"], exact[:2000])


def test_folders(tmp_path):
    folder = tmp_path / "raw"
    for split, label, name in [
        ("train", "dog", "1"),
        ("train", "cat", "1"),
        ("validation", "cat", "2"),
    ]:
        path = pathlib.Path(split, label, name)
        sound = media_files.sine(4000)
        media_files.write_wav(folder / "audio" / f"{path}.wav", sound, 4000)
        if label == "cat":
            gray = media_files.grays([40])[0]
            media_files.write_image(folder / "photo" / f"{path}.png", gray)
    (folder / "audio" / ".DS_Store").touch()
    splits = builder_case.prepare(builder(folder))
    train = builder_case.by_name(splits["train"])
    assert set(train) == {"dog/1", "cat/1"}
    assert [e["name"] for e in splits["validation"]] == ["cat/2"]
    assert train["cat/1"]["present"] == {"audio": True, "photo": True}
    assert train["dog/1"]["present"] == {"audio": True, "photo": False}
    assert (train["cat/1"]["photo"] == 40).all()
    assert {n: e["label"] for n, e in train.items()} == {"cat/1": 0, "dog/1": 1}


def test_folders_without_labels(tmp_path):
    folder = tmp_path / "raw"
    media_files.write_wav(folder / "audio/train/1.wav", media_files.sine())
    [example] = builder_case.prepare(builder(folder))["train"]
    assert set(example) == {"audio", "name", "present"}


def test_numbers(tmp_path):
    folder = table(tmp_path / "raw", "id,label,text", "1,0.5,a", "2,-3,b")
    with pytest.raises(ValueError, match="Pass `labels='numbers'`"):
        builder(folder)
    train = builder_case.prepare(builder(folder, labels="numbers"))["train"]
    assert {e["text"]: e["label"] for e in train} == {"a": 0.5, "b": -3}


def test_no_labels(tmp_path):
    folder = table(tmp_path / "raw", "id,text", "1,a", "2,b")
    train = builder_case.prepare(builder(folder))["train"]
    assert sorted(e["text"] for e in train) == ["a", "b"]
    assert "label" not in train[0]


@pytest.mark.parametrize(
    "lines, message",
    [
        (["id,text,colour", "1,a,red"], "'colour' is of no known kind"),
        (["id,text", "1,a", "1,b"], "more than one sample has the id '1'"),
        (["id,label,text", "1,x,a", "2,,b"], "a label is missing for '2'"),
        (["id,split,text", "1,my split,a"], "no names of splits: 'my split'"),
        (["id,text,video", "1,,"], "there is no modality for '1'"),
        (["name,text", "1,a"], "one of them `id`.*'name'"),
        (["id,text"], "0 lines"),
        (["id,text", "1,a,b"], r"expected 2 values.*\['1', 'a', 'b'\]"),
        (["id,text,start", "1,a,soon"], "'1', column `start`.*'soon'"),
        (["id,text,start,end", "1,a,3,2"], "'1' must end after its start"),
        (["id,label", "1,a"], "has no modality"),
    ],
)
def test_bad_tables(lines, message, tmp_path):
    folder = table(tmp_path / "raw", *lines)
    with pytest.raises(ValueError, match=message) as error:
        builder(folder)
    assert str(folder) in str(error.value) or "Sample" in str(error.value)


def test_duplicate_ids_are_counted(tmp_path):
    rows = [f"{i % 10},a" for i in range(30)]
    folder = table(tmp_path / "raw", "id,text", *rows)
    with pytest.raises(ValueError, match="'0', '1', '2', '3', '4' and 15 more"):
        builder(folder)


def test_missing_files_are_listed_first(folder):
    (folder / "left.png").unlink()
    (folder / "b1.wav").unlink()
    built = builder(folder)
    with pytest.raises(
        datasets.DataFileError, match=r"b1.wav: missing, 2 of 8 .*\s.*left.png"
    ):
        built.download_and_prepare()
    assert not built.is_prepared()
    built = builder(folder, on_error="absent")
    with pytest.warns(
        UserWarning, match="^3 modalities were marked as absent, b"
    ):
        splits = builder_case.prepare(built)
    assert not splits["test"][0]["present"]["audio"]
    assert splits["test"][0]["present"]["video"]


def test_corrupt_clip(folder):
    media_files.cut_off(folder / "clips" / "b1.avi")
    with pytest.raises(
        datasets.DataFileError,
        match="b1.avi: .* cut off.* there. Pass `on_error='skip'` or `'abs",
    ):
        builder(folder).download_and_prepare()
    built = builder(folder, on_error="absent")
    with pytest.warns(UserWarning, match="b1.avi: the file is cut off"):
        splits = builder_case.prepare(built)
    assert not splits["test"][0]["present"]["video"]
    assert len(splits["test"][0]["video"]) == 0


def test_table_that_changed(tmp_path):
    folder = table(tmp_path / "raw", "id,text", "1,a")
    builder(folder).download_and_prepare()
    builder(folder).download_and_prepare()
    moved = folder.rename(tmp_path / "elsewhere")
    builder(moved, dataset="raw").download_and_prepare()
    table(moved, "id,text", "1,a", "2,b")
    # Reading would give the old samples.
    with pytest.raises(ValueError, match="elsewhere is not .* changed since"):
        builder(moved, dataset="raw")
    with pytest.raises(ValueError, match="has changed since"):
        data.load(
            "paired_media",
            manual_dir=str(moved),
            data_dir=str(tmp_path / "data"),
            builder_kwargs=SIZES | {"dataset": "raw"},
        )
    builder(moved, dataset="raw2").download_and_prepare()
    # Who has no folder, or an empty one, reads what there is.
    (moved / "samples.csv").unlink()
    for folder in (moved, tmp_path / "nowhere"):
        reader = builder(folder, dataset="raw", data_dir=str(tmp_path / "data"))
        assert len(reader.as_data_source("train")) == 1


def test_table_that_changes_while_it_is_open(tmp_path):
    folder = table(tmp_path / "raw", "id,label,text", "1,x,a", "2,y,b")
    built = builder(folder)
    built.download_and_prepare()
    table(folder, "id,label,text", "1,x,a", "2,x,b")
    with pytest.raises(ValueError, match="has changed since"):
        built.download_and_prepare()


def test_folder_by_a_relative_name(tmp_path, monkeypatch):
    folder = tmp_path / "raw"
    media_files.write_image(folder / "raw" / "1.png", media_files.grays([9])[0])
    table(folder, "id,image", "1,raw/1.png")
    choices = SIZES | {"dataset": "raw", "data_dir": str(tmp_path / "data")}
    monkeypatch.chdir(folder)
    datasets.PairedMedia(manual_dir=".", **choices).download_and_prepare()
    monkeypatch.chdir(tmp_path)
    for name in ("raw", folder):
        reader = datasets.PairedMedia(manual_dir=name, **choices)
        assert len(reader.as_data_source("train")) == 1


@pytest.mark.parametrize(
    "modality, ending",
    [
        ("audio", "png"),
        ("audio", "gif"),
        ("audio_left", "txt"),
        ("video", "wav"),
        ("video", "JPG"),
        ("image", "mp4"),
        ("depth", "flac"),
    ],
)
def test_files_of_another_kind(modality, ending, tmp_path):
    folder = table(
        tmp_path / "raw", f"id,text,{modality}", f"1,a,x.{ending}", "2,b,"
    )
    with pytest.raises(
        ValueError,
        match=rf"`{modality}` cannot be read from '.*x\.{ending}'\.",
    ):
        builder(folder, on_error="absent")


@pytest.mark.parametrize("modality", ["audio", "video"])
def test_pictures_under_another_name(modality, tmp_path):
    folder = tmp_path / "raw"
    picture = media_files.write_image(
        folder / "x.png", media_files.grays([9])[0]
    )
    picture.rename(folder / "x.mp4")
    table(folder, f"id,text,{modality}", "1,a,x.mp4")
    with pytest.raises(
        datasets.DataFileError, match=f"x.mp4: expected {modality}, this is a p"
    ):
        builder(folder).download_and_prepare()
    built = builder(folder, on_error="absent")
    with pytest.warns(UserWarning, match="1 modality was marked as absent"):
        [example] = builder_case.prepare(built)["train"]
    assert example["present"] == {"text": True, modality: False}


def test_sample_without_anything(tmp_path):
    folder = tmp_path / "raw"
    media_files.write_video(folder / "mute.mp4")
    media_files.write_video(folder / "loud.mp4", sound=media_files.sine(8000))
    table(folder, "id,text,audio", "1,,mute.mp4", "2,,loud.mp4", "3,a,mute.mp4")
    with pytest.raises(
        datasets.DataFileError, match="mute.mp4: there is no audio in it"
    ):
        builder(folder).download_and_prepare()
    built = builder(folder, on_error="absent")
    with pytest.warns(UserWarning, match="^1 sample was left out, because"):
        train = builder_case.by_name(builder_case.prepare(built)["train"])
    # The track of a video is sound; a mute one is no error beside a text.
    assert set(train) == {"2", "3"}
    assert train["2"]["present"] == {"audio": True, "text": False}
    assert len(train["2"]["audio"]) > 3000
    assert train["3"]["present"] == {"audio": False, "text": True}


def test_bad_folders(tmp_path):
    empty = tmp_path / "raw"
    empty.mkdir()
    with pytest.raises(ValueError, match="Expected a table, or <modality>"):
        builder(empty)
    media_files.write_wav(empty / "audio" / "1.wav", media_files.sine())
    with pytest.raises(ValueError, match="Received: audio/1.wav"):
        builder(empty)
    with pytest.raises(datasets.DataFileError, match="other.csv: the table"):
        builder(empty, table="other.csv")
    with pytest.raises(
        datasets.DataFileError, match="nowhere: expected a fold"
    ):
        builder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="needs the folder, `manual_dir`"):
        datasets.PairedMedia()
    with pytest.raises(ValueError, match="no prepared data"):
        datasets.PairedMedia(dataset="x", data_dir=str(tmp_path))


def test_two_files_for_one_modality(tmp_path):
    for ending in ("wav", "flac"):
        path = tmp_path / f"raw/audio/train/x/1.{ending}"
        if ending == "wav":
            media_files.write_wav(path, media_files.sine())
        else:
            media_files.write_sound(path, media_files.sine())
    with pytest.raises(ValueError, match="both the audio of the sample 'x/1'"):
        builder(tmp_path / "raw")


def test_bad_choices(folder):
    for kwargs, message in [
        ({"labels": "floats"}, "`labels` must be one of"),
        ({"frame_rate": 0}, "`frame_rate` must be positive"),
        ({"image_size": None}, "must be given"),
        ({"sample_rate": -1}, "`sample_rate` must be positive"),
        ({"dataset": "a/b"}, "`dataset` must be a name"),
    ]:
        with pytest.raises(ValueError, match=message):
            builder(folder, **kwargs)
