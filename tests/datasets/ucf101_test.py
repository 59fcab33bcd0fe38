import pytest

from keras_xkd import datasets
from keras_xkd.datasets.ucf101_classes import UCF51_CLASSES
from keras_xkd.datasets.ucf101_classes import UCF101_CLASSES
from tests.datasets import builder_case
from tests.datasets import media_files

SIZES = {"frame_rate": 5, "image_size": (6, 8), "sample_rate": 8000}
CLIPS = {
    # Two of the 51 classes with sound, one of the other 50.
    "HandstandPushups/v_HandStandPushups_g01_c01": True,
    "HandstandPushups/v_HandStandPushups_g08_c01": True,
    "PlayingCello/v_PlayingCello_g01_c01": True,
    "PlayingCello/v_PlayingCello_g08_c02": False,
    "YoYo/v_YoYo_g01_c01": False,
    "YoYo/v_YoYo_g08_c01": False,
}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "raw"
    sound = media_files.sine(8000)
    for clip, has_sound in CLIPS.items():
        media_files.write_video(
            folder / "UCF-101" / f"{clip}.avi",
            sound=sound if has_sound else None,
            codec="mpeg4",
            sound_codec="pcm_s16le",
        )
    lists = folder / "ucfTrainTestlist"
    lists.mkdir()
    for fold, held_out in [(1, "_g01_"), (2, "_g08_")]:
        train = [c for c in CLIPS if held_out not in c]
        test = [c for c in CLIPS if held_out in c]
        numbered = [f"{c}.avi {i + 1}" for i, c in enumerate(train)]
        # As distributed, with the line ends of Windows.
        (lists / f"trainlist0{fold}.txt").write_text(
            "\r\n".join(numbered) + "\r\n"
        )
        (lists / f"testlist0{fold}.txt").write_text(
            "\r\n".join(f"{c}.avi" for c in test) + "\r\n"
        )
    return folder


def test_all_classes(folder, tmp_path):
    def make(data_dir):
        return datasets.UCF101(manual_dir=folder, data_dir=data_dir, **SIZES)

    built, splits = builder_case.run_builder_test(make, tmp_path)
    assert built.name == "ucf101_audio_video"
    assert built.info.features["label"].num_classes == 101
    train = builder_case.by_name(splits["train"])
    test = builder_case.by_name(splits["test"])
    assert set(train) == {
        "v_HandStandPushups_g08_c01",
        "v_PlayingCello_g08_c02",
        "v_YoYo_g08_c01",
    }
    assert set(test) == {
        "v_HandStandPushups_g01_c01",
        "v_PlayingCello_g01_c01",
        "v_YoYo_g01_c01",
    }
    clip = train["v_HandStandPushups_g08_c01"]
    assert clip["label"] == UCF101_CLASSES.index("HandstandPushups") == 36
    assert clip["present"] == {"video": True, "audio": True}
    assert clip["video"].shape == (5, 6, 8, 3)
    assert clip["audio"].shape == (8000,)
    silent = train["v_YoYo_g08_c01"]
    assert silent["label"] == 100
    assert silent["present"] == {"video": True, "audio": False}
    assert silent["audio"].shape == (0,)


def test_classes_with_sound_and_folds(folder, tmp_path):
    built = datasets.UCF101(
        manual_dir=folder,
        data_dir=str(tmp_path),
        subset="ucf51",
        fold=2,
        **SIZES,
    )
    splits = builder_case.prepare(built)
    assert built.info.features["label"].names == list(UCF51_CLASSES)
    assert {e["name"] for e in splits["train"]} == {
        "v_HandStandPushups_g01_c01",
        "v_PlayingCello_g01_c01",
    }
    # Also here, a clip may be silent.
    test = builder_case.by_name(splits["test"])
    assert not test["v_PlayingCello_g08_c02"]["present"]["audio"]
    assert test["v_PlayingCello_g08_c02"]["label"] == UCF51_CLASSES.index(
        "PlayingCello"
    )


def test_classes():
    assert len(set(UCF101_CLASSES)) == 101
    assert len(set(UCF51_CLASSES)) == 51
    assert list(UCF101_CLASSES) == sorted(UCF101_CLASSES, key=str.lower)
    for name in ("PlayingGuitar", "Basketball", "YoYo"):
        assert name in UCF101_CLASSES and name not in UCF51_CLASSES


def test_missing_clip(folder, tmp_path):
    path = folder / "UCF-101/YoYo/v_YoYo_g01_c01.avi"
    path.unlink()
    kwargs = dict(manual_dir=folder, data_dir=str(tmp_path), **SIZES)
    with pytest.raises(datasets.DataFileError, match=path.name):
        datasets.UCF101(**kwargs).download_and_prepare()
    built = datasets.UCF101(on_error="skip", **kwargs)
    with pytest.warns(UserWarning, match=path.name):
        splits = builder_case.prepare(built)
    assert len(splits["test"]) == 2


def test_clip_without_anything_is_skipped(folder, tmp_path):
    path = folder / "UCF-101/PlayingCello/v_PlayingCello_g01_c01.avi"
    media_files.cut_off(path)
    built = datasets.UCF101(
        manual_dir=folder, data_dir=str(tmp_path), on_error="absent", **SIZES
    )
    with pytest.warns(UserWarning, match="^1 sample was left out, be"):
        splits = builder_case.prepare(built)
    assert len(splits["test"]) == 2
    assert [f["modality"] for f in built.left_out] == ["video", "audio"]
    assert all(f["skipped"] for f in built.left_out)


def test_bad_input(folder, tmp_path):
    for kwargs in ({"fold": 4}, {"subset": "ucf50"}):
        with pytest.raises(ValueError, match="`subset` must be one of"):
            datasets.UCF101(data_dir=str(tmp_path), **kwargs)
    built = datasets.UCF101(manual_dir=folder, data_dir=str(tmp_path), fold=3)
    with pytest.raises(datasets.DataFileError, match="trainlist03.txt: the li"):
        built.download_and_prepare()
    (folder / "ucfTrainTestlist/trainlist03.txt").write_text("Yo/a.avi 1")
    with pytest.raises(datasets.DataFileError, match="of no known class"):
        built.download_and_prepare()
    built = datasets.UCF101(
        manual_dir=folder / "UCF-101", data_dir=str(tmp_path)
    )
    with pytest.raises(datasets.DataFileError, match="expected this folder"):
        built.download_and_prepare()
