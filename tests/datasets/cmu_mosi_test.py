import pickle

import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_xkd import data
from keras_xkd.datasets import CMUMOSI
from keras_xkd.datasets import DataFileError
from tests.datasets import sentiment_files as files

ALL = ("text", "text_features", "text_bert", "audio", "video")


def prepare(folder, **kwargs):
    builder = CMUMOSI(
        manual_dir=folder / "raw", data_dir=folder / "prepared", **kwargs
    )
    builder.download_and_prepare()
    return builder


def read(builder, split):
    """The examples of a split by name."""
    source = builder.as_data_source(split)
    return {example["name"].decode(): example for example in source}


def write_mmsa(folder, aligned=True, change=None, **kwargs):
    """Writes a file, changed before; returns what is in it."""
    samples = files.make_samples(aligned)
    name = "aligned_50.pkl" if aligned else "unaligned_50.pkl"
    path = folder / "raw" / name
    files.write_mmsa(path, samples, aligned, **kwargs)
    if change is not None:
        data = pickle.loads(path.read_bytes())
        change(data)
        files.write(path, data)
    return samples


def assert_sequence(got, expected):
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, expected.astype("float32"))


@pytest.mark.parametrize("aligned", [True, False])
def test_mmsa(tmp_path, aligned):
    samples = write_mmsa(tmp_path, aligned)
    builder = prepare(tmp_path, aligned=aligned)
    assert sorted(builder.info.splits) == ["test", "train", "validation"]
    assert set(builder.info.features) == {*ALL, "label", "name", "present"}
    for split, expected in samples.items():
        got = read(builder, split)
        assert set(got) == {sample["name"] for sample in expected}
        for i, sample in enumerate(expected):
            example = got[sample["name"]]
            for name in files.WIDTHS:
                assert_sequence(example[name], sample[name])
            assert example["text"].decode() == sample["text"]
            assert example["label"] == np.float32(sample["label"])
            tokens = files.bert_tokens(expected)[i]
            assert example["text_bert"].dtype == np.int32
            np.testing.assert_array_equal(example["text_bert"], tokens)
            assert all(example["present"].values())
    assert builder.nonfinite_values == {s: {} for s in samples}


@pytest.mark.parametrize("aligned", [True, False])
def test_mult(tmp_path, aligned):
    samples = files.make_samples(aligned)
    # What is aligned stays so, also where one modality starts with zeros.
    sample = samples["train"][0]
    sample["audio"] = np.concatenate([np.zeros((2, 5)), sample["audio"]])
    if aligned:
        for name in ("text_features", "video"):
            extra = np.ones((2, files.WIDTHS[name]))
            sample[name] = np.concatenate([extra, sample[name]])
    name = "mosi_data.pkl" if aligned else "mosi_data_noalign.pkl"
    files.write_mult(tmp_path / "raw" / name, samples, aligned)
    builder = prepare(tmp_path, aligned=aligned)
    assert set(builder.info.features) == {
        *files.WIDTHS,
        "label",
        "name",
        "present",
    }
    assert builder.info.features["audio"].shape == (None, 5)
    if not aligned:
        # The zeros at the start are padding as far as anyone can tell.
        sample["audio"] = sample["audio"][2:]
    for split, expected in samples.items():
        got = read(builder, split)
        for sample in expected:
            example = got[sample["name"] + "|0.5|2.0"]
            for name in files.WIDTHS:
                assert_sequence(example[name], sample[name])
            assert example["label"] == np.float32(sample["label"])


@pytest.mark.parametrize("aligned", [True, False])
def test_mask_that_says_nothing(tmp_path, aligned):
    def change(content):
        content["train"]["text_bert"][0] = 0
        content["train"]["text_bert"][1] = 7
        content["train"]["text_bert"][2, 1] = np.eye(10)[3]
        for arrays in content.values():
            arrays["text"][arrays["text"] == 9] = 0

    samples = write_mmsa(tmp_path, aligned, change=change)
    got = read(prepare(tmp_path, aligned=aligned), "train")
    for sample in samples["train"]:
        for name in files.WIDTHS:
            assert_sequence(got[sample["name"]][name], sample[name])


