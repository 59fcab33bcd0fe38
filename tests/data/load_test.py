import keras
import numpy as np
import pytest
from keras import layers

from keras_xkd import data
from keras_xkd.data import collate
from keras_xkd.distillers import CrossModalDistiller
from tests.data.clips import Clips
from tests.data.clips import Sounds
from tests.test_case import to_numpy


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture(scope="module")
def clips(folder):
    builder = Clips(data_dir=folder)
    builder.download_and_prepare(file_format="array_record")
    return builder


def read(dataset):
    """All batches, as NumPy."""

    def convert(value):
        if isinstance(value, dict):
            return {k: convert(v) for k, v in value.items()}
        if isinstance(value, np.ndarray):
            return value
        return value.numpy()

    return [
        (convert(batch[0]), convert(batch[1]))
        if isinstance(batch, tuple)
        else convert(batch)
        for batch in dataset
    ]


def ids(dataset):
    return np.concatenate(
        [
            (b[0] if isinstance(b, tuple) else b)["sample_id"]
            for b in read(dataset)
        ]
    )


def clip_of(x):
    """The number of each clip, from its first pixel."""
    return x["video"][:, 0, 0, 0, 0].astype(int)


def test_every_sample_once_with_its_own_values(clips):
    dataset = data.load(clips, ["video", "audio"], batch_size=6)
    seen = []
    for x, y in read(dataset):
        number = clip_of(x)
        np.testing.assert_array_equal(y, number % 4)
        np.testing.assert_array_equal(
            x["present"]["audio"], (number % 5 > 0).astype("float32")
        )
        for i, n in enumerate(number):
            frames = x["video"][i].astype(int)
            expected = np.zeros_like(frames)
            expected[: 2 + n % 3] = n
            np.testing.assert_array_equal(frames, expected)
            sound = np.zeros(x["audio"].shape[1], "float32")
            sound[: (4 + n) * (n % 5 > 0)] = n
            np.testing.assert_array_equal(x["audio"][i], sound)
        seen.extend(number)
    assert sorted(seen) == list(range(20))
    assert len(read(dataset)[-1][1]) == 2


def test_type_of_the_backend(clips):
    dataset = data.load(clips, "video", length={"video": 3}, batch_size=4)
    if keras.backend.backend() == "tensorflow":
        video = dataset.element_spec[0]["video"]
        assert video.shape.as_list() == [None, 3, 2, 2, 3]
        assert int(dataset.cardinality()) == 5
    elif keras.backend.backend() == "torch":
        import torch

        assert isinstance(dataset, torch.utils.data.DataLoader)
        assert len(dataset) == 5
    else:
        import grain

        assert isinstance(dataset, grain.IterDataset)
        assert len(dataset) == 5


def test_order_differs_between_epochs_and_repeats_with_the_seed(clips):
    def two_epochs(seed):
        dataset = data.load(clips, "video", batch_size=4, seed=seed)
        return ids(dataset), ids(dataset)

    first, second = two_epochs(0)
    again = two_epochs(0)
    np.testing.assert_array_equal(first, again[0])
    np.testing.assert_array_equal(second, again[1])
    assert first.tolist() != second.tolist() != two_epochs(1)[0].tolist()
    # Looking at the first batch is not an epoch.
    dataset = data.load(clips, "video", batch_size=4)
    next(iter(dataset))
    np.testing.assert_array_equal(ids(dataset), first)


def test_ids_are_rows_of_the_split(clips):
    everything = data.load(clips, "video", shuffle=False, batch_size=20)
    x, _ = read(everything)[0]
    np.testing.assert_array_equal(x["sample_id"], np.arange(20))
    shuffled = data.load(clips, "video", length={"video": 4})
    for batch, _ in read(shuffled):
        np.testing.assert_array_equal(
            clip_of(batch), clip_of(x)[batch["sample_id"]]
        )
    assert ids(shuffled.unshuffled()).tolist() == list(range(20))


