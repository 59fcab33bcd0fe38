"""What encoders read and return."""

import gc
import weakref

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import layers

from keras_xkd.models import Encoder
from keras_xkd.models import audio_encoder
from keras_xkd.models import image_encoder
from keras_xkd.models import text_encoder
from keras_xkd.models import video_encoder
from tests import hub_case
from tests.test_case import to_numpy

MAKERS = {
    "image": image_encoder,
    "text": text_encoder,
    "audio": audio_encoder,
    "video": video_encoder,
}
GROUPS = {
    "image": [*hub_case.IMAGES],
    "text": [*hub_case.TEXTS],
    "audio": [*hub_case.AUDIOS],
    "video": [*hub_case.VIDEOS],
}
if keras.backend.backend() == "torch":  # The others once, on one backend.
    GROUPS["image"] += hub_case.MORE_IMAGES
    GROUPS["text"] += hub_case.MORE_TEXTS
CASES = [(kind, name) for kind, group in GROUPS.items() for name in group]
# How many tokens come before those of patches.
LEADING = {
    "ViTBackbone": 1,
    "CLIPVisionEncoder": 1,
    "DeiTBackbone": 2,
    "DINOV2Backbone": 3,
    "DINOV3Backbone": 3,
}
LENGTHS = np.array([4, 6])
SAMPLES = np.array([1700, 2400])


def mask_of(lengths, size):
    return (np.arange(size) < lengths[:, None]).astype("int32")


def data_for(encoder, seed=1):
    """Two random samples in the form that an encoder reads, some padded."""
    rng = np.random.default_rng(seed)

    def sample(tensor):
        shape = [n or 32 for n in tensor.shape[1:]]
        if "int" in tensor.dtype or "bool" in tensor.dtype:
            if tensor.name == "audio_encoder_padding_mask":
                return mask_of(SAMPLES, 2400).astype("bool")
            if "mask" in tensor.name:
                return mask_of(LENGTHS, 6)
            high = 2 if "segment" in tensor.name else 20
            return rng.integers(1, high, (2, 6))
        if len(tensor.shape) == 3:
            shape[0] = 2400 if tensor.shape[-1] == 1 else 6
        if len(tensor.shape) == 5:
            shape[0] = tensor.shape[1] or 6
        return rng.normal(size=(2, *shape)).astype("float32")

    return keras.tree.map_structure(sample, encoder.input)


def raw(backbone, x):
    """What a backbone of keras-hub itself returns; tokens if it has some."""
    (x,) = x.values()
    outputs = backbone.output
    if isinstance(outputs, dict):
        (name,) = {"sequence_output", "encoder_sequence_output"} & set(outputs)
        outputs = outputs[name]
    inputs = backbone.input
    if isinstance(inputs, dict):
        names = [name for name in inputs if not name.startswith("decoder")]
        x = {n: x[n] if isinstance(x, dict) else x for n in names}
        inputs = {name: inputs[name] for name in names}
    return to_numpy(keras.Model(inputs, outputs)(x))


def reduce(function, tokens, there, skip=0):
    """Pools by a loop over the samples; zeros where there is nothing."""
    return np.array(
        [
            function(t[skip:][m[skip:] > 0], axis=0)
            if m[skip:].any()
            else np.zeros(t.shape[-1])
            for t, m in zip(tokens.astype("float64"), there)
        ]
    )


