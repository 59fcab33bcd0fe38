import sys

import keras
import numpy as np
import pytest

from keras_xkd.data import views
from keras_xkd.datasets import av_digits


@pytest.fixture(scope="module")
def splits():
    return av_digits.load_data()


def test_shapes_and_dtypes(splits):
    for (x, y), size in zip(splits, (1200, 297, 300)):
        assert list(x) == ["image", "audio", "sample_id"]
        assert x["image"].shape == (size, 8, 8, 1)
        assert x["audio"].shape == (size, 40, 32)
        assert x["sample_id"].shape == y.shape == (size,)
        assert x["image"].dtype == x["audio"].dtype == np.float32
        assert x["sample_id"].dtype == y.dtype == np.int32


def test_values(splits):
    (x, y), validation, test = splits
    assert x["image"].min() == 0
    assert x["image"].max() == 1
    # Sixteenths: the pixels of the source, unchanged.
    np.testing.assert_array_equal(x["image"] * 16, np.rint(x["image"] * 16))
    np.testing.assert_allclose(x["audio"].mean(), 0, atol=1e-4)
    np.testing.assert_allclose(x["audio"].std(), 1, atol=1e-4)
    for other, _ in (validation, test):
        assert abs(other["audio"].mean()) < 0.1
        assert abs(other["audio"].std() - 1) < 0.1


def test_digits_per_split(splits):
    (_, y_train), (_, y_val), (_, y_test) = splits
    np.testing.assert_array_equal(np.bincount(y_train), [120] * 10)
    np.testing.assert_array_equal(np.bincount(y_test), [30] * 10)
    assert np.bincount(y_val).min() == 24
    assert np.bincount(y_val).max() == 33


def test_sample_ids_are_unique(splits):
    ids = [x["sample_id"] for x, _ in splits]
    np.testing.assert_array_equal(np.concatenate(ids), np.arange(1797))


def test_images_are_those_of_the_source(splits):
    from sklearn.datasets import load_digits

    digits = load_digits()
    for (x, y), metadata in zip(splits, av_digits.load_metadata()):
        rows = metadata["source_row"]
        np.testing.assert_array_equal(digits.target[rows], y)
        np.testing.assert_array_equal(
            digits.images[rows], x["image"][..., 0] * 16
        )


@pytest.mark.parametrize("key", ["speaker", "voice", "source_row"])
def test_splits_are_disjoint(key):
    sets = [set(part[key]) for part in av_digits.load_metadata()]
    assert len(set.union(*sets)) == sum(len(s) for s in sets)


def test_speakers():
    metadata = av_digits.load_metadata()
    for part, voices in zip(metadata, (40, 12, 12)):
        assert len(set(part["voice"])) == voices
        assert len(set(part["speaker"])) == 2 * voices
        assert len(set(part["accent"])) == 8
    # Each speaker says each digit about equally often.
    (_, y), _, _ = av_digits.load_data()
    counts = np.zeros((80, 10), int)
    np.add.at(counts, (metadata[0]["speaker"], y), 1)
    assert counts.min() == 1
    assert counts.max() == 2


def test_no_recording_occurs_twice(splits):
    audio = np.concatenate([x["audio"] for x, _ in splits])
    assert len(np.unique(audio.reshape(len(audio), -1), axis=0)) == 1797


def test_file_is_small_and_holds_plain_arrays():
    assert av_digits.PATH.stat().st_size <= 2.2e6
    with np.load(av_digits.PATH, allow_pickle=False) as archive:
        assert archive["audio"].dtype == np.uint8
        assert archive["audio"].max() <= 63


def test_golden_values(splits):
    (x, y), (_, y_val), (_, y_test) = splits
    assert y[:10].tolist() == [6, 6, 9, 4, 2, 3, 7, 6, 6, 6]
    assert y_val[:5].tolist() == [2, 3, 9, 3, 3]
    assert y_test[:5].tolist() == [6, 5, 3, 8, 6]
    np.testing.assert_allclose(
        x["audio"][0, 10, :4], [1.13204, 1.42791, 1.62517, 2.11829], atol=1e-4
    )


def test_loading_needs_no_other_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setenv("PATH", "")
    av_digits.load_data()


