import gc
import sys
import weakref

import keras
import numpy as np
import pytest
from keras import layers

from keras_xkd.models import PromptedCLIP
from tests import hub_case
from tests.distiller_case import set_weights
from tests.layers.attention import softmax
from tests.test_case import assert_golden
from tests.test_case import to_numpy

RNG = np.random.default_rng(0)
VIDEO = RNG.normal(size=(2, 3, *hub_case.IMAGE)).astype("float32")
FEATURES = RNG.normal(size=(3, 4)).astype("float32")


def image_tower(width=4):
    images = keras.Input(hub_case.IMAGE)
    pooled = layers.GlobalAveragePooling2D()(images)
    return keras.Model(images, layers.Dense(width)(pooled), name="tower")


def small(class_values=(-1, 0, 2), **kwargs):
    """A model with an image encoder of its own, without keras-hub."""
    model = PromptedCLIP(
        image_tower(), FEATURES, class_values, num_heads=2, **kwargs
    )
    set_weights(model, 1)
    model.prompts.assign(FEATURES)
    return model


def outputs_of(model, x):
    return {name: to_numpy(v) for name, v in model(x).items()}


def prompted_clip(**kwargs):
    backbone = hub_case.clip()
    return PromptedCLIP(backbone, hub_case.PROMPTS, num_heads=2, **kwargs)


def expected(model):
    """The outputs in float64, sample by sample, from those of the layers."""
    frames = to_numpy(model.image_tower(VIDEO.reshape(-1, *hub_case.IMAGE)))
    frames = frames.reshape(2, 3, 4)
    videos = to_numpy(model.temporal_pooling(frames)).astype("float64")
    prompts = to_numpy(model.prompt_decoder(FEATURES, frames))
    scale = np.exp(to_numpy(model.log_scale))
    kernel, bias = (to_numpy(w) for w in model.head.weights)
    found = {"logits": [], "score": [], "expectation": [], "features": videos}
    for v, p in zip(videos, prompts.astype("float64")):
        cosines = [v @ q / np.sqrt(v @ v) / np.sqrt(q @ q) for q in p]
        logits = scale * np.array(cosines)
        shares = softmax(logits)
        found["logits"].append(logits)
        found["expectation"].append([shares @ np.array([-1, 0, 2])])
        features = np.concatenate([v, shares @ p])
        found["score"].append(features @ kernel + bias)
    return found


def test_values():
    model = small()
    found = outputs_of(model, {"video": VIDEO, "other": VIDEO})
    assert sorted(found) == ["expectation", "features", "logits", "score"]
    for name, values in expected(model).items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4)
        assert_golden(f"prompted_clip/{name}", found[name])
    bare = outputs_of(model, VIDEO)
    np.testing.assert_array_equal(bare["score"], found["score"])


def test_padded_frames_change_nothing():
    model = small()
    mask = np.array([[1, 1, 0], [0, 1, 1]])
    there = mask[:, :, None, None, None]
    other = np.where(there, VIDEO, np.nan).astype("float32")
    masked, junk, whole = (
        outputs_of(model, {"video": {"frames": frames, **padding}})
        for frames, padding in [
            (VIDEO, {"padding_mask": mask}),
            (other, {"padding_mask": mask}),
            (VIDEO, {}),
        ]
    )
    for name, value in masked.items():
        np.testing.assert_allclose(junk[name], value, rtol=1e-4, atol=1e-6)
        assert not np.allclose(whole[name], value)


def test_categories_and_pooling_and_names():
    model = small(None, pooling="mean", modality="film", name="teacher")
    found = outputs_of(model, {"film": VIDEO})
    assert {k: v.shape for k, v in found.items()} == {
        "logits": (2, 3),
        "score": (2, 3),
        "features": (2, 4),
    }
    frames = to_numpy(model.image_tower(VIDEO.reshape(-1, *hub_case.IMAGE)))
    np.testing.assert_allclose(
        found["features"], frames.reshape(2, 3, 4).mean(1), rtol=1e-5
    )


def test_mixed_precision():
    full = outputs_of(small(), VIDEO)
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = small()
    found = model(VIDEO)
    dtypes = {
        k: keras.backend.standardize_dtype(v.dtype) for k, v in found.items()
    }
    assert dtypes == dict.fromkeys(full, "float32") | {"features": "bfloat16"}
    for name in ("logits", "score"):
        np.testing.assert_allclose(to_numpy(found[name]), full[name], atol=0.1)


@pytest.mark.slow
def test_takes_over_clip():
    backbone = hub_case.clip()
    backbone.clip_head.logit_scale.assign(1.25)
    ids = np.array(hub_case.PROMPTS)
    text = to_numpy(backbone.get_text_embeddings(ids))
    images = VIDEO.reshape(-1, *hub_case.IMAGE)
    features = to_numpy(backbone.get_vision_embeddings(images))
    asked = []
    text_pooler = backbone.text_pooler.call
    backbone.text_pooler.call = lambda *x: asked.append(1) or text_pooler(*x)
    tower = weakref.ref(backbone.text_encoder)

    model = PromptedCLIP(backbone, ids, num_heads=2)
    np.testing.assert_allclose(to_numpy(model.prompts), text, rtol=1e-5)
    np.testing.assert_allclose(
        to_numpy(model.image_tower(images)), features, rtol=1e-5
    )
    assert float(to_numpy(model.log_scale)) == 1.25
    # Asked once for its prompts, and then let go.
    model(VIDEO)
    model(VIDEO)
    assert asked == [1]
    for bad in ([1, 2, 3, 4, 5, 6, 19], [1, 20, 19]):
        with pytest.raises(ValueError, match=f"most 6 .* {max(bad)}$"):
            PromptedCLIP(backbone, [bad, bad], None)
    backbone = text_pooler = None
    gc.collect()
    assert tower() is None
    assert id(model.prompts) not in {id(v) for v in model.trainable_variables}


