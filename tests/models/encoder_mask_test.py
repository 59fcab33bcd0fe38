"""Padding along time: which tokens are there."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_xkd.models import audio_encoder
from keras_xkd.models import video_encoder
from keras_xkd.models.encoder_layers import TokenMask
from keras_xkd.models.token_steps import find_steps
from tests.test_case import to_numpy


def encoder_of(*stack, shape=(None, 3), make=audio_encoder, **kwargs):
    backbone = keras.Sequential([keras.Input(shape), *stack])
    return make(backbone, mask=True, **kwargs)


def padded(clip, length, fill=np.nan):
    """One clip as a batch, followed by padding."""
    frames = np.full((1, length, *clip.shape[1:]), fill, "float32")
    frames[0, : len(clip)] = clip
    there = np.arange(length)[None] < len(clip)
    return {"frames": frames, "padding_mask": there.astype("int32")}


def features(encoder, clip, length):
    (modality,) = encoder.modalities
    outputs = encoder({modality: padded(clip, length)})
    return to_numpy(outputs["features"])


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


STACKS = {
    **{
        f"{kernel}, {stride}": (
            lambda kernel=kernel, stride=stride: [
                layers.Conv1D(4, kernel, stride)
            ],
            length,
        )
        for kernel, stride, length in [
            (5, 1, 6),
            (4, 2, 6),
            (4, 2, 7),
            (10, 5, 23),
            (8, 2, 11),
            (3, 3, 7),
            (2, 3, 8),
            (40, 32, 150),
        ]
    },
    "several": (
        lambda: [
            layers.Conv1D(4, 3, 2),
            layers.MaxPooling1D(2),
            layers.Conv1D(4, 3, dilation_rate=2),
        ],
        31,
    ),
    "causal": (lambda: [layers.Conv1D(4, 3, 2, padding="causal")], 9),
    "repeated": (lambda: [layers.UpSampling1D(2)], 5),
    "recurrent": (
        lambda: [layers.Conv1D(4, 5, 2), layers.GRU(4, return_sequences=True)],
        12,
    ),
}


@pytest.mark.parametrize("name", STACKS)
def test_amount_of_padding_changes_nothing(name):
    stack, length = STACKS[name]
    encoder = encoder_of(*stack())
    clip = noise(length, 3)
    tokens = to_numpy(encoder.backbone(clip[None]))[0]
    expected = tokens.mean(axis=0)[None]
    for extra in (0, 1, 4, 13, 40):
        found = features(encoder, clip, length + extra)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_clips_of_several_lengths_and_a_loaded_encoder(tmp_path):
    encoder = encoder_of(layers.Conv1D(4, 4, 2))
    clips = [noise(length, 3) for length in (2, 4, 7, 10)]
    parts = [padded(clip, 11) for clip in clips] + [padded(noise(0, 3), 11)]
    x = {"audio": {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}}
    outputs = encoder(x)
    found = to_numpy(outputs["features"])
    for clip, row in zip(clips, found):
        filled = clip if len(clip) >= 4 else padded(clip, 4, 0)["frames"][0]
        tokens = to_numpy(encoder.backbone(filled[None]))[0]
        np.testing.assert_allclose(
            row, tokens.mean(axis=0), rtol=1e-4, atol=1e-6
        )
    np.testing.assert_array_equal(found[-1], 0)
    # As a layer and as a part of another graph, both saved.
    spliced = keras.Model(encoder.input, encoder.output["features"])
    for model in (encoder, spliced):
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        again = loaded(x)
        again = again["features"] if isinstance(again, dict) else again
        np.testing.assert_array_equal(to_numpy(again), found)


@pytest.mark.parametrize(
    "shape, front_end, stack",
    [
        # This one reads multiples of 10 only.
        ((None, 10), layers.Reshape((-1, 10)), [layers.Conv1D(4, 3, 2)]),
        (
            (None, 4, 1),
            keras.Sequential(
                [
                    layers.Reshape((-1, 1)),
                    layers.Conv1D(4, 8, 5),
                    layers.Reshape((-1, 4, 1)),
                ],
                name="front_end",
            ),
            [layers.Conv2D(4, (3, 2), 2)],
        ),
    ],
)
def test_samples_through_a_front_end(shape, front_end, stack):
    encoder = encoder_of(*stack, shape=shape, front_end=front_end)
    clip = noise(70)
    expected = features(encoder, clip, 70)
    tokens = encoder.backbone(front_end(clip[None]))
    tokens = to_numpy(tokens).reshape(-1, 4)
    np.testing.assert_allclose(
        expected[0], tokens.mean(axis=0), rtol=1e-4, atol=1e-6
    )
    for length in (80, 120, 330):
        found = features(encoder, clip, length)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_patches_of_frames():
    tubes = [layers.Conv3D(4, 2, 2), layers.Reshape((-1, 4))]
    encoder = encoder_of(*tubes, shape=(None, 4, 4, 1), make=video_encoder)
    clip = noise(5, 4, 4, 1)
    expected = features(encoder, clip, 5)
    for length in (6, 9, 20):
        found = features(encoder, clip, length)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_a_backbone_that_pools_has_one_token():
    encoder = encoder_of(layers.GRU(3))
    x = padded(noise(4, 3), 6)
    x = {key: np.concatenate([x[key], 0 * x[key]]) for key in x}
    outputs = encoder({"audio": {**x, "frames": np.nan_to_num(x["frames"])}})
    assert outputs["tokens"].shape == (2, 1, 3)
    assert np.abs(to_numpy(outputs["features"])[0]).min() > 0
    np.testing.assert_array_equal(to_numpy(outputs["features"])[1], 0)


def rule(*stack, shape=(None, 3)):
    inputs = keras.Input(shape)
    x = inputs
    for layer in stack:
        x = layer(x)
    return find_steps([inputs], x)


def test_rules():
    def expected(stride, field, per_step=1):
        return {"stride": stride, "field": field, "per_step": per_step}

    def conv(*args, **kwargs):
        return layers.Conv1D(2, *args, **kwargs)

    assert rule(conv(5)) == expected(1, 5)
    assert rule(conv(4, 2, padding="same")) == expected(2, 1)
    assert rule(conv(127, 64), conv(7, 3), conv(3, 2)) == expected(384, 895)
    patches = [layers.Conv2D(2, (2, 4), (2, 4)), layers.Reshape((-1, 2))]
    assert rule(*patches, shape=(None, 8, 1)) == expected(2, 2, 2)
    assert rule(layers.UpSampling1D(3)) == expected(1, 1, 3)
    # One length only, and a rule of another kind.
    assert rule(conv(5), shape=(20, 3)) == {}
    assert rule(layers.Conv1DTranspose(2, 3, 2)) == {}


def mask(there, steps, *rule):
    layer = TokenMask(*rule)
    clone = TokenMask.from_config(layer.get_config())
    x = np.zeros((1, steps, 1), "float32")
    return to_numpy(clone(np.array([there]), x))[0].astype(int).tolist()


def test_holes():
    """A token is there if its last input is; some token always is."""
    assert mask([1, 1, 0, 1, 1, 0], 4, 1, 3, 1) == [0, 1, 1, 0]
    assert mask([0, 0, 0, 1, 0, 0], 3, 2, 1, 1) == [0, 1, 0]
    assert mask([0, 0, 0, 1, 0, 0], 6, 2, 1, 2) == [0, 0, 1, 1, 0, 0]
    assert mask([1, 0, 0, 0, 0, 0], 2, 1, 5, 1) == [1, 0]
    assert mask([0, 0, 0, 0, 0, 0], 2, 1, 5, 1) == [0, 0]
    # Where the rule is not known.
    assert mask([1, 1, 1, 0, 0, 0], 3) == [1, 1, 0]
    assert mask([1, 1, 0], 6) == [1, 1, 1, 1, 0, 0]
