import dataclasses
import json
import logging
import pathlib
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_xkd import datasets
from keras_xkd.datasets.file_error import check_file
from keras_xkd.datasets.multimodal_config import MultimodalConfig
from keras_xkd.datasets.preparation import Preparation
from tests.datasets import builder_case

MODALITIES = ("audio", "video", "depth", "tokens", "text")


@dataclasses.dataclass(kw_only=True)
class ClipsConfig(MultimodalConfig):
    scale: float = 1.0
    sizes: tuple = (4, 6)


class Clips(datasets.MultimodalBuilder):
    """Clips that lack this and that."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = "A folder with a file `list.txt`."
    BUILDER_CONFIGS = [ClipsConfig()]

    def features(self):
        height, width = self.builder_config.sizes
        features = tfds.features
        return features.FeaturesDict(
            {
                "audio": features.Tensor(shape=(None,), dtype=np.float32),
                "video": features.Sequence(
                    features.Image(shape=(height, width, 3))
                ),
                "depth": features.Tensor(
                    shape=(height, width, 1), dtype=np.uint16, encoding="zlib"
                ),
                "tokens": features.Tensor(shape=(None, 3), dtype=np.float32),
                "text": features.Text(),
                "label": features.Scalar(dtype=np.float32),
                "name": features.Text(),
                "present": {
                    m: features.Scalar(dtype=np.bool_) for m in MODALITIES
                },
            }
        )

    def samples(self, folder):
        names = (folder / "list.txt").read_text().split()
        return {
            "train": [(n, self._example(n, folder)) for n in names],
            "test": [("t", self._example("t", folder))],
        }

    def _example(self, name, folder):
        height, width = self.builder_config.sizes

        def audio():
            check_file(folder / f"{name}.raw")
            content = (folder / f"{name}.raw").read_bytes()
            return np.frombuffer(content, "float32")

        lacking = name if name in MODALITIES else None
        frames = np.random.RandomState(len(name)).randint(
            0, 256, (2, height, width, 3), "uint8"
        )
        example = {
            "audio": audio,
            "video": lambda: frames,
            "depth": np.full((height, width, 1), 60_000, "uint16"),
            "tokens": np.ones((2, 3), "float32"),
            "text": "Grüße",
        }
        example = {m: None if m == lacking else v for m, v in example.items()}
        return example | {"label": len(name) / 2, "name": name}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    names = ["one", "two", *MODALITIES]
    (folder / "list.txt").write_text(" ".join(names))
    for name in [*names, "t"]:
        np.arange(5, dtype="float32").tofile(folder / f"{name}.raw")
    return folder


def builder(folder, **kwargs):
    return Clips(manual_dir=folder, data_dir=str(folder.parent), **kwargs)


def test_values_and_absence(folder, tmp_path):
    def make(data_dir):
        return Clips(manual_dir=str(folder), data_dir=data_dir)

    built, splits = builder_case.run_builder_test(make, tmp_path)
    train = builder_case.by_name(splits["train"])
    assert set(train) == {"one", "two", *MODALITIES}
    assert [e["name"] for e in splits["test"]] == ["t"]
    one = train["one"]
    np.testing.assert_array_equal(one["audio"], np.arange(5))
    assert one["video"].shape == (2, 4, 6, 3)
    frames = np.random.RandomState(3).randint(0, 256, (2, 4, 6, 3), "uint8")
    np.testing.assert_array_equal(one["video"], frames)
    assert one["depth"].dtype == "uint16"
    assert (one["depth"] == 60_000).all()
    assert one["text"] == "Grüße"
    assert one["label"] == 1.5
    assert all(one["present"].values())
    for lacking in MODALITIES:
        example = train[lacking]
        assert not example["present"][lacking]
        assert sum(example["present"].values()) == len(MODALITIES) - 1
        assert not np.any(example[lacking])  # Empty, or zeros.
    assert train["audio"]["audio"].shape == (0,)
    assert train["tokens"]["tokens"].shape == (0, 3)
    assert len(train["video"]["video"]) == 0
    assert train["depth"]["depth"].shape == (4, 6, 1)
    assert built.left_out == []


def test_raise_names_the_file_and_leaves_nothing(folder):
    (folder / "two.raw").write_bytes(b"")
    built = builder(folder)
    with pytest.raises(datasets.DataFileError, match="two.raw: .* is empty"):
        built.download_and_prepare()
    assert not built.is_prepared()
    assert not list(pathlib.Path(built.data_dir).parent.glob("*1.0.0*"))
    assert not builder(folder).is_prepared()
    # The next attempt starts afresh.
    np.arange(5, dtype="float32").tofile(folder / "two.raw")
    built.download_and_prepare()
    assert built.info.splits["train"].num_examples == 7


def test_skip_reports(folder):
    (folder / "two.raw").unlink()
    (folder / "text.raw").write_bytes(b"")
    built = builder(folder, on_error="skip")
    with pytest.warns(UserWarning, match="2 samples were left out") as caught:
        built.download_and_prepare()
    for name in ("two.raw: expected a file", "text.raw: the file is empty"):
        assert name in str(caught[0].message)
    train = builder_case.by_name(builder_case.read(built, "train"))
    assert set(train) == {"one", *MODALITIES} - {"text"}
    assert {f["key"] for f in built.left_out} == {"two", "text"}
    assert all(f["skipped"] for f in built.left_out)
    # A builder that only reads knows too, and asking again says it again.
    other = Clips(data_dir=str(folder.parent), on_error="skip")
    assert other.left_out == built.left_out
    with pytest.warns(UserWarning, match="2 samples were left out"):
        other.download_and_prepare()


def test_absent_keeps_the_sample(folder):
    (folder / "two.raw").unlink()
    built = builder(folder, on_error="absent")
    with pytest.warns(UserWarning, match="^1 modality was marked as abs"):
        built.download_and_prepare()
    train = builder_case.by_name(builder_case.read(built, "train"))
    assert len(train) == 7
    assert not train["two"]["present"]["audio"]
    assert train["two"]["present"]["video"]
    [problem] = built.left_out
    assert problem["modality"] == "audio" and not problem["skipped"]


def test_another_on_error(folder):
    # All files are there: what it would have done makes no difference.
    builder(folder, on_error="skip").download_and_prepare()
    assert len(builder(folder).as_data_source("train")) == 7

    (folder / "two.raw").unlink()
    (folder / "text.raw").unlink()
    with pytest.warns(UserWarning, match="^2 modalities were marked as absent"):
        builder(folder, on_error="absent", scale=2.0).download_and_prepare()
    builder(folder, on_error="absent", scale=2.0)
    for other in ("raise", "skip"):
        message = f"on_error='absent', .*: 2 modal.* on_error='{other}'"
        with pytest.warns(UserWarning, match=message):
            built = builder(folder, on_error=other, scale=2.0)
        assert len(built.as_data_source("train")) == 7
    # Prepared before that was written down.
    path = built.data_path / "prepared_from.json"
    written = json.loads(path.read_text())
    assert written.pop("on_error") == "absent"
    path.write_text(json.dumps(written))
    assert len(builder(folder, scale=2.0).left_out) == 2


def test_what_was_lost_is_counted():
    lost = {"split": "train", "file": "a", "reason": "b", "skipped": True}
    samples = [lost | {"key": k} for k in (1, 1, 2)]
    absent = [lost | {"key": k, "skipped": False} for k in (3, 4)]
    for left_out, expected in [
        (samples, "2 samples were left out, because"),
        (samples[:2], "1 sample was left out, because"),
        (absent, "2 modalities were marked as absent, because"),
        (
            samples + absent[:1],
            "2 samples were left out and 1 modality was marked as absent, beca",
        ),
    ]:
        summary = Preparation(left_out=left_out).summary(pathlib.Path("x"))
        assert summary.startswith(expected)


def test_messages_that_say_nothing(folder, caplog):
    logger = logging.getLogger("absl")
    before = list(logger.filters)

    def warn():
        logger.warning("Using custom data configuration: %s", "theirs")

    class Loud(Clips, skip_registration=True):
        """Another thread says the same meanwhile, and this one another."""

        VERSION = tfds.core.Version("1.0.0")

        def features(self):
            thread = threading.Thread(target=warn)
            thread.start()
            thread.join()
            logger.warning("something else")
            return super().features()

    logger.addHandler(caplog.handler)
    try:
        built = Loud(manual_dir=folder, data_dir=str(folder.parent), scale=3.0)
        built.download_and_prepare()
        warn()
    finally:
        logger.removeHandler(caplog.handler)
    theirs = "Using custom data configuration: theirs"
    said = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    # Once for each handler: the logger may hand its records on.
    assert list(dict.fromkeys(said)) == [theirs, "something else"]
    assert logger.filters == before
    with pytest.raises(ValueError, match="no_such"):
        builder(folder, config="no_such")
    assert logger.filters == before


def test_nothing_left(folder):
    (folder / "t.raw").unlink()
    with pytest.raises(
        ValueError, match="No sample is left .*'test'[^$]*t.raw"
    ):
        builder(folder, on_error="skip").download_and_prepare()


def test_choices_live_side_by_side(folder):
    first, second = builder(folder), builder(folder, sizes=(2, 2))
    assert pathlib.Path(first.data_dir).parts[-2] == "scale_1-sizes_4_6"
    assert pathlib.Path(second.data_dir).parts[-2] == "scale_1-sizes_2_2"
    first.download_and_prepare()
    assert not builder(folder, sizes=(2, 2)).is_prepared()
    second.download_and_prepare()
    video = builder_case.read(second, "test")[0]["video"]
    assert video.shape == (2, 2, 2, 3)
    assert builder(folder, config=ClipsConfig()).is_prepared()
    # By name, tensorflow-datasets reads the files.
    read = tfds.builder("clips/scale_1-sizes_2_2", data_dir=str(folder.parent))
    assert len(read.as_data_source("train")) == 7


def test_configurations_of_one_name(folder):
    builder(folder, config=ClipsConfig(name="my")).download_and_prepare()
    with pytest.raises(ValueError, match="prepared with other choices"):
        builder(folder, config=ClipsConfig(name="my", scale=2.0))


def test_bad_arguments(folder):
    with pytest.raises(ValueError, match="`on_error` must be .*'ignore'"):
        builder(folder, on_error="ignore")
    with pytest.raises(ValueError, match="does not know .*'size'.*'scale'"):
        builder(folder, size=3)
    with pytest.raises(ValueError, match="not both"):
        builder(folder, scale=2.0, config=ClipsConfig())
    with pytest.raises(AssertionError, match="A folder with a file `list.txt`"):
        builder(folder.parent / "nowhere").download_and_prepare()


def test_manual_dir_of_the_download_config(folder):
    built = Clips(data_dir=str(folder.parent))
    config = tfds.download.DownloadConfig(manual_dir=str(folder))
    built.download_and_prepare(download_config=config)
    assert len(built.as_data_source("train")) == 7


def test_tfrecord_on_request(folder):
    built = builder(folder, file_format="tfrecord")
    built.download_and_prepare()
    names = {e["name"] for e in tfds.as_numpy(built.as_dataset(split="train"))}
    assert names == {n.encode() for n in ["one", "two", *MODALITIES]}
    assert builder(folder).info.file_format.value == "tfrecord"


def test_interrupted_preparation(folder):
    # What a killed process leaves behind is not taken for data.
    built = builder(folder)
    left = pathlib.Path(built.data_dir).with_name("incomplete.ABCDEF_1.0.0")
    left.mkdir(parents=True)
    (left / "clips-train.array_record-00000-of-00001").write_bytes(b"x")
    assert not builder(folder).is_prepared()
    built.download_and_prepare()
    assert len(built.as_data_source("train")) == 7


def test_missing_value_is_an_error_of_the_builder(folder):
    class Wrong(Clips, skip_registration=True):
        """Forgets the label."""

        VERSION = tfds.core.Version("1.0.0")

        def _example(self, name, folder):
            return super()._example(name, folder) | {"label": None}

    wrong = Wrong(manual_dir=folder, data_dir=str(folder.parent))
    with pytest.raises(ValueError, match="has no .*'label'"):
        wrong.download_and_prepare()


def test_neither_preparing_nor_reading_needs_tensorflow(tmp_path):
    code = """
        import json, pathlib, sys
        from tests.datasets import media_files
        from keras_xkd import datasets
        folder = pathlib.Path(sys.argv[1])
        image = media_files.grays([7])[0]
        media_files.write_image(folder / "raw/image/train/a/1.png", image)
        media_files.write_wav(
            folder / "raw/audio/train/a/1.wav", media_files.sine()
        )
        builder = datasets.PairedMedia(
            manual_dir=folder / "raw", data_dir=str(folder), image_size=8
        )
        builder.download_and_prepare()
        example = builder.as_data_source("train")[0]
        assert example["image"].shape == (8, 8, 3)
        assert example["audio"].shape == (16_000,)
        print(json.dumps("tensorflow" in sys.modules))
    """
    import os
    import textwrap

    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        backend = "jax"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=pathlib.Path(datasets.__file__).parents[2],
        env={**os.environ, "KERAS_BACKEND": backend},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) is False
