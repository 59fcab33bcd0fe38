"""Which weights of an encoder learn, how, and in which methods."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_xkd import losses
from keras_xkd.distillers import CrossModalDistiller
from keras_xkd.models import LateFusion
from keras_xkd.models import audio_encoder
from keras_xkd.models import image_encoder
from keras_xkd.models import text_encoder
from keras_xkd.models import video_encoder
from keras_xkd.models.backbone_parts import part_for
from keras_xkd.models.freezing import blocks_of
from keras_xkd.models.freezing import lora_layers
from tests import hub_case
from tests.models.encoder_test import data_for
from tests.test_case import to_numpy

MORE_BLOCKS = {"num_layers": 3}


def paths(weights):
    return [weight.path for weight in weights]


def reload(encoder, tmp_path):
    encoder.save(tmp_path / "encoder.keras")
    return keras.models.load_model(tmp_path / "encoder.keras")


@pytest.mark.parametrize(
    "name, kind, expected",
    [
        ("ViTBackbone", "image", ["ViTEncoderBlock"] * 2),
        ("CLIPVisionEncoder", "image", ["CLIPEncoderLayer"] * 2),
        ("DINOV2Backbone", "image", ["DINOV2Layer"] * 2),
        ("BertBackbone", "text", ["TransformerEncoder"] * 2),
        ("WhisperBackbone", "audio", ["WhisperEncoder"] * 2),
        ("MoonshineBackbone", "audio", ["MoonshineEncoderBlock"] * 2),
        # Spatial and temporal ones.
        ("VideoPrismBackbone", "video", ["VideoPrismEncoderBlock"] * 2),
        # The first block starts with the stem.
        ("ResNetBackbone", "image", ["Conv2D"] * 2),
    ],
)
def test_blocks(name, kind, expected):
    blocks = blocks_of(part_for(hub_case.make(name), kind))
    assert [type(block).__name__ for block in blocks] == expected


def test_blocks_of_models_of_ones_own():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="stem")(inputs)
    for i in range(2):
        y = layers.Conv2D(4, 3, padding="same", name=f"one_{i}")(x)
        y = layers.BatchNormalization()(y)
        gate = layers.Dense(4, "sigmoid", name=f"gate_{i}")(y)
        x = x + layers.Multiply()([y, gate])
    backbone = keras.Model(inputs, x)
    assert [b.name for b in blocks_of(backbone)] == ["stem", "one_1"]
    encoder = image_encoder(backbone, trainable=1)
    assert len(encoder.trainable_weights) == 6
    plain = keras.Sequential([inputs, *backbone.layers[1:3]])
    assert [b.name for b in blocks_of(plain)] == ["stem", "one_0"]


def test_last_blocks(tmp_path):
    """All from the kth last block on learns, and what the encoder adds."""
    backbone = hub_case.make("ViTBackbone", **MORE_BLOCKS)
    encoder = image_encoder(
        backbone, pooling="attention", projection_dim=3, trainable=2
    )
    frozen = [w.path for w in encoder.weights if not w.trainable]
    assert len(frozen) == 4 + 16  # Embeddings; one block.
    assert all("embedding" in p or "block_1" in p for p in frozen)
    assert encoder.backbone is backbone
    loaded = reload(encoder, tmp_path)
    assert [w.trainable for w in loaded.weights] == [
        w.trainable for w in encoder.weights
    ]
    # The flags are ordinary ones: they can be changed, and are saved. (On
    # TensorFlow, Keras ignores what a flag is set to if it is that already.)
    backbone.trainable = False
    backbone.trainable = True
    loaded = reload(encoder, tmp_path)
    assert all(weight.trainable for weight in loaded.weights)


def test_frozen(tmp_path):
    encoder = image_encoder(
        hub_case.make("ResNetBackbone"), trainable="none", projection_dim=3
    )
    x = data_for(encoder)
    before = to_numpy(encoder(x)["features"])
    for network in (encoder, reload(encoder, tmp_path)):
        assert len(network.trainable_weights) == 1
        # Batch normalisation keeps to its averages.
        np.testing.assert_allclose(
            to_numpy(network(x, training=True)["features"]), before, rtol=1e-4
        )
    learning = image_encoder(hub_case.make("ResNetBackbone"), trainable=1)
    frozen = {w.path for w in learning.weights if not w.trainable}
    moving = {p for p in frozen if "moving" in p}
    assert {p for p in frozen - moving if "stack1" in p} == set()
    assert len(frozen - moving) == 3 * 3  # Stem and first block.


def test_own_flags_stay():
    backbone = hub_case.make("RobertaBackbone")
    backbone.embeddings.trainable = False
    encoder = text_encoder(backbone, trainable="all")
    assert sum(not w.trainable for w in encoder.weights) == 2
    clone = type(encoder).from_config(encoder.get_config())
    assert sum(not w.trainable for w in clone.weights) == 2


def test_lora(tmp_path):
    encoder = text_encoder(
        hub_case.make("BertBackbone"),
        trainable=1,
        lora_rank=2,
        projection_dim=3,
    )
    tuned = lora_layers(encoder)
    assert len(tuned) == 6  # Query, key, value, output; two of the perceptron.
    learning = [w for layer in tuned for w in layer.trainable_weights]
    assert all("lora" in weight.path for weight in learning)
    assert len(encoder.trainable_weights) == 2 * 6 + 1
    x = data_for(encoder)
    base = to_numpy(encoder(x)["features"])
    rng = np.random.default_rng(0)
    for weight in learning:
        weight.assign(0.3 * rng.normal(size=weight.shape))
    features = to_numpy(encoder(x)["features"])
    assert np.abs(features - base).max() > 0.01
    loaded = reload(encoder, tmp_path)
    np.testing.assert_array_equal(to_numpy(loaded(x)["features"]), features)
    # Keras alone would return merged kernels and factors of zeros.
    for one, other in zip(encoder.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(one), to_numpy(other))
        assert one.trainable == other.trainable
    # Weights alone, into an encoder that was made anew.
    encoder.save_weights(tmp_path / "lora.weights.h5")
    clone = type(encoder).from_config(encoder.get_config())
    clone.load_weights(tmp_path / "lora.weights.h5")
    for one, other in zip(encoder.weights, clone.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(one), to_numpy(other))


def test_lora_of_convolutions_over_frames(tmp_path):
    encoder = video_encoder(hub_case.make("ResNetBackbone"), lora_rank=1)
    assert len(encoder.trainable_weights) == 2 * len(lora_layers(encoder)) > 4
    loaded = reload(encoder, tmp_path)
    x = data_for(encoder)
    np.testing.assert_array_equal(
        to_numpy(loaded(x)["features"]), to_numpy(encoder(x)["features"])
    )


ROLES = {
    "image": lambda: image_encoder(hub_case.make("ViTBackbone"), trainable=1),
    "text": lambda: text_encoder(hub_case.make("BertBackbone"), lora_rank=1),
    "audio": lambda: audio_encoder(hub_case.make("WhisperBackbone")),
    "video": lambda: video_encoder(
        hub_case.make("CLIPVisionEncoder"), pooling="cls", mask=True
    ),
}


@pytest.mark.parametrize("kinds", [("image", "video"), ("audio", "text")])
def test_distillation(kinds):
    """One kind teaches the other; only what shall learn moves."""
    student, teacher = (ROLES[kind]() for kind in kinds)
    x = data_for(student) | data_for(teacher)
    distiller = CrossModalDistiller(student=student, teacher=teacher)
    distiller.compile(
        keras.optimizers.Adam(0.05),
        distillation_loss=losses.FeatureMatching(),
    )
    before = [to_numpy(w).copy() for w in distiller.weights]
    frozen = [*teacher.weights, *student.non_trainable_weights]
    frozen = {id(weight) for weight in frozen}
    history = distiller.fit(x, epochs=4, verbose=0).history["loss"]
    assert history[-1] < history[0]
    for old, weight in zip(before, distiller.weights, strict=True):
        if id(weight) in frozen:
            np.testing.assert_array_equal(to_numpy(weight), old)
    outputs = distiller.predict(x, verbose=0)
    np.testing.assert_allclose(
        outputs["features"], to_numpy(student(x)["features"]), atol=1e-4
    )


def test_late_fusion(tmp_path):
    model = LateFusion(
        {
            "text": text_encoder(hub_case.make("RobertaBackbone"), lora_rank=1),
            "audio": audio_encoder(
                hub_case.make("MoonshineBackbone", encoder_num_layers=1),
                trainable="none",
            ),
        },
        units=3,
    )
    x = {}
    for encoder in model.encoders.values():
        x |= data_for(encoder)
    logits = to_numpy(model(x))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(to_numpy(loaded(x)), logits)


def test_errors():
    vit = hub_case.make("ViTBackbone")
    for trainable in ("some", 0, True, 1.0):
        with pytest.raises(ValueError, match="`trainable` must be 'all'"):
            image_encoder(vit, trainable=trainable)
    with pytest.raises(ValueError, match="blocks of 'vi_t_backbone.*', 2"):
        image_encoder(vit, trainable=3)
    with pytest.raises(ValueError, match="lora_rank=0"):
        image_encoder(vit, lora_rank=0)
    with pytest.raises(ValueError, match="trainable='none', lora_rank=2"):
        image_encoder(vit, trainable="none", lora_rank=2)
    plain = keras.Sequential([keras.Input((4,), dtype="int32")])
    plain.add(layers.Embedding(5, 3))
    with pytest.raises(ValueError, match="has none that learns"):
        text_encoder(plain, lora_rank=2)
    # Nothing was changed before it raised.
    assert all(weight.trainable for weight in vit.weights)
    assert not lora_layers(vit)
