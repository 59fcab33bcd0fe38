"""Raw data to what encoders read: `Encoder.preprocess`."""

import functools
from concurrent.futures import ThreadPoolExecutor

import grain.python as grain
import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

from keras_xkd.layers import LogMel
from keras_xkd.models import audio_encoder
from keras_xkd.models import image_encoder
from keras_xkd.models import text_encoder
from keras_xkd.models import video_encoder
from tests import hub_case
from tests.test_case import to_numpy

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "fox", "##es"]
TEXTS = ["a fox", "Foxes, foxes! a bear", ""]


def bert_tokenizer():
    return keras_hub.models.BertTokenizer(WORDS, lowercase=True)


def roberta_tokenizer():
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *"afoxes", "Ġ", "Ġa"]
    return keras_hub.models.RobertaTokenizer(
        vocabulary={p: i for i, p in enumerate(dict.fromkeys(pieces))},
        merges=["Ġ a"],
    )


@pytest.fixture(scope="module")
def bert():
    return text_encoder(
        hub_case.make("BertBackbone", max_sequence_length=12, num_layers=1),
        preprocessor=bert_tokenizer(),
    )


def words(**kwargs):
    """An encoder of text without keras-hub's help."""
    inputs = {
        name: keras.Input((None,), dtype="int32", name=name)
        for name in ("token_ids", "padding_mask")
    }
    x = keras.layers.Embedding(20, 4)(inputs["token_ids"])
    x = x * keras.ops.cast(inputs["padding_mask"], "float32")[..., None]
    return text_encoder(keras.Model(inputs, x), **kwargs)


def pictures(shape=(4, 6, 3), make=image_encoder, **kwargs):
    inputs = keras.Input(shape)
    return make(keras.Model(inputs, inputs * 1.0), **kwargs)


def sounds(mels=80, **kwargs):
    inputs = keras.Input((None, mels))
    return audio_encoder(keras.Model(inputs, inputs * 1.0), **kwargs)


def noise(*shape):
    return np.random.default_rng(0).normal(0, 0.1, shape).astype("float32")