def test_loading_is_deterministic(splits):
    options = {
        "degrade": {"audio": {"noise": 1.0}},
        "labels": 3,
        "pairs": 20,
        "missing": {"audio": 0.5},
    }
    one, two = (av_digits.load_data(**options, seed=3) for _ in range(2))
    other = av_digits.load_data(**options, seed=4)
    for (x1, y1), (x2, y2) in zip(one, two):
        np.testing.assert_array_equal(x1["audio"], x2["audio"])
        np.testing.assert_array_equal(y1, y2)
    assert not np.array_equal(one[0][0]["sample_id"], other[0][0]["sample_id"])


def test_labels(splits):
    (x, y), (_, y_val), (_, y_test) = av_digits.load_data(labels=4, seed=1)
    np.testing.assert_array_equal(np.bincount(y[y >= 0]), [4] * 10)
    assert (y == -1).sum() == 1160
    true = splits[0][1]
    np.testing.assert_array_equal(y[y >= 0], true[y >= 0])
    np.testing.assert_array_equal(x["audio"], splits[0][0]["audio"])
    np.testing.assert_array_equal(y_val, splits[1][1])
    np.testing.assert_array_equal(y_test, splits[2][1])


def test_labels_of_few_pairs():
    (x, y), (_, y_val), _ = av_digits.load_data(labels=2, pairs=10)
    assert x["audio"].shape == (100, 40, 32)
    np.testing.assert_array_equal(np.bincount(y[y >= 0]), [2] * 10)
    assert len(y_val) == 297


def test_hidden_labels_fit_the_loss_of_keras():
    (_, y), _, _ = av_digits.load_data(labels=1)
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, ignore_class=-1, reduction="sum"
    )
    value = float(loss(y, np.zeros((1200, 10), "float32")))
    np.testing.assert_allclose(value, 10 * np.log(10), rtol=1e-5)


def test_missing(splits):
    train, validation, test = av_digits.load_data(missing={"audio": 0.25})
    present = train[0]["present"]
    assert present["audio"].sum() == 900
    assert present["image"].sum() == 1200
    absent = present["audio"] == 0
    assert not train[0]["audio"][absent].any()
    np.testing.assert_array_equal(
        train[0]["audio"][~absent], splits[0][0]["audio"][~absent]
    )
    for (x, _), (original, _) in zip((validation, test), splits[1:]):
        assert x["present"]["audio"].all()
        np.testing.assert_array_equal(x["audio"], original["audio"])


def test_degrade_applies_to_all_splits(splits):
    degraded = av_digits.load_data(
        degrade={"audio": {"noise": 0.5}, "image": {"resolution": 4}}
    )
    for (x, _), (clean, _) in zip(degraded, splits):
        noise = x["audio"] - clean["audio"]
        np.testing.assert_allclose(noise.std(), 0.5, atol=0.01)
        blocks = clean["image"].reshape(-1, 4, 2, 4, 2).mean((2, 4))
        np.testing.assert_allclose(x["image"][:, ::2, 1::2, 0], blocks)


def test_image_noise_is_in_units_of_the_training_set(splits):
    degraded = av_digits.load_data(degrade={"image": {"noise": 2.0}})
    std = splits[0][0]["image"].std()
    for (x, _), (clean, _) in zip(degraded, splits):
        noise = x["image"] - clean["image"]
        np.testing.assert_allclose(noise.std(), 2 * std, rtol=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"degrade": {"video": {"noise": 1}}}, "Unknown modality.*video"),
        ({"degrade": {"audio": {"blur": 1}}}, "keys among.*noise"),
        ({"degrade": {"image": {"resolution": 3}}}, "must divide"),
        ({"labels": 0}, "positive integer"),
        ({"labels": 121}, "only 120 samples"),
        ({"pairs": 10, "labels": 11}, "only 10 samples"),
        ({"pairs": 0.5}, "positive integer"),
        ({"missing": {"audio": 1.5}}, "from 0 to 1"),
        ({"missing": {"text": 0.5}}, "Unknown modality.*text"),
        ({"missing": 0.5}, "must be a dict"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        av_digits.load_data(**options)


def test_views_compose(splits):
    x, y = splits[0]
    labelled, y_labelled = views.few_labels(x, y, 5)
    rest = views.unlabelled(x, y, 5)
    ids = np.concatenate([labelled["sample_id"], rest["sample_id"]])
    np.testing.assert_array_equal(np.sort(ids), np.arange(1200))
    assert len(y_labelled) == 50