def test_ids_count_the_samples_of_a_builder_through(clips):
    def images(split, **options):
        x = read(data.load(clips, "video", split, batch_size=40, **options))
        return {i: n for b, _ in x for i, n in zip(b["sample_id"], clip_of(b))}

    everything = images("train")
    assert images("train[50%:]", shuffle=False).items() <= everything.items()
    assert [*images("train[50%:]", shuffle=False)] == [*range(10, 20)]
    both = images("train[15:]+test", shuffle=False)
    assert [*both] == [*range(15, 20), 20, 21]
    assert [*images("test")] == [20, 21] or [*images("test")] == [21, 20]
    import tensorflow_datasets as tfds

    part = tfds.core.ReadInstruction("train", from_=3, to=5, unit="abs")
    assert sorted(images(part)) == [3, 4]
    half, _ = tfds.even_splits("train", 2)
    assert sorted(images(half)) == [*range(10)]


def test_without_ids(clips):
    x, _ = read(data.load(clips, "video", sample_id=False))[0]
    assert set(x) == {"video"}


def test_sequences_of_texts_are_whole(clips):
    x, y = read(data.load(clips, "words", label="text", batch_size=20))[0]
    for words, text in zip(x["words"], y):
        found = [w.decode() if isinstance(w, bytes) else w for w in words]
        text = text.decode() if isinstance(text, bytes) else text
        assert " ".join(found).strip() == " ".join(["word"] * (len(text) - 5))


def test_length_and_padding_mask(clips):
    dataset = data.load(
        clips,
        ["video", "audio"],
        length={"video": 3, "audio": 5},
        padding_mask=["video"],
        batch_size=20,
    )
    x, _ = read(dataset)[0]
    assert x["audio"].shape == (20, 5)
    frames, mask = x["video"]["frames"], x["video"]["padding_mask"]
    assert frames.shape == (20, 3, 2, 2, 3)
    number = frames[:, 0, 0, 0, 0].astype(int)
    np.testing.assert_array_equal(
        mask, np.arange(3) < np.minimum(2 + number % 3, 3)[:, None]
    )


def test_names_and_text(clips):
    dataset = data.load(clips, {"speech": "text"}, batch_size=20, shuffle=False)
    x, _ = read(dataset)[0]
    texts = [t.decode() if isinstance(t, bytes) else t for t in x["speech"]]
    assert sorted(texts) == sorted(f"clip {i}" for i in range(20))
    assert set(x) == {"speech", "sample_id"}


def test_preprocess_gets_arrays_and_may_return_tensors(clips):
    def count(x):
        assert all(isinstance(text, str) for text in x["text"])
        digits = [int(text.split()[1]) for text in x["text"]]
        text = {"token_ids": keras.ops.convert_to_tensor(digits, "int32")}
        return {**x, "text": text}

    dataset = data.load(clips, ["text", "video"], preprocess=count)
    for x, _ in read(dataset):
        np.testing.assert_array_equal(x["text"]["token_ids"], clip_of(x))


def test_preprocess_returns_a_dict(clips):
    dataset = [lambda: data.load(clips, "video", preprocess=lambda x: None)]
    with pytest.raises(Exception, match="must return `x`"):
        read(dataset[0]())


def test_few_labels_and_the_rest(clips):
    few = data.load(clips, "video", few_labels=2, batch_size=3)
    rest = data.load(clips, "video", unlabelled=2, batch_size=3)
    labels = np.concatenate([y for _, y in read(few)])
    assert np.bincount(labels).tolist() == [2, 2, 2, 2]
    assert all(isinstance(batch, dict) for batch in read(rest))
    assert sorted([*ids(few), *ids(rest)]) == list(range(20))
    everything = data.load(clips, "video", shuffle=False, batch_size=20)
    (x, y), = read(everything)  # fmt: skip
    _, expected = data.few_labels({"row": np.arange(20)}, y, 2)
    assert sorted(labels) == sorted(expected)