def test_tensorflow_records(tmp_path):
    def change(content):
        content["train"]["audio"][1] = 0

    samples = write_mmsa(tmp_path, change=change)
    builder = prepare(tmp_path, file_format="tfrecord")
    got = {
        example["name"].decode(): example
        for example in builder.as_dataset("train").as_numpy_iterator()
    }
    for row, sample in enumerate(samples["train"]):
        example = got[sample["name"]]
        assert_sequence(example["video"], sample["video"])
        expected = sample["audio"] if row != 1 else np.zeros((0, 5))
        assert_sequence(example["audio"], expected)
        assert example["present"]["audio"] == (row != 1)


def test_batches(tmp_path):
    def change(content):
        content["train"]["audio"][1] = 0

    samples = write_mmsa(tmp_path, aligned=False, change=change)
    builder = prepare(tmp_path, aligned=False)
    batches = data.load(builder, batch_size=1, shuffle=False)
    by_text = {}
    for x, _ in batches:
        x = {k: v if k == "present" else np.asarray(v) for k, v in x.items()}
        text = x["text"][0]
        by_text[text.decode() if isinstance(text, bytes) else text] = x
    for row, sample in enumerate(samples["train"]):
        x = by_text[sample["text"]]
        assert_sequence(x["video"][0], sample["video"])
        # The width is known also where the modality is absent.
        assert x["audio"].shape[2] == 5
        assert np.asarray(x["present"]["audio"]) == (row != 1)


def test_without_identifiers(tmp_path):
    samples = files.make_samples(True)
    path = tmp_path / "raw" / "mosi_data.pkl"
    files.write_mult(path, samples, True, triplets=False)
    got = read(prepare(tmp_path), "train")
    assert sorted(got) == [f"train_{row:05d}" for row in range(4)]
    for row, sample in enumerate(samples["train"]):
        assert_sequence(got[f"train_{row:05d}"]["video"], sample["video"])


def test_default_configurations(tmp_path):
    samples = write_mmsa(tmp_path, aligned=False)
    builder = prepare(tmp_path, config="unaligned")
    assert len(builder.as_data_source("train")) == len(samples["train"])
    assert builder.data_dir == prepare(tmp_path, aligned=False).data_dir
    other = prepare(tmp_path, aligned=False, modalities=["audio"])
    assert builder.data_dir != other.data_dir
    assert [c.name for c in CMUMOSI.BUILDER_CONFIGS] == ["aligned", "unaligned"]


def test_reads_prepared_data_without_the_files(tmp_path):
    samples = write_mmsa(tmp_path)
    prepare(tmp_path)
    (tmp_path / "raw" / "aligned_50.pkl").unlink()
    for manual_dir in (None, tmp_path / "raw"):
        builder = CMUMOSI(data_dir=tmp_path / "prepared", manual_dir=manual_dir)
        builder.download_and_prepare()
        # Widths that are not the usual ones.
        assert builder.info.features["text_features"].shape == (None, 6)
        assert builder.info.features["text_bert"].shape == (3, 10)
        got = read(builder, "test")
        for sample in samples["test"]:
            assert_sequence(got[sample["name"]]["audio"], sample["audio"])


def test_prepares_the_same_again(tmp_path):
    write_mmsa(tmp_path)
    examples = []
    for name in "ab":
        builder = CMUMOSI(manual_dir=tmp_path / "raw", data_dir=tmp_path / name)
        builder.download_and_prepare()
        record = next(builder.data_path.glob("*train*array_record*"))
        examples.append(record.read_bytes())
    assert examples[0] == examples[1]


def test_chosen_modalities(tmp_path):
    samples = write_mmsa(tmp_path)
    builder = prepare(tmp_path, modalities=("audio", "text"))
    example = read(builder, "train")[samples["train"][0]["name"]]
    assert set(example) == {"text", "audio", "label", "name", "present"}
    assert set(example["present"]) == {"text", "audio"}


def test_modality_the_file_lacks(tmp_path):
    path = tmp_path / "raw" / "mosi_data.pkl"
    files.write_mult(path, files.make_samples(True), True)
    with pytest.raises(DataFileError, match="no 'raw_text'.*'text'") as info:
        prepare(tmp_path, modalities=("text", "audio"))
    assert info.value.path == str(path)