def token_mask(kind, name, x, count):
    if kind == "text":
        return x["text"]["padding_mask"]
    if name == "MoonshineBackbone":
        # Lengths after its three convolutions, without padding.
        lengths = ((SAMPLES - 127) // 64 + 1 - 7) // 3 + 1
        return mask_of((lengths - 3) // 2 + 1, count)
    return np.ones((2, count))


@pytest.mark.parametrize("kind, name", CASES)
def test_backbone(kind, name, tmp_path):
    """Features are pooled from what the backbone itself returns."""
    backbone = hub_case.make(name)
    encoder = MAKERS[kind](backbone, projection_dim=3)
    x = data_for(encoder)
    found = {key: to_numpy(value) for key, value in encoder(x).items()}
    output = raw(backbone, x)
    if output.ndim == 2:  # SigLIP pools by itself.
        features = output
        assert found["tokens"].shape[0] == 2 and found["tokens"].shape[1] > 1
    else:
        tokens = output.reshape(2, -1, output.shape[-1])
        np.testing.assert_allclose(found["tokens"], tokens, atol=1e-5)
        there = token_mask(kind, name, x, tokens.shape[1])
        features = reduce(np.mean, tokens, there, LEADING.get(name, 0))
    (kernel,) = (x.kernel for x in encoder.layers if x.name[:5] == "dense")
    np.testing.assert_allclose(
        found["features"], features @ to_numpy(kernel), atol=1e-4
    )
    encoder.save(tmp_path / "encoder.keras")
    loaded = keras.models.load_model(tmp_path / "encoder.keras")
    again = loaded({**x, "label": np.zeros(2)})  # It picks its own.
    for key, value in found.items():
        np.testing.assert_array_equal(to_numpy(again[key]), value)


@pytest.mark.parametrize(
    "kind, name, index",
    [
        ("image", "DINOV2Backbone", [0, 0]),
        ("text", "BertBackbone", [0, 0]),
        ("text", "CLIPTextEncoder", LENGTHS - 1),
    ],
)
def test_class_token(kind, name, index):
    backbone = hub_case.make(name)
    encoder = MAKERS[kind](backbone, pooling="cls")
    x = data_for(encoder)
    np.testing.assert_allclose(
        to_numpy(encoder(x)["features"]),
        raw(backbone, x)[[0, 1], index],
        atol=1e-5,
    )


def test_maximum_and_attention():
    backbone = hub_case.make("ViTBackbone")
    x = data_for(image_encoder(backbone))
    patches = raw(backbone, x)[:, 1:]
    encoder = image_encoder(backbone, pooling="max")
    np.testing.assert_allclose(
        to_numpy(encoder(x)["features"]), patches.max(axis=1), rtol=1e-5
    )
    encoder = image_encoder(backbone, pooling="attention")
    scores = patches @ to_numpy(encoder.layers[-1].score.kernel)
    weights = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        to_numpy(encoder(x)["features"]),
        (weights * patches).sum(axis=1),
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.parametrize("temporal", ["mean", "attention", "transformer"])
def test_frames(temporal, tmp_path):
    """A backbone of images sees a video frame by frame."""
    backbone = hub_case.make("ViTBackbone")
    encoder = video_encoder(
        backbone, pooling="cls", temporal=temporal, mask=True
    )
    x = data_for(encoder)
    found = encoder(x)
    frames = x["video"]["frames"]
    shown = frames * x["video"]["padding_mask"][:, :, None, None, None]
    expected = [to_numpy(backbone(video))[:, 0] for video in shown]
    np.testing.assert_allclose(
        to_numpy(found["tokens"]), expected, rtol=1e-4, atol=1e-5
    )
    pooled = encoder.layers[-1](
        np.array(expected), mask=x["video"]["padding_mask"]
    )
    features = to_numpy(found["features"])
    np.testing.assert_allclose(features, to_numpy(pooled), rtol=1e-4, atol=1e-5)
    if temporal == "mean":
        np.testing.assert_allclose(
            features,
            reduce(np.mean, np.array(expected), x["video"]["padding_mask"]),
            rtol=1e-4,
            atol=1e-5,
        )
        return
    encoder.save(tmp_path / "encoder.keras")
    loaded = keras.models.load_model(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(to_numpy(loaded(x)["features"]), features)


MASKED = {
    "bert": lambda: text_encoder(hub_case.make("BertBackbone"), pooling="max"),
    "clip": lambda: text_encoder(
        hub_case.make("CLIPTextEncoder"), pooling="cls", projection_dim=3
    ),
    "whisper": lambda: audio_encoder(
        hub_case.make("WhisperBackbone"), pooling="attention", mask=True
    ),
    "frames": lambda: video_encoder(
        hub_case.make("CLIPVisionEncoder"), temporal="transformer", mask=True
    ),
}
ENCODERS = {}


@settings(max_examples=10, deadline=None)
@given(
    st.sampled_from([*MASKED]),
    st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_padding_changes_nothing(name, mask):
    """Whatever it holds; a sample of padding alone has features of zeros."""
    encoder = ENCODERS.setdefault(name, MASKED[name]())
    one, other = (data_for(encoder, seed) for seed in (1, 2))
    (modality,) = one
    if name == "clip":  # It reads no mask, but only looks back.
        mask = sorted(mask, reverse=True)
    mask = np.array([mask, [0] * 6], "int32")
    for key, value in one[modality].items():
        there = mask.reshape(2, 6, *[1] * (value.ndim - 2))
        padding = other[modality][key]
        if value.dtype == "float32":
            padding = np.nan
        other[modality][key] = np.where(there, value, padding)
    one[modality]["padding_mask"] = other[modality]["padding_mask"] = mask
    features = to_numpy(encoder(one)["features"])
    assert np.isfinite(features).all()
    np.testing.assert_array_equal(features[1], 0)
    np.testing.assert_allclose(
        features, to_numpy(encoder(other)["features"]), atol=1e-5
    )


@pytest.mark.parametrize("frames, there", [(7, 5), (8, 4)])
def test_mask_of_tokens_that_cover_two_frames(frames, there):
    """Whisper has as many tokens as its strided convolution makes."""
    encoder = audio_encoder(hub_case.make("WhisperBackbone"), mask=True)
    video = np.random.default_rng(0).normal(size=(1, frames, 4))
    mask = mask_of(np.array([there]), frames)
    outputs = encoder({"audio": {"frames": video, "padding_mask": mask}})
    tokens = to_numpy(outputs["tokens"])
    assert tokens.shape[1] == (frames + 1) // 2
    expected = reduce(
        np.mean, tokens, mask_of(np.array([(there + 1) // 2]), tokens.shape[1])
    )
    np.testing.assert_allclose(
        to_numpy(outputs["features"]), expected, rtol=1e-4, atol=1e-6
    )


def test_mask_of_frames_with_many_tokens():
    encoder = video_encoder(hub_case.make("VideoPrismBackbone"), mask=True)
    x = data_for(encoder)
    x["video"]["padding_mask"] = np.array([[1, 0], [1, 1]])
    x["video"]["frames"][0, 1] = np.nan
    outputs = encoder(x)
    tokens = to_numpy(outputs["tokens"])
    assert tokens.shape == (2, 8, 8)  # Four patches of each frame.
    expected = [tokens[0, :4].mean(axis=0), tokens[1].mean(axis=0)]
    np.testing.assert_allclose(
        to_numpy(outputs["features"]), expected, rtol=1e-4, atol=1e-6
    )


def test_tokens_carry_the_mask():
    encoder = text_encoder(hub_case.make("RobertaBackbone"))
    x = data_for(encoder)
    pooled = layers.GlobalAveragePooling1D()(encoder(x)["tokens"])
    np.testing.assert_allclose(
        to_numpy(pooled), to_numpy(encoder(x)["features"]), rtol=1e-4, atol=1e-6
    )


def test_towers_of_clip_are_copies():
    clip = hub_case.clip()
    for make, tower in (
        (image_encoder, clip.vision_encoder),
        (text_encoder, clip.text_encoder),
    ):
        encoder = make(clip, pooling="cls", trainable="none")
        assert encoder.count_params() == tower.count_params()
        assert tower.trainable_variables and not encoder.trainable_variables
        x = data_for(encoder)
        there = LENGTHS - 1 if make is text_encoder else [0, 0]
        np.testing.assert_allclose(
            to_numpy(encoder(x)["features"]),
            raw(tower, x)[[0, 1], there],
            atol=1e-5,
        )


def test_nothing_of_a_decoder_is_kept():
    backbone = hub_case.make("WhisperBackbone")
    decoder = weakref.ref(backbone.decoder_transformer_layers[0])
    encoder = audio_encoder(backbone)
    assert not any("decoder" in weight.path for weight in encoder.weights)
    # Fixed position embeddings stay fixed.
    frozen = [w for w in encoder.weights if not w.trainable]
    assert len(frozen) == 1
    del backbone
    gc.collect()
    assert decoder() is None
    assert encoder.max_length == 20


def test_sample_of_padding_where_the_backbone_pools():
    encoder = text_encoder(hub_case.make("SigLIPTextEncoder"))
    x = data_for(encoder)
    x["text"]["padding_mask"] = np.array([[1] * 6, [0] * 6])
    features = to_numpy(encoder(x)["features"])
    assert np.abs(features[0]).min() > 0
    np.testing.assert_array_equal(features[1], 0)


@pytest.mark.parametrize("called", [True, False])
def test_two_texts_in_one_model(called, tmp_path):
    """Called as layers, or spliced into the graph."""
    inputs, features = {}, []
    for seed, modality in enumerate(("question", "answer")):
        backbone = hub_case.make("BertBackbone", seed, num_layers=1)
        encoder = text_encoder(backbone, modality, projection_dim=3)
        inputs |= encoder.input
        outputs = encoder(encoder.input) if called else encoder.output
        features.append(outputs["features"])
    model = keras.Model(inputs, layers.Concatenate()(features))
    x = data_for(model)
    found = to_numpy(model(x))
    np.testing.assert_allclose(
        found[:, 3:], to_numpy(encoder(x)["features"]), rtol=1e-4, atol=1e-6
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(to_numpy(loaded(x)), found)


def test_mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        encoder = image_encoder(
            hub_case.make("ViTBackbone"), pooling="max", projection_dim=3
        )
    finally:
        keras.config.set_dtype_policy(before)
    x = data_for(encoder)
    clone = Encoder.from_config(encoder.get_config())
    clone.set_weights(encoder.get_weights())
    for network in (encoder, clone):
        outputs = network(x)
        for value in outputs.values():
            assert keras.backend.standardize_dtype(value.dtype) == "float16"
    exact = image_encoder(
        hub_case.make("ViTBackbone"), pooling="max", projection_dim=3
    )
    exact.set_weights(encoder.get_weights())
    np.testing.assert_allclose(
        to_numpy(outputs["features"]),
        to_numpy(exact(x)["features"]),
        atol=0.05,
    )


def test_models_of_ones_own():
    """What a Functional or Sequential model returns decides."""
    pooled = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5),
        ]
    )
    encoder = image_encoder(pooled, "photo", pooling="max")
    x = data_for(encoder)
    outputs = encoder(x)
    np.testing.assert_allclose(
        to_numpy(outputs["features"]), to_numpy(pooled(x["photo"])), rtol=1e-5
    )
    assert outputs["tokens"].shape == (2, 36, 4)
    # No position is left in this one, and pixels are no tokens.
    flat = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Rescaling(0.5),
            layers.Flatten(),
            layers.Dense(5),
        ]
    )
    outputs = image_encoder(flat)(data_for(image_encoder(flat)))
    np.testing.assert_array_equal(
        to_numpy(outputs["tokens"])[:, 0], to_numpy(outputs["features"])
    )
    # An encoder is a backbone too: a part is found again in a part.
    outer = Encoder(encoder, "image")
    np.testing.assert_allclose(
        to_numpy(outer({"image": x["photo"]})["features"]),
        to_numpy(encoder(x)["features"]),
        rtol=1e-5,
    )


def test_front_end(tmp_path):
    """Raw audio, with a mask of samples, through a layer of one's own."""
    frames = layers.Reshape((-1, 10))
    inputs = keras.Input((None, 10))
    backbone = keras.Model(inputs, layers.Dense(4)(inputs))
    encoder = audio_encoder(backbone, mask=True, front_end=frames)
    audio = np.random.default_rng(0).normal(size=(2, 60)).astype("float32")
    mask = mask_of(np.array([30, 60]), 60)
    x = {"audio": {"frames": audio, "padding_mask": mask}}
    tokens = to_numpy(backbone(audio.reshape(2, 6, 10)))
    expected = reduce(np.mean, tokens, mask[:, ::10])
    np.testing.assert_allclose(
        to_numpy(encoder(x)["features"]), expected, rtol=1e-4
    )
    encoder.save(tmp_path / "encoder.keras")
    loaded = keras.models.load_model(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(
        to_numpy(loaded(x)["features"]), to_numpy(encoder(x)["features"])
    )


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize`")
@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_quantized(tmp_path):
    backbone = hub_case.make("BertBackbone", num_layers=1)
    encoder = text_encoder(backbone, projection_dim=3)
    ids = np.arange(1, 11).reshape(2, 5)
    x = {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": ids > 0}
    x = {"text": x}
    before = encoder.predict(x, verbose=0)["features"]
    encoder.quantize("int8")
    found = encoder.predict(x, verbose=0)["features"]
    assert 0 < np.abs(found - before).max() < 0.1 * np.abs(before).max()
    encoder.save(tmp_path / "encoder.keras")
    loaded = keras.models.load_model(tmp_path / "encoder.keras")
    kernels = [w for w in loaded.weights if "int8" in w.dtype]
    assert len(kernels) == sum("int8" in w.dtype for w in encoder.weights) > 6
    np.testing.assert_array_equal(
        loaded.predict(x, verbose=0)["features"], found
    )


def test_errors():
    vit = hub_case.make("ViTBackbone")
    resnet = hub_case.make("ResNetBackbone")
    with pytest.raises(ValueError, match="kind='speech'"):
        Encoder(vit, "speech")
    with pytest.raises(ValueError, match="pooling='sum'"):
        image_encoder(vit, pooling="sum")
    with pytest.raises(ValueError, match="no class token"):
        image_encoder(resnet, pooling="cls")
    with pytest.raises(ValueError, match="no class token"):
        audio_encoder(hub_case.make("WhisperBackbone"), pooling="cls")
    with pytest.raises(ValueError, match="pooled by itself"):
        text_encoder(hub_case.make("SigLIPTextEncoder"), pooling="cls")
    with pytest.raises(ValueError, match="`temporal` is for videos"):
        video_encoder(hub_case.make("VideoPrismBackbone"), temporal="mean")
    with pytest.raises(ValueError, match="`mask` is for audio and video"):
        Encoder(vit, "image", mask=True)
    with pytest.raises(ValueError, match="one tensor"):
        audio_encoder(
            hub_case.make("MoonshineBackbone"), front_end=layers.Identity()
        )
    with pytest.raises(ValueError, match="must be a backbone of keras-hub"):
        image_encoder(layers.Dense(3))
    with pytest.raises(ValueError, match="must be a backbone of keras-hub"):
        image_encoder(keras.Sequential([layers.Dense(3)]))
    inputs = keras.Input((4, 4, 1))
    with pytest.raises(ValueError, match="2 tensors without names"):
        image_encoder(keras.Model(inputs, [inputs + 1, inputs + 2]))
    pair = [inputs, keras.Input((4, 4, 1))]
    with pytest.raises(ValueError, match="reads 2 tensors. Name them"):
        image_encoder(keras.Model(pair, layers.Add()(pair)))
    x = layers.Flatten()(inputs)
    with pytest.raises(ValueError, match="one output `\\(batch, width\\)`"):
        image_encoder(keras.Model(inputs, {"a": x, "b": x + 1}))
    with pytest.raises(ValueError, match="'image' is missing"):
        image_encoder(vit)({"video": np.zeros((1, 8, 8, 3))})


@pytest.mark.parametrize(
    "make, name, reads",
    [
        (text_encoder, "ViTBackbone", "token ids.*None, 8, 8, 3.*float32"),
        (text_encoder, "WhisperBackbone", "token ids.*Received"),
        (text_encoder, "VideoPrismBackbone", "token ids.*Received"),
        (image_encoder, "BertBackbone", "images.*token_ids.*int32"),
        (image_encoder, "WhisperBackbone", "images.*Received"),
        (image_encoder, "VideoPrismBackbone", "images.*Received"),
        (video_encoder, "BertBackbone", "videos.*token_ids.*int32"),
        (audio_encoder, "BertBackbone", "samples.*token_ids.*int32"),
        (audio_encoder, "VideoPrismBackbone", "samples.*Received"),
    ],
)
def test_backbones_of_other_kinds(make, name, reads):
    with pytest.raises(ValueError, match=f"must read .*{reads}"):
        make(hub_case.make(name))


def test_ids_as_floats_and_pixels_as_integers():
    """Types that the functions of Keras give by themselves."""
    backbone = keras.Sequential([keras.Input((None,)), layers.Embedding(9, 4)])
    assert text_encoder(backbone).output["features"].shape == (None, 4)
    backbone = keras.Sequential(
        [keras.Input((4, 4, 3), dtype="uint8"), layers.Rescaling(1 / 255)]
    )
    assert image_encoder(backbone).output["features"].shape == (None, 3)
