import h5py
import numpy as np
import pytest

from keras_xkd.datasets import VEGAS
from keras_xkd.datasets import DataFileError

ROWS = {"train": 6, "test": 3}


def make_arrays(audio=128, video=1024, columns=False):
    """The arrays of the shared feature file, by its keys."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, rows in ROWS.items():
        labels = rng.integers(0, 10, size=rows)
        labels[0] = 9
        arrays[f"audio_{split}"] = rng.normal(size=(rows, audio))
        arrays[f"visual_{split}"] = rng.normal(size=(rows, video))
        arrays[f"lab_{split}"] = (
            labels[:, None].astype("float32") if columns else labels
        )
    return arrays


def write(folder, arrays, name="vegas_feature.h5"):
    path = folder / "raw" / name
    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            file[key] = array
    return path


def prepare(folder, **kwargs):
    builder = VEGAS(
        manual_dir=folder / "raw", data_dir=folder / "prepared", **kwargs
    )
    builder.download_and_prepare()
    return builder


def assert_examples(builder, arrays):
    assert {*builder.info.splits} == {*ROWS}
    for split, rows in ROWS.items():
        source = builder.as_data_source(split)
        got = {example["name"].decode(): example for example in source}
        assert set(got) == {f"{split}_{row:05d}" for row in range(rows)}
        for row in range(rows):
            example = got[f"{split}_{row:05d}"]
            for name, key in (("audio", "audio"), ("video", "visual")):
                expected = arrays[f"{key}_{split}"][row].astype("float32")
                assert example[name].dtype == np.float32
                np.testing.assert_array_equal(example[name], expected)
            label = arrays[f"lab_{split}"].reshape(-1)[row]
            assert example["label"] == label


@pytest.mark.parametrize("columns", [False, True])
def test_values(tmp_path, columns):
    arrays = make_arrays(columns=columns)
    write(tmp_path, arrays)
    builder = prepare(tmp_path)
    assert builder.info.features["audio"].shape == (128,)
    assert builder.info.features["label"].num_classes == 10
    assert_examples(builder, arrays)
    assert VEGAS(data_dir=tmp_path).info.features["video"].shape == (1024,)


def test_other_widths(tmp_path):
    arrays = make_arrays(3, 4)
    # Sequences, as in the feature files of other corpora by these authors.
    for split, rows in ROWS.items():
        arrays[f"audio_{split}"] = np.ones((rows, 2, 3))
    path = write(tmp_path, arrays)
    assert_examples(prepare(tmp_path), arrays)
    path.unlink()
    # Prepared data knows its widths.
    for manual_dir in (None, tmp_path / "raw"):
        builder = VEGAS(data_dir=tmp_path / "prepared", manual_dir=manual_dir)
        builder.download_and_prepare()
        assert builder.info.features["audio"].shape == (2, 3)
        assert_examples(builder, arrays)


def test_other_keys(tmp_path):
    arrays = make_arrays(3, 4)
    renamed = {
        "/".join(key.split("_")[::-1]): array for key, array in arrays.items()
    }
    write(tmp_path, renamed)
    keys = {
        "audio_key": "{split}/audio",
        "video_key": "{split}/visual",
        "label_key": "{split}/lab",
    }
    builder = prepare(tmp_path, **keys)
    assert_examples(builder, arrays)
    with pytest.raises(DataFileError, match="no array 'audio_train'"):
        prepare(tmp_path)
    with pytest.raises(ValueError, match="`audio_key` must contain"):
        VEGAS(audio_key="audio")


def test_choice_of_file(tmp_path):
    arrays = make_arrays(3, 4)
    write(tmp_path, arrays, "vegas_feature_norm.h5")
    assert_examples(prepare(tmp_path), arrays)
    write(tmp_path, make_arrays(5, 6))
    builder = prepare(tmp_path, file="vegas_feature_norm.h5")
    assert_examples(builder, arrays)
    with pytest.raises(DataFileError, match="raw: there are.*`file=`"):
        VEGAS(
            manual_dir=tmp_path / "raw", data_dir=tmp_path / "other"
        ).download_and_prepare()


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("lab_test", np.array([0, 10, 1]), "from 0 to 9. Row 1 has 10"),
        ("lab_test", np.array([0, 0.5, 1]), "from 0 to 9. Row 1 has 0.5"),
        ("lab_train", np.zeros((6, 10)), "one class per sample"),
        ("audio_test", np.zeros((2, 3)), "differ in length"),
        ("audio_test", np.zeros((3, 4)), r"shape \(3,\)"),
        ("visual_test", np.full((3, 4), np.nan), "not finite in row 0"),
        ("audio_train", None, "no array 'audio_train'"),
        ("visual_test", None, "no array 'visual_test'"),
    ],
)
def test_defects(tmp_path, key, value, message):
    arrays = make_arrays(3, 4) | {key: value}
    path = write(tmp_path, {k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(DataFileError, match=message) as info:
        prepare(tmp_path)
    assert info.value.path == str(path)


def test_damaged_and_missing_files(tmp_path):
    (tmp_path / "raw" / "other").mkdir(parents=True)
    with pytest.raises(DataFileError, match="no vegas_feature.h5"):
        prepare(tmp_path)
    path = write(tmp_path, make_arrays())
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataFileError, match="vegas_feature.h5: .*damaged"):
        prepare(tmp_path)
    path.write_bytes(b"<html>Quota exceeded</html>")
    with pytest.raises(DataFileError, match="vegas_feature.h5: .*damaged"):
        prepare(tmp_path)