def test_batches_of_absent_videos_have_the_shape_and_type_of_others(clips):
    dataset = data.load(
        clips, "video", missing={"video": 0.95}, batch_size=1, shuffle=False
    )
    batches = [x["video"] for x, _ in read(dataset)]
    assert {video.dtype.name for video in batches} == {"uint8"}
    assert {video.shape[2:] for video in batches} == {(2, 2, 3)}
    assert sorted({video.shape[1] for video in batches})[0] == 1


def test_missing_modalities(clips):
    dataset = data.load(
        clips, ["video", "audio"], missing={"video": 0.5}, batch_size=20
    )
    x, _ = read(dataset)[0]
    there = x["present"]["video"]
    assert there.sum() == 10
    assert x["video"][there == 0].max() == 0
    assert (x["present"]["audio"] == 0).sum() == 4
    # The same samples in every epoch.
    again, _ = read(dataset)[0]
    lost = set(x["sample_id"][there == 0])
    assert lost == set(again["sample_id"][again["present"]["video"] == 0])


def test_labels_keep_their_type(clips):
    for feature, dtype in [("label", "int64"), ("score", "float32")]:
        x, y = read(data.load(clips, "video", label=feature))[0]
        assert y.dtype.name == dtype
    np.testing.assert_allclose(y, clip_of(x) / 10, rtol=1e-6)
    with pytest.raises(ValueError, match="label.*several shapes"):
        read(data.load(clips, "audio", label="video", batch_size=20))


def test_pairs_share_their_label(clips, folder):
    sounds = Sounds(data_dir=folder)
    dataset = data.load({"video": clips, "audio": sounds}, batch_size=4)
    videos, audios, labels = [], [], []
    for x, y in read(dataset):
        np.testing.assert_array_equal(clip_of(x) % 4, y)
        np.testing.assert_array_equal(2 + x["audio"][:, 0] % 4, y)
        videos.extend(clip_of(x))
        audios.extend(x["audio"][:, 0])
        labels.extend(y)
    assert set(labels) == {2, 3}
    # Five clips of each class, fewer sounds: those are repeated.
    assert len(videos) == len(set(videos)) == 10
    assert len(set(audios)) == 6


def test_data_in_a_sequential_format(tmp_path):
    builder = Sounds(data_dir=tmp_path)
    builder.download_and_prepare(file_format="tfrecord")
    (x, y), = read(data.load(builder, batch_size=10))  # fmt: skip
    np.testing.assert_array_equal(2 + x["audio"][:, 0] % 4, y)


def test_fit_evaluate_predict(clips):
    def network(modality, shape):
        inputs = keras.Input(shape, name=modality)
        return keras.Model(
            {modality: inputs}, layers.Dense(4)(layers.Flatten()(inputs))
        )

    length = {"video": 2, "audio": 3}
    train = data.load(clips, [*length], length=length, batch_size=6)
    student = network("audio", (3,))
    distiller = CrossModalDistiller(
        student=student, teacher=network("video", (2, 2, 2, 3))
    )
    distiller.compile(
        "adam", "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    history = distiller.fit(
        train, epochs=2, verbose=0, validation_data=train.unshuffled()
    ).history
    assert np.isfinite(history["val_loss"]).all()
    assert np.isfinite(history["distillation_loss"]).all()
    test = data.load(
        clips, "audio", length={"audio": 3}, shuffle=False, batch_size=6
    )
    logits = distiller.predict(test, verbose=0)
    x = np.concatenate([x["audio"] for x, _ in read(test)])
    y = np.concatenate([y for _, y in read(test)])
    expected = to_numpy(student({"audio": x}))
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    results = distiller.evaluate(test, return_dict=True, verbose=0)
    correct = np.mean(expected.argmax(-1) == y)
    np.testing.assert_allclose(results["accuracy"], correct, rtol=1e-5)
    unlabelled = data.load(clips, [*length], label=None, length=length)
    distiller.fit(unlabelled, verbose=0)