def test_image_encoder_may_be_frozen():
    model = prompted_clip(train_images=False)
    trained = {id(v) for v in model.trainable_variables}
    tower = model.image_tower.variables
    assert trained and not trained & {id(v) for v in tower}
    assert model.get_config()["train_images"] is False


def frozen_paths(model):
    frozen = {id(v) for v in model.non_trainable_variables}
    return [v.path for v in model.image_tower.variables if id(v) in frozen]


def test_what_the_user_froze_stays_frozen(tmp_path):
    backbone = hub_case.clip()
    layer = backbone.vision_encoder.get_layer("encoder_block_0")
    layer.trainable = False
    model = PromptedCLIP(backbone, hub_case.PROMPTS, num_heads=2)
    assert not layer.trainable
    own = image_tower()
    own.layers[-1].trainable = False
    for teacher, count in [
        (model, len(layer.variables) + 1),  # Ids of positions never learn.
        (PromptedCLIP(own, FEATURES, (0, 1, 2), num_heads=2), 2),
    ]:
        teacher.head.trainable = False
        teacher.save(tmp_path / "teacher.keras")
        loaded = keras.models.load_model(tmp_path / "teacher.keras")
        assert len(frozen_paths(teacher)) == count
        assert frozen_paths(loaded) == frozen_paths(teacher)
        assert loaded.temporal_pooling.trainable and not loaded.head.trainable


def test_saved_and_loaded(tmp_path):
    model = prompted_clip()
    model.save(tmp_path / "teacher.keras")
    loaded = keras.models.load_model(tmp_path / "teacher.keras")
    for name, value in outputs_of(loaded, {"video": VIDEO}).items():
        np.testing.assert_array_equal(value, outputs_of(model, VIDEO)[name])
    assert loaded.class_values == (-3, -2, -1, 0, 1, 2, 3)
    assert loaded.modalities == ("video",)
    clone = PromptedCLIP.from_config(model.get_config())
    np.testing.assert_array_equal(
        to_numpy(clone.prompts), to_numpy(model.prompts)
    )


def test_strings_and_presets(tmp_path):
    """ "good" is token 11, "bad" is 12; 1 and 19 are start and end."""
    backbone, tokenizer = hub_case.clip(), hub_case.tokenizer()
    folder = str(tmp_path / "preset")
    backbone.save_to_preset(folder)
    tokenizer.save_to_preset(folder)
    ids = np.array([[1, 11, 19, 0], [1, 12, 11, 19]])
    expected = to_numpy(backbone.get_text_embeddings(ids))
    for start, given in [(folder, None), (backbone, tokenizer)]:
        model = PromptedCLIP(
            start, ["Good", "bad good"], (0, 1), tokenizer=given, num_heads=2
        )
        np.testing.assert_allclose(
            to_numpy(model.prompts), expected, rtol=1e-4, atol=1e-6
        )


def test_without_keras_hub(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(ImportError, match=r"keras-xkd\[hub\]"):
        PromptedCLIP("clip_vit_base_patch16", ["a", "b"], (0, 1))
    small()  # Needs none.


@pytest.mark.parametrize(
    "backbone, prompts, class_values, message",
    [
        (image_tower, FEATURES[:1], (0,), "two prompts or more"),
        (image_tower, "good", (0,), "two prompts or more"),
        (image_tower, FEATURES, (-1, 1), "3 prompts and 2 class values"),
        (image_tower, FEATURES, (1, 0, -1), "from low to high"),
        (image_tower, FEATURES[:, :3], None, "as those of the prompts, 3"),
        (image_tower, [[1, 2], [1, 3]], None, "Token ids need a"),
        (image_tower, ["good", "bad"], None, "need a `tokenizer`"),
        (image_tower, FEATURES[None].repeat(2, 0), None, "shape .*(2, 3, 4)"),
    ],
)
def test_bad_arguments(backbone, prompts, class_values, message):
    with pytest.raises(ValueError, match=message):
        PromptedCLIP(backbone(), prompts, class_values, num_heads=2)


@pytest.mark.parametrize("x", [{"film": VIDEO}, {"video": {"film": VIDEO}}])
def test_missing_frames(x):
    with pytest.raises(ValueError, match=r"reads `x\['video'\]`.*\['film'\]"):
        small()(x)


@pytest.mark.parametrize(
    "shape", [(2, 8, 8, 3), (2, 3, 8, 4, 3), (2, 3, 8, 8, 1)]
)
def test_bad_frames(shape):
    with pytest.raises(ValueError, match="reads videos of shape"):
        small()({"video": np.zeros(shape, "float32")})