def test_absent_modalities(tmp_path):
    def change(content):
        content["train"]["audio"][1] = 0
        content["train"]["audio_lengths"][1] = 1  # As MMSA does.
        content["train"]["vision_lengths"][2] = 0
        content["train"]["raw_text"][3] = ""

    samples = write_mmsa(tmp_path, aligned=False, change=change)
    builder = prepare(tmp_path, aligned=False)
    got = read(builder, "train")
    absent = {(1, "audio"), (2, "video"), (3, "text")}
    for row, sample in enumerate(samples["train"]):
        example = got[sample["name"]]
        for name in ("text", "text_features", "audio", "video"):
            there = (row, name) not in absent
            assert example["present"][name] == there
            if there and name != "text":
                assert_sequence(example[name], sample[name])
    assert got[samples["train"][1]["name"]]["audio"].shape == (0, 5)
    assert got[samples["train"][3]["name"]]["text"] == b""


def put_infinities(content):
    content["train"]["audio"][0, 0, :3] = [-np.inf, np.nan, np.inf]
    content["test"]["vision"][1, 0, 0] = np.nan


def test_values_that_are_not_finite(tmp_path):
    samples = write_mmsa(tmp_path, change=put_infinities)
    samples["train"][0]["audio"][0, :3] = 0
    samples["test"][1]["video"][0, 0] = 0
    builder = prepare(tmp_path)
    for split in ("train", "test"):
        got = read(builder, split)
        for sample in samples[split]:
            for name in ("audio", "video"):
                assert_sequence(got[sample["name"]][name], sample[name])
    counts = {"train": {"audio": 3}, "validation": {}, "test": {"video": 1}}
    assert builder.nonfinite_values == counts
    again = CMUMOSI(data_dir=tmp_path / "prepared")
    assert again.nonfinite_values == counts


def test_keeps_values_that_are_not_finite(tmp_path):
    samples = write_mmsa(tmp_path, change=put_infinities)
    builder = prepare(tmp_path, nonfinite="keep", modalities="audio")
    sample = samples["train"][0]
    sample["audio"][0, :3] = [-np.inf, np.nan, np.inf]
    got = read(builder, "train")[sample["name"]]
    assert_sequence(got["audio"], sample["audio"])
    assert builder.nonfinite_values["train"] == {"audio": 3}


def test_refuses_values_that_are_not_finite(tmp_path):
    samples = write_mmsa(tmp_path, change=put_infinities)
    with pytest.raises(DataFileError, match="row 0 of 'audio' has 3 values"):
        prepare(tmp_path, nonfinite="raise")
    with pytest.warns(UserWarning, match="row 0 of 'audio'"):
        builder = prepare(tmp_path, nonfinite="raise", on_error="absent")
    example = read(builder, "train")[samples["train"][0]["name"]]
    assert not example["present"]["audio"] and example["present"]["video"]
    assert len(builder.left_out) == 2


def test_wrong_label(tmp_path):
    def change(content):
        content["valid"]["regression_labels"][1] = np.nan

    samples = write_mmsa(tmp_path, change=change)
    with pytest.raises(DataFileError, match="label of row 1 is nan"):
        prepare(tmp_path)
    with pytest.warns(UserWarning, match="label of row 1"):
        builder = prepare(tmp_path, on_error="skip")
    assert set(read(builder, "validation")) == {
        samples["validation"][0]["name"]
    }


def drop(split, key):
    return lambda data: data[split].pop(key)


def put(split, key, value):
    return lambda data: data[split].__setitem__(key, value)


DEFECTS = {
    "no split 'valid'": lambda data: data.pop("valid"),
    "split 'test' has no 'regression_labels'": drop(
        "test", "regression_labels"
    ),
    "no 'vision'": drop("train", "vision"),
    "'vision' of split 'train' has 3 samples, 'regression_labels' has 4": put(
        "train", "vision", np.ones((3, 8, 4))
    ),
    r"'audio' of split 'test' must have the shape \(samples, frames, width": (
        put("test", "audio", np.ones((3, 5)))
    ),
    "'audio' differs in width between splits": put(
        "test", "audio", np.ones((3, 8, 7))
    ),
    "'audio' of split 'test' is no array of numbers": put(
        "test", "audio", [np.ones((2, 5)), np.ones((3, 5)), np.ones((4, 5))]
    ),
    "'text' of split 'valid' is no array of numbers": put(
        "valid", "text", ["a", "b"]
    ),
    "must have one value per sample": put(
        "test", "regression_labels", np.ones((3, 7))
    ),
    "not aligned.*aligned=False": put("test", "audio", np.ones((3, 9, 5))),
    r"\(samples, 3, tokens": put("test", "text_bert", np.ones((3, 2, 10))),
    "'id' of split 'test' has 2 samples": put("test", "id", ["a", "b"]),
}