def pixels(*shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype("uint8")


def assert_equal(found, expected):
    if isinstance(expected, dict):
        assert set(found) == set(expected)
        for name, value in expected.items():
            assert_equal(found[name], value)
    else:
        assert isinstance(found, np.ndarray)
        np.testing.assert_allclose(found, np.asarray(expected), atol=1e-5)


class TestText:
    def test_by_hand(self, bert):
        x = bert.preprocess(TEXTS, sequence_length=6)
        assert_equal(
            x["text"],
            {
                "token_ids": [
                    [2, 5, 6, 3, 0, 0],
                    [2, 6, 7, 1, 6, 3],  # Cut, and ended nevertheless.
                    [2, 3, 0, 0, 0, 0],
                ],
                "padding_mask": [
                    [1, 1, 1, 1, 0, 0],
                    [1, 1, 1, 1, 1, 1],
                    [1, 1, 0, 0, 0, 0],
                ],
                "segment_ids": np.zeros((3, 6)),
            },
        )
        assert {a.dtype.name for a in x["text"].values()} == {"int32"}
        features = bert.predict(x, verbose=0)["features"]
        assert np.isfinite(features).all() and np.ptp(features, axis=0).all()

    @pytest.mark.parametrize(
        "tokenizer, preprocessor",
        [
            (bert_tokenizer, keras_hub.models.BertTextClassifierPreprocessor),
            (
                roberta_tokenizer,
                keras_hub.models.RobertaTextClassifierPreprocessor,
            ),
        ],
    )
    def test_as_keras_hub_does_it(self, tokenizer, preprocessor):
        tokenizer = tokenizer()
        theirs = preprocessor(tokenizer, sequence_length=7)(TEXTS)
        theirs = {k: to_numpy(v) for k, v in theirs.items()}
        theirs.pop("segment_ids", None)
        ours = words(preprocessor=tokenizer)
        assert_equal(ours.preprocess(TEXTS, sequence_length=7)["text"], theirs)

    def test_a_preprocessor_of_keras_hub_as_it_is(self):
        tool = keras_hub.models.BertTextClassifierPreprocessor(
            bert_tokenizer(), sequence_length=5
        )
        found = words(preprocessor=tool).preprocess(TEXTS)["text"]
        ours = words(preprocessor=bert_tokenizer())
        assert_equal(found, ours.preprocess(TEXTS, sequence_length=5)["text"])

    def test_clip_with_an_end_that_is_seen(self):
        encoder = words(preprocessor=hub_case.tokenizer())
        x = encoder.preprocess(["GOOD bad", "bad"], sequence_length=5)["text"]
        tokenizer = hub_case.tokenizer()
        good, bad = (tokenizer.token_to_id(f"{w}</w>") for w in ("good", "bad"))
        assert x["token_ids"].tolist() == [
            [1, good, bad, 19, 0],
            [1, bad, 19, 0, 0],
        ]
        assert x["padding_mask"].sum(axis=1).tolist() == [4, 3]

    def test_siglip_in_lower_case_without_punctuation(self):
        """What SigLIP's own preprocessor does, which needs TensorFlow."""
        seen = []

        class Tokenizer(keras_hub.models.SigLIPTokenizer):
            end_token_id = pad_token_id = 1

            def __init__(self):
                keras_hub.models.Tokenizer.__init__(self)

            def call(self, texts):
                seen.extend(texts)
                return [[len(text)] for text in texts]

        texts = ["A  Fox, (two)\n cats!", "it's"]
        encoder = words(preprocessor=Tokenizer())
        x = encoder.preprocess(texts, sequence_length=4)["text"]
        assert seen == ["a fox two cats", "its"]
        assert x["token_ids"].tolist() == [[14, 1, 1, 1], [3, 1, 1, 1]]
        assert x["padding_mask"].sum(axis=1).tolist() == [2, 2]
        theirs = keras_hub.models.SigLIPPreprocessor.canonicalize_inputs
        assert [t.decode() for t in theirs(None, texts).numpy()] == seen

    def test_length(self, bert):
        with pytest.warns(UserWarning, match="1 of 2 texts have more than 12"):
            x = bert.preprocess(["a " * 11, "a " * 10])
        assert x["text"]["token_ids"].shape == (2, 12)
        assert words(preprocessor=bert_tokenizer()).preprocess(["a"])["text"][
            "token_ids"
        ].shape == (1, 128)
        for length in (13, 2, -1):
            with pytest.raises(ValueError, match="more than 2 and at most 12"):
                bert.preprocess(["a"], sequence_length=length)

    @pytest.mark.parametrize(
        "make",
        [
            list,
            np.array,
            lambda t: np.array(t, "object"),
            lambda t: np.array([s.encode() for s in t]),
            lambda t: np.array([s.encode() for s in t], "object")[:, None],
            tf.constant,
        ],
    )
    def test_forms_of_strings(self, bert, make):
        texts = ["fox Ä", "a"]
        if make is np.array:
            assert np.array(texts).dtype.kind == "U"
        if make([""]) is not None and "S" in str(
            getattr(make([""]), "dtype", "")
        ):
            texts = ["fox", "a"]
        try:
            raw = make(texts)
        except UnicodeError:
            raw = make(["fox", "a"])
        assert_equal(
            bert.preprocess(raw, sequence_length=6),
            bert.preprocess(texts, sequence_length=6),
        )

    @pytest.mark.parametrize(
        "raw", ["a fox", [3, 4], np.zeros((2, 3)), {"token_ids": [[1]]}, [None]]
    )
    def test_what_are_no_texts(self, bert, raw):
        with pytest.raises(ValueError, match="[Tt]exts must be"):
            bert.preprocess({"text": raw})

    def test_saved_with_its_vocabulary(self, bert, tmp_path):
        bert.save(tmp_path / "e.keras")
        loaded = keras.models.load_model(tmp_path / "e.keras")
        x = bert.preprocess(TEXTS, sequence_length=6)
        assert_equal(loaded.preprocess(TEXTS, sequence_length=6), x)
        assert loaded.max_length == 12
        np.testing.assert_allclose(
            loaded.predict(x, verbose=0)["features"],
            bert.predict(x, verbose=0)["features"],
            atol=1e-5,
        )


class TestImages:
    def test_without_a_preprocessor(self):
        images = pixels(2, 4, 6, 3)
        encoder = pictures()
        assert_equal(encoder.preprocess(images)["image"], images / 255)
        # Twice as wide and high: the window in the middle is kept, and the
        # mean of four pixels is what bilinear interpolation gives.
        large = pixels(2, 8, 12, 3)
        means = large.reshape(2, 4, 2, 6, 2, 3).mean(axis=(2, 4)) / 255
        assert_equal(encoder.preprocess(large)["image"], means)
        assert_equal(
            encoder.preprocess(large.astype("float64"))["image"], means
        )

    def test_of_any_size(self):
        images = pixels(2, 5, 7, 3)
        encoder = pictures((None, None, 3))
        assert_equal(encoder.preprocess(images)["image"], images / 255)

    def test_the_converter_of_a_preset(self):
        converter = keras_hub.layers.ViTImageConverter(
            image_size=(4, 6), scale=[1.0, 2.0, 3.0], offset=[0.0, -1.0, 5.0]
        )
        large = pixels(2, 8, 12, 3)
        means = large.reshape(2, 4, 2, 6, 2, 3).mean(axis=(2, 4))
        expected = means * [1, 2, 3] + [0, -1, 5]
        for tool in (
            converter,
            keras_hub.models.ViTImageClassifierPreprocessor(converter),
        ):
            encoder = pictures(preprocessor=tool)
            found = encoder.preprocess(large)["image"]
            np.testing.assert_allclose(found, expected, atol=1e-3)

    def test_lists_of_images_of_several_sizes(self):
        images = [pixels(8, 12, 3), pixels(4, 6, 3)]
        encoder = pictures()
        found = encoder.preprocess(images)["image"]
        for one, image in zip(found, images):
            assert_equal(encoder.preprocess(image[None])["image"][0], one)

    def test_one_channel_for_three(self):
        images = pixels(2, 4, 6, 1)
        found = pictures().preprocess(images)["image"]
        assert_equal(found, np.repeat(images, 3, axis=-1) / 255)

    def test_errors(self):
        encoder = pictures()
        for raw in (pixels(4, 6, 3), np.array([["a"]]), []):
            with pytest.raises(ValueError, match="needs pixels from 0 to 255"):
                encoder.preprocess(raw)
        small = keras_hub.layers.ImageConverter(image_size=(2, 2))
        with pytest.raises(
            ValueError, match=r"reads the shape .* \(2, 2, 2, 3"
        ):
            pictures(preprocessor=small).preprocess(pixels(2, 4, 6, 3))
        with pytest.raises(ValueError, match="takes no options. Received"):
            encoder.preprocess(pixels(2, 4, 6, 3), sequence_length=5)


class TestVideos:
    def test_frames_as_images(self):
        videos = pixels(2, 3, 8, 12, 3)
        encoder = pictures((None, 4, 6, 3), video_encoder)
        found = encoder.preprocess(videos)["video"]
        one_by_one = pictures()
        for frame in range(3):
            image = one_by_one.preprocess(videos[:, frame])["image"]
            assert_equal(found[:, frame], image)

    def test_a_video_converter(self):
        tool = keras_hub.layers.VideoConverter(image_size=(4, 6), scale=2.0)
        encoder = pictures((None, 4, 6, 3), video_encoder, preprocessor=tool)
        videos = pixels(2, 3, 4, 6, 3)
        assert_equal(encoder.preprocess(videos)["video"], videos * 2.0)

    def test_mask_of_the_frames_that_are_there(self):
        videos = pixels(3, 4, 4, 6, 3) + 0
        videos[0, 2:] = 0
        videos[1, 1] = 0  # Black, but not at the end.
        videos[2] = 0
        encoder = pictures((None, 4, 6, 3), video_encoder, mask=True)
        x = encoder.preprocess(videos)["video"]
        assert_equal(x["frames"], videos / 255)
        assert x["padding_mask"].sum(axis=1).tolist() == [2, 4, 4]

    def test_errors(self):
        encoder = pictures((None, 4, 6, 3), video_encoder)
        with pytest.raises(ValueError, match=r"\(batch, frames, height"):
            encoder.preprocess(pixels(2, 4, 6, 3))


class TestAudio:
    whisper = functools.partial(keras_hub.layers.WhisperAudioConverter)

    def test_whisper(self):
        clips = noise(2, 20000)
        encoder = sounds(preprocessor=self.whisper(max_audio_length=2))
        for seconds, options in (
            (2, {}),
            (1, {"max_audio_length": 1}),
            (3, {"max_audio_length": 3.0}),
        ):
            found = encoder.preprocess(clips, **options)["audio"]
            theirs = self.whisper(max_audio_length=seconds)(clips)
            assert_equal(found, to_numpy(theirs))
        # Frames that the cut at half a second does not reach.
        found = encoder.preprocess(clips, max_audio_length=0.5)["audio"]
        assert found.shape == (2, 50, 80)
        theirs = to_numpy(self.whisper(max_audio_length=1)(clips))
        np.testing.assert_allclose(found[:, :48], theirs[:, :48], atol=0.5)
        assert np.abs(found[:, :48] - theirs[:, :48]).mean() < 0.01

    def test_no_more_frames_than_the_encoder_reads(self):
        backbone = hub_case.make("WhisperBackbone", num_mels=80)
        encoder = audio_encoder(backbone, preprocessor=self.whisper())
        with pytest.raises(ValueError, match="at most 20 frames.*3000 frames"):
            encoder.preprocess(noise(2, 8000))
        x = encoder.preprocess(noise(2, 8000), max_audio_length=0.2)
        assert x["audio"].shape == (2, 20, 80)

    def test_moonshine_and_its_mask(self):
        encoder = audio_encoder(
            hub_case.make("MoonshineBackbone"),
            preprocessor=keras_hub.layers.MoonshineAudioConverter(),
        )
        clips = noise(3, 2400)
        clips[1, 1000:] = 0
        clips[1, 500] = 0  # Silent, but not at the end.
        clips[2] = 0
        x = encoder.preprocess(clips, max_audio_length=0.2)["audio"]
        values = np.squeeze(x["encoder_input_values"])
        assert_equal(values, np.pad(clips, ((0, 0), (0, 800))))
        mask = np.arange(3200) < np.array([[2400], [1000], [2400]])
        assert_equal(x["encoder_padding_mask"].astype("int32"), mask)
        ragged = encoder.preprocess([clips[0], clips[1, :1000]])["audio"]
        assert ragged["encoder_padding_mask"].sum(axis=1).tolist() == [
            2400,
            1000,
        ]

    def test_raw_for_a_front_end(self):
        encoder = sounds(front_end=LogMel())
        clips = noise(2, 4000)
        assert_equal(encoder.preprocess(clips)["audio"], clips)
        x = encoder.preprocess(clips, max_audio_length=0.2)
        assert_equal(x["audio"], clips[:, :3200])

    def test_a_front_end_in_the_place_of_the_converter(self):
        backbone = hub_case.make("WhisperBackbone", num_mels=80, num_layers=1)
        clips = noise(2, 3200)
        clips[1] *= 1e-3
        outside = audio_encoder(backbone, preprocessor=self.whisper())
        inside = audio_encoder(backbone, front_end=LogMel())
        expected, found = (
            encoder.predict(
                encoder.preprocess(clips, max_audio_length=0.2), verbose=0
            )
            for encoder in (outside, inside)
        )
        np.testing.assert_allclose(
            found["features"], expected["features"], atol=1e-3
        )

    def test_errors(self):
        encoder = sounds(preprocessor=self.whisper(max_audio_length=1))
        for raw in (
            noise(2, 100, 2),
            noise(100),
            (noise(2, 100) * 32768).astype("int16"),
            [noise(100), noise(50, 2)],
            noise(2, 0),
        ):
            with pytest.raises(ValueError, match="floating-point numbers from"):
                encoder.preprocess(raw)
        with pytest.raises(ValueError, match="seconds above 0"):
            encoder.preprocess(noise(2, 100), max_audio_length=-1)
        with pytest.raises(ValueError, match="seconds above 0.*rate=None"):
            sounds(front_end=keras.layers.Reshape((-1, 80))).preprocess(
                noise(2, 800), max_audio_length=1
            )


class TestMasks:
    """Audio and video that come with their mask keep it."""

    def test_video(self):
        videos = pixels(3, 4, 8, 12, 3)
        mask = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 1, 1]], bool)
        videos[1] = 0
        raw = {"frames": videos, "padding_mask": mask}
        for shape in ((None, 4, 6, 3), (4, 6, 3)):
            encoder = pictures(shape, video_encoder, mask=True)
            x = encoder.preprocess({"video": raw, "label": 1})
            assert x["label"] == 1
            found = x["video"]
            assert_equal(found["padding_mask"], mask.astype("int32"))
            bare = encoder.preprocess(videos)["video"]
            assert_equal(found["frames"], bare["frames"])
            features = encoder.predict({"video": found}, verbose=0)["features"]
            np.testing.assert_array_equal(features[1], 0)
            assert np.abs(features[[0, 2]]).min() > 0
        dataset = tf.data.Dataset.from_tensor_slices({"video": raw}).batch(3)
        (x,) = dataset.map(encoder.preprocess).as_numpy_iterator()
        assert_equal(x["video"], found)

    def test_sound_for_a_front_end(self):
        encoder = sounds(front_end=LogMel(), mask=True)
        clips = noise(3, 4000)
        mask = np.arange(4000) < np.array([[4000], [1000], [0]])
        raw = {"audio": {"frames": clips, "padding_mask": mask}}
        x = encoder.preprocess(raw, max_audio_length=0.2)["audio"]
        assert_equal(x["padding_mask"].astype(bool), mask[:, :3200])
        assert_equal(x["frames"], np.where(mask, clips, 0)[:, :3200])
        x = encoder.preprocess(raw, max_audio_length=0.3)["audio"]
        assert x["padding_mask"].sum(axis=1).tolist() == [4000, 1000, 0]
        assert x["frames"].shape == (3, 4800)

    def test_sound_for_a_converter(self):
        tool = TestAudio.whisper(max_audio_length=1)
        encoder = sounds(preprocessor=tool, mask=True)
        clips = noise(3, 4000)
        mask = np.arange(4000) < np.array([[4000], [1601], [0]])
        raw = {"audio": {"frames": clips, "padding_mask": mask}}
        x = encoder.preprocess(raw)["audio"]
        assert x["padding_mask"].shape == (3, 100)
        assert x["padding_mask"].sum(axis=1).tolist() == [25, 11, 0]
        silent = np.where(mask, clips, 0)
        assert_equal(x["frames"], encoder.preprocess(silent)["audio"]["frames"])

    def test_errors(self):
        videos = pixels(2, 3, 4, 6, 3)
        raw = {"frames": videos, "padding_mask": np.ones((2, 3))}
        with pytest.raises(ValueError, match="reads no mask.*`mask=True`"):
            pictures((None, 4, 6, 3), video_encoder).preprocess({"video": raw})
        encoder = pictures((None, 4, 6, 3), video_encoder, mask=True)
        raw["padding_mask"] = np.ones((2, 4))
        with pytest.raises(ValueError, match=r"\(2, 3\).*shape \(2, 4\)"):
            encoder.preprocess({"video": raw})
        with pytest.raises(ValueError, match="a dict of \\['pixels'\\]"):
            encoder.preprocess({"video": {"pixels": videos}})


