import sys

import pytest
import tensorflow_datasets as tfds

from keras_xkd import datasets
from keras_xkd.datasets import registry


def test_builders_by_name(tmp_path):
    ours = datasets.builders()
    assert set(ours) == set(registry.BUILDERS.values())
    assert ours["ravdess"] is datasets.RAVDESS
    for name, cls in ours.items():
        assert issubclass(cls, datasets.MultimodalBuilder)
        assert (
            cls.CITATION
            and cls.MANUAL_DOWNLOAD_INSTRUCTIONS is not None
            or (name in ("av_mnist", "paired_media"))
        )
    for name in ("ravdess", "RAVDESS"):
        built = datasets.builder(name, data_dir=str(tmp_path), frame_rate=2)
        assert isinstance(built, datasets.RAVDESS)
        assert built.builder_config.frame_rate == 2
    built = datasets.builder("ucf101", data_dir=str(tmp_path))
    assert isinstance(built, datasets.UCF101)
    assert isinstance(
        tfds.builder("ravdess", data_dir=str(tmp_path)), datasets.RAVDESS
    )
    assert isinstance(
        tfds.builder("ravdess/channel=song", data_dir=str(tmp_path)),
        datasets.RAVDESS,
    )


def test_builders_of_tensorflow_datasets(tmp_path):
    # Ours do not stand in their way.
    datasets.builders()
    assert datasets.builder("mnist", data_dir=str(tmp_path)).name == "mnist"
    theirs = tfds.builder("ucf101", data_dir=str(tmp_path))
    assert not isinstance(theirs, datasets.MultimodalBuilder)
    with pytest.raises(tfds.core.registered.DatasetNotFoundError):
        datasets.builder("no_such_data_set", data_dir=str(tmp_path))


def test_without_tensorflow_datasets(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    assert "RAVDESS" in dir(datasets)
    for use in (
        lambda: datasets.RAVDESS,
        lambda: datasets.builder("mnist"),
        datasets.builders,
    ):
        with pytest.raises(ImportError, match=r'"keras-xkd\[data\]"'):
            use()


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'Imagenet'"):
        datasets.Imagenet  # noqa: B018