@pytest.mark.parametrize("message", DEFECTS)
def test_defects(tmp_path, message):
    write_mmsa(tmp_path, change=DEFECTS[message])
    with pytest.raises(DataFileError, match=message) as info:
        prepare(tmp_path, modalities=ALL)
    assert info.value.path.endswith("aligned_50.pkl")


def test_impossible_length(tmp_path):
    def change(content):
        content["test"]["audio_lengths"][2] = 10

    write_mmsa(tmp_path, aligned=False, change=change)
    message = "row 2 states 10 frames of 'audio', which has 9"
    with pytest.raises(DataFileError, match=message):
        prepare(tmp_path, aligned=False)


def test_damaged_and_missing_files(tmp_path):
    (tmp_path / "raw" / "other").mkdir(parents=True)
    with pytest.raises(DataFileError, match="raw: none of .*aligned_50.pkl"):
        prepare(tmp_path)
    (tmp_path / "raw" / "mosi.pkl").write_bytes(b"")
    with pytest.raises(DataFileError, match=r"`file=`.*\['mosi.pkl'\]"):
        prepare(tmp_path)
    with pytest.raises(DataFileError, match="mosi.pkl: the file is empty"):
        prepare(tmp_path, file="mosi.pkl")
    write_mmsa(tmp_path)
    path = tmp_path / "raw" / "aligned_50.pkl"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataFileError, match="aligned_50.pkl: .*truncated"):
        prepare(tmp_path)
    path.write_bytes(pickle.dumps({"train": eval}))
    with pytest.raises(DataFileError, match="aligned_50.pkl: .*eval"):
        prepare(tmp_path)
    path.write_bytes(pickle.dumps([1]))
    with pytest.raises(DataFileError, match="aligned_50.pkl: .*a list"):
        prepare(tmp_path)
    # Nothing is left of the attempts.
    path.write_bytes(content)
    assert len(prepare(tmp_path).as_data_source("train")) == 4


def test_folders_of_mmsa_and_two_files(tmp_path):
    samples = files.make_samples(True)
    folder = tmp_path / "raw" / "MOSI" / "Processed"
    files.write_mmsa(folder / "aligned_50.pkl", samples, True)
    assert len(prepare(tmp_path).as_data_source("train")) == 4
    files.write_mult(tmp_path / "raw" / "mosi_data.pkl", samples, True)
    with pytest.raises(DataFileError, match="2 feature files.*`file=`"):
        prepare(tmp_path, modalities=["audio"])
    files.write_mult(tmp_path / "raw" / "mosi_raw.pkl", samples, True)
    builder = prepare(tmp_path, file="mosi_raw.pkl")
    assert "mosi_raw.pkl" in builder.data_dir
    assert set(builder.info.features["present"]) == {*files.WIDTHS}


def test_folder_given_when_preparing(tmp_path):
    samples = write_mmsa(tmp_path)
    config = tfds.download.DownloadConfig(manual_dir=tmp_path / "raw")
    builder = CMUMOSI(data_dir=tmp_path / "prepared")
    assert builder.info.features["audio"].shape == (None, 5)
    with pytest.raises(DataFileError, match=r"CMUMOSI\(manual_dir="):
        builder.download_and_prepare(download_config=config)

    # With the usual widths it does.
    def widen(content):
        for arrays in content.values():
            rows = len(arrays["text"])
            arrays["text"] = np.ones((rows, 8, 768))
            arrays["vision"] = np.ones((rows, 8, 20))
            arrays["text_bert"] = np.zeros((rows, 3, 50))
            arrays["text_bert"][:, 1, :8] = 1

    write_mmsa(tmp_path, change=widen)
    builder = CMUMOSI(data_dir=tmp_path / "prepared")
    builder.download_and_prepare(download_config=config)
    got = read(builder, "train")[samples["train"][0]["name"]]
    assert got["text_features"].shape == (8, 768)


@pytest.mark.parametrize(
    "choice", [{"nonfinite": "mean"}, {"modalities": ["face"]}, {"file": "a/b"}]
)
def test_wrong_choices(choice):
    with pytest.raises(ValueError, match=f"`{[*choice][0]}` must be"):
        CMUMOSI(**choice)