def test_teachers_are_cached_in_order(clips, tmp_path):
    frames = keras.Input((2, 2, 2, 3), name="video")
    teacher = keras.Model(frames, layers.Dense(3)(layers.Flatten()(frames)))
    train = data.load(
        clips, "video", length={"video": 2}, batch_size=6, drop_remainder=True
    )
    cached = data.cache_teacher(teacher, train, tmp_path, verbose=0)
    again = data.cache_teacher(teacher, train, tmp_path, verbose=0)
    for dataset in (cached, again, cached.unshuffled()):
        seen = []
        for x, _ in read(dataset):
            found = x["teacher_outputs"]["teacher"]["logits"]
            expected = to_numpy(teacher(x["video"].astype("float32")))
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
            seen.extend(x["sample_id"])
        assert len(set(seen)) == len(seen) >= 18
    assert seen == list(range(20))


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"split": "dev"}, ["train", "dev"]),
        ({"modalities": ["smell"]}, ["smell", "audio"]),
        ({"modalities": []}, ["modalities"]),
        ({"label": "mood"}, ["mood", "label"]),
        ({"batch_size": 0}, ["batch_size", "0"]),
        ({"length": {"video": 0}}, ["length", "video"]),
        ({"length": {"smell": 3}}, ["length", "smell"]),
        ({"padding_mask": "video"}, ["padding_mask"]),
        ({"missing": {"video": 2}}, ["video", "2"]),
        ({"few_labels": 1, "unlabelled": 1}, ["few_labels", "unlabelled"]),
        ({"few_labels": 9}, ["9"]),
        ({"few_labels": 1, "label": "text"}, ["whole numbers"]),
        ({"modalities": "present"}, ["present", "no dicts"]),
        ({"label": "present"}, ["present", "no dicts"]),
        ({"split": None}, ["split", "None"]),
        ({"split": "train+dev"}, ["train", "dev"]),
        ({"label": None, "few_labels": 1}, ["label"]),
        ({"batch_size": 21, "drop_remainder": True}, ["21", "20"]),
        ({"dataset": 3}, ["dataset", "3"]),
        ({"dataset": {"video": 1}}, ["dataset"]),
    ],
)
def test_refuses(clips, arguments, words):
    with pytest.raises(ValueError) as error:
        data.load(**{"dataset": clips, "data_dir": None, **arguments})
    for word in words:
        assert word in str(error.value)


def test_samples_of_several_sizes():
    with pytest.raises(ValueError, match="'video' have .*(4, 3).*(5, 3)"):
        collate.pad("video", [np.ones((2, 4, 3)), np.ones((2, 5, 3))])
    with pytest.raises(ValueError, match="'image' have .*(2, 4).*(3, 4)"):
        collate.stack("image", [np.ones((2, 4)), np.ones((3, 4))])


def test_stack_has_zeros_for_what_is_absent():
    result = collate.stack("image", [np.ones((2, 3)), np.ones((0, 3))])
    np.testing.assert_array_equal(result, [np.ones((2, 3)), np.zeros((2, 3))])
    assert collate.stack("text", [b"one", ""]).tolist() == ["one", ""]


@pytest.mark.parametrize("length", [None, 1, 3, 9])
def test_pad_against_a_loop(length):
    rng = np.random.default_rng(0)
    values = [rng.normal(size=(n, 2)).astype("float32") for n in (3, 0, 5, 1)]
    result, mask = collate.pad("audio", values, length)
    size = length or 5
    assert result.shape == (4, size, 2) and mask.shape == (4, size)
    for b, value in enumerate(values):
        for t in range(size):
            there = t < len(value)
            assert mask[b, t] == there
            expected = value[t] if there else np.zeros(2)
            np.testing.assert_array_equal(result[b, t], expected)