class TestBatches:
    def test_further_entries_and_labels_come_back(self, bert):
        images = pictures()
        batch = {
            "text": ["a", "fox"],
            "image": pixels(2, 4, 6, 3),
            "sample_id": np.arange(2),
            "present": {"text": np.ones(2)},
        }
        y, weights = np.arange(2), np.ones(2)
        before = dict(batch)
        x = images.preprocess(bert.preprocess(batch, sequence_length=5))
        assert batch == before  # The user's dict is left alone.
        assert sorted(x) == sorted(batch)
        assert x["sample_id"] is batch["sample_id"]
        assert sorted(x["text"]) == ["padding_mask", "segment_ids", "token_ids"]
        for elements in ([batch, y, weights], [(batch, y, weights)]):
            found = images.preprocess(*elements)
            assert found[1] is y and found[2] is weights
            assert_equal(found[0]["image"], x["image"])

    def test_a_modality_of_another_name(self):
        encoder = words(modality="title", preprocessor=bert_tokenizer())
        assert list(encoder.preprocess(["a"], sequence_length=5)) == ["title"]
        with pytest.raises(
            ValueError, match="'title', which the batch does not"
        ):
            encoder.preprocess({"text": ["a"]})

    def test_functions(self, tmp_path):
        encoder = pictures(preprocessor=lambda raw: raw[:, ::2, ::2] * 1.0)
        images = pixels(2, 8, 12, 3)
        found = encoder.preprocess(images)
        assert_equal(found["image"], images[:, ::2, ::2] * 1.0)

        def tokenize(texts, sequence_length=2):
            ids = np.array([[len(t)] * sequence_length for t in texts])
            return {"token_ids": ids, "padding_mask": ids > 0}

        encoder = words(preprocessor=tokenize)
        x = encoder.preprocess(["ab", ""], sequence_length=3)["text"]
        assert x["token_ids"].tolist() == [[2] * 3, [0] * 3]
        assert x["padding_mask"].tolist() == [[1] * 3, [0] * 3]
        encoder.save(tmp_path / "e.keras")
        loaded = keras.models.load_model(tmp_path / "e.keras")
        with pytest.raises(ValueError, match="has no preprocessor"):
            loaded.preprocess(["a"])
        ids_only = words(preprocessor=lambda texts: np.ones((1, 2)))
        with pytest.raises(ValueError, match="must give them all.*token_ids"):
            ids_only.preprocess(["a"])

    def test_no_preprocessor(self):
        for encoder in (words(), sounds()):
            with pytest.raises(
                ValueError, match="from a backbone.*preprocessor=`"
            ):
                encoder.preprocess(["a"])


