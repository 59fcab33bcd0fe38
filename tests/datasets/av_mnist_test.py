import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_xkd import datasets
from keras_xkd.datasets.av_mnist import principal_components
from tests.datasets import builder_case

TRAIN, TEST = 120, 20
SPEAKERS = ("george", "jackson")


def pixels(count, seed):
    """Images whose corner says their row; the digit of row `i` is `i % 10`."""
    images = np.random.RandomState(seed).randint(0, 256, (count, 28, 28, 1))
    images[:, 0, 0, 0] = np.arange(count)
    return images.astype("uint8")


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """The two data sets, prepared as tensorflow-datasets prepares them."""
    folder = tmp_path_factory.mktemp("tfds")

    def images(self, _):
        return {
            split: [
                (i, {"image": _png(image), "label": i % 10})
                for i, image in enumerate(pixels(count, seed))
            ]
            for split, count, seed in [("train", TRAIN, 0), ("test", TEST, 1)]
        }

    def sounds(self, _):
        return {
            "train": [
                (
                    f"{digit}_{speaker}_{i}",
                    {
                        "audio": np.full(40 + i, digit * 100 + i, "int64"),
                        "label": digit,
                        "audio/filename": f"{digit}_{speaker}_{i}.wav",
                    },
                )
                for digit in range(10)
                for speaker in SPEAKERS
                for i in range(12)
            ]
        }

    for name, examples in [("mnist", images), ("spoken_digit", sounds)]:
        builder = tfds.builder(name, data_dir=str(folder))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(builder), "_split_generators", examples)
            builder.download_and_prepare(file_format="array_record")
    return folder


def _png(image):
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image[..., 0]).save(file, format="png")
    return file.getvalue()


def test_pairs(sources):
    built = datasets.AVMNIST(data_dir=str(sources))
    splits = builder_case.prepare(built)
    assert {k: len(v) for k, v in splits.items()} == {
        "train": TRAIN - TRAIN // 12,
        "validation": TRAIN // 12,
        "test": TEST,
    }
    recordings = {"train": {10, 11}, "validation": set(range(5, 10))}
    recordings["test"] = set(range(5))
    for split, examples in splits.items():
        images = pixels(TEST, 1) if split == "test" else pixels(TRAIN, 0)
        heard = {}
        for example in examples:
            digit = example["label"]
            row = example["image"][0, 0, 0]
            assert digit == row % 10
            np.testing.assert_array_equal(example["image"], images[row])
            # 100 times the digit plus the number of the recording.
            value = example["audio"] * 32768
            number = len(value) - 40
            assert (value == digit * 100 + number).all()
            assert number in recordings[split]
            assert f"_{digit}_" in example["name"]
            heard.setdefault(digit, []).append(example["name"][6:])
        for names in heard.values():
            # Dealt out evenly.
            counts = [names.count(name) for name in set(names)]
            assert max(counts) - min(counts) <= 1


def test_seeds(sources):
    def names(**kwargs):
        built = datasets.AVMNIST(data_dir=str(sources), **kwargs)
        return sorted(e["name"] for e in builder_case.prepare(built)["train"])

    assert names() == names(seed=0)
    assert names() != names(seed=1)


def test_energy_and_rate(sources):
    built = datasets.AVMNIST(
        data_dir=str(sources), image_energy=0.25, sample_rate=16_000
    )
    splits = builder_case.prepare(built)
    images = np.stack(
        [e["image"] for s in ("train", "validation") for e in splits[s]]
    )
    before = pixels(TRAIN, 0).astype("float64")
    assert images.var(axis=0).sum() == pytest.approx(
        before.var(axis=0).sum() * 0.25, rel=0.05
    )
    assert len(splits["test"][0]["audio"]) in range(80, 92)


def test_principal_components():
    images = pixels(60, 0)
    flat = images.reshape(60, -1).astype("float64")
    mean = flat.mean(axis=0)
    _, values, rows = np.linalg.svd(flat - mean, full_matrices=False)
    part = (values**2).cumsum() / (values**2).sum()
    count = int((part < 0.5).sum()) + 1
    expected = (flat - mean) @ rows[:count].T @ rows[:count] + mean
    kept = principal_components(images, 0.5)(images)
    np.testing.assert_allclose(
        kept.reshape(60, -1), expected.clip(0, 255), atol=0.51
    )
    np.testing.assert_array_equal(
        principal_components(images, 1.0)(images), images
    )


def test_bad_choices(tmp_path):
    for kwargs in ({"image_energy": 0}, {"image_energy": 2}):
        with pytest.raises(ValueError, match="a part of 1 or None"):
            datasets.AVMNIST(data_dir=str(tmp_path), **kwargs)