def everything():
    """An encoder, raw data and options for all kinds of preprocessing."""
    return [
        (
            words(preprocessor=bert_tokenizer()),
            np.array(TEXTS, "object"),
            {"sequence_length": 7},
        ),
        (
            words(modality="title", preprocessor=hub_case.tokenizer()),
            np.array(["Good bad", "BAD", ""], "object"),
            {"sequence_length": 5},
        ),
        (pictures(), pixels(3, 8, 12, 3), {}),
        (
            pictures((None, 4, 6, 3), video_encoder, mask=True),
            pixels(3, 2, 8, 12, 3),
            {},
        ),
        (
            sounds(preprocessor=TestAudio.whisper()),
            noise(3, 2000),
            {"max_audio_length": 0.1},
        ),
        (
            audio_encoder(
                keras.Sequential([keras.Input((None, 1)), keras.layers.ReLU()]),
                modality="speech",
                preprocessor=keras_hub.layers.MoonshineAudioConverter(),
            ),
            noise(3, 2000),
            {},
        ),
    ]


def prepare(cases, *batch):
    for encoder, _, options in cases:
        batch = encoder.preprocess(*batch, **options)
        batch = batch if isinstance(batch, tuple) else (batch,)
    return batch if len(batch) > 1 else batch[0]


def test_pipelines_and_threads_give_what_eager_calls_give():
    cases = everything()
    raw = {encoder.modalities[0]: data for encoder, data, _ in cases}
    y = np.arange(3)
    expected, _ = prepare(cases, raw, y)

    # tf.data, on every backend.
    dataset = tf.data.Dataset.from_tensor_slices((raw, y)).batch(3)
    dataset = dataset.map(functools.partial(prepare, cases))
    assert dataset.element_spec[0]["text"]["token_ids"].shape[0] is None
    assert dataset.element_spec[0]["image"].shape[1:] == (4, 6, 3)
    ((x, labels),) = dataset.as_numpy_iterator()
    assert_equal(x, expected)
    assert labels.tolist() == [0, 1, 2]

    # Grain, with threads of its own.
    def rows(i):
        return ({name: data[i] for name, data in raw.items()}, y[i])

    source = grain.MapDataset.range(12).map(lambda i: rows(i % 3))
    batches = source.batch(3).map(functools.partial(prepare, cases))
    options = grain.ReadOptions(num_threads=4, prefetch_buffer_size=4)
    found = list(batches.to_iter_dataset(options))
    assert len(found) == 4
    for x, _ in found:
        assert_equal(x, expected)

    # Bare threads that all start with the first call of an encoder.
    cases = everything()
    with ThreadPoolExecutor(8) as pool:
        for x in pool.map(lambda _: prepare(cases, raw), range(16)):
            assert_equal(x, expected)


def test_what_tf_data_gives_is_what_fit_takes():
    encoder = words(preprocessor=bert_tokenizer())
    model = keras.Model(
        encoder.input, keras.layers.Dense(1)(encoder.output["features"])
    )
    model.compile("sgd", "mse")
    dataset = tf.data.Dataset.from_tensor_slices(({"text": TEXTS}, np.ones(3)))
    prepare_text = functools.partial(encoder.preprocess, sequence_length=5)
    dataset = dataset.batch(3).map(prepare_text)
    history = model.fit(dataset, epochs=2, shuffle=False, verbose=0).history[
        "loss"
    ]
    assert history[1] < history[0]
