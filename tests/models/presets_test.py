"""Encoders from names, preset folders and Hugging Face folders."""

import importlib.util
import json
import pathlib
import socket
import time

import keras
import keras_hub
import numpy as np
import pytest
import safetensors.numpy

from keras_xkd.models import audio_encoder
from keras_xkd.models import image_encoder
from keras_xkd.models import text_encoder
from keras_xkd.models import video_encoder
from tests import hub_case
from tests.test_case import to_numpy

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "fox", "##es"]
TEXTS = ["a fox", "foxes"]
IDS = {
    "token_ids": np.array([[2, 5, 6, 3, 0], [2, 6, 7, 3, 0]]),
    "padding_mask": np.array([[1, 1, 1, 1, 0], [1, 1, 1, 1, 0]]),
    "segment_ids": np.zeros((2, 5), "int32"),
}


@pytest.fixture(scope="module")
def bert():
    return hub_case.make("BertBackbone", num_layers=1)


@pytest.fixture(scope="module")
def folder(bert, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "bert"
    bert.save_to_preset(folder)
    keras_hub.models.BertTokenizer(WORDS).save_to_preset(folder)
    return folder


def write_hugging_face(bert, folder):
    """A BERT of keras-hub in the files and names of Hugging Face."""
    width = bert.hidden_dim
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": bert.vocabulary_size,
        "num_hidden_layers": bert.num_layers,
        "num_attention_heads": bert.num_heads,
        "hidden_size": width,
        "intermediate_size": bert.intermediate_dim,
        "max_position_embeddings": bert.max_sequence_length,
    }
    tensors = {}

    def put(name, variable, kernel=False):
        value = to_numpy(variable)
        if kernel:  # Hugging Face has (outputs, inputs).
            inputs = width if value.shape[0] == width else None
            value = value.reshape(inputs or bert.intermediate_dim, -1).T
        tensors[name] = np.ascontiguousarray(value)

    def norm(name, layer):
        put(f"{name}.LayerNorm.weight", layer.gamma)
        put(f"{name}.LayerNorm.bias", layer.beta)

    def dense(name, layer):
        put(f"{name}.weight", layer.kernel, kernel=True)
        tensors[f"{name}.bias"] = to_numpy(layer.bias).ravel()

    get = bert.get_layer
    put("embeddings.word_embeddings.weight", get("token_embedding").embeddings)
    put(
        "embeddings.position_embeddings.weight",
        get("position_embedding").position_embeddings,
    )
    put(
        "embeddings.token_type_embeddings.weight",
        get("segment_embedding").embeddings,
    )
    norm("embeddings", get("embeddings_layer_norm"))
    for i in range(bert.num_layers):
        block, name = get(f"transformer_layer_{i}"), f"encoder.layer.{i}"
        attention = block._self_attention_layer
        for part in ("query", "key", "value"):
            layer = getattr(attention, f"{part}_dense")
            dense(f"{name}.attention.self.{part}", layer)
        output = attention.output_dense  # (heads, width of one, width)
        put(f"{name}.attention.output.dense.bias", output.bias)
        tensors[f"{name}.attention.output.dense.weight"] = np.ascontiguousarray(
            to_numpy(output.kernel).reshape(width, -1).T
        )
        norm(f"{name}.attention.output", block._self_attention_layer_norm)
        dense(
            f"{name}.intermediate.dense", block._feedforward_intermediate_dense
        )
        dense(f"{name}.output.dense", block._feedforward_output_dense)
        norm(f"{name}.output", block._feedforward_layer_norm)
    dense("pooler.dense", get("pooled_dense"))
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")


@pytest.fixture(scope="module")
def hugging_face(bert, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "hf"
    write_hugging_face(bert, folder)
    return folder


def copy(folder, place, without=()):
    place.mkdir()
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_file() and name not in without:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(path.read_bytes())
    return place


@pytest.mark.parametrize("layout", ["folder", "hugging_face"])
def test_a_folder_is_the_backbone_it_was_written_from(layout, bert, request):
    folder = request.getfixturevalue(layout)
    assert isinstance(folder, pathlib.Path)
    encoder = text_encoder(folder)
    outputs = encoder.predict({"text": IDS}, verbose=0)
    sequence = bert.predict(IDS, verbose=0)["sequence_output"]
    np.testing.assert_allclose(outputs["tokens"], sequence, atol=1e-5)
    np.testing.assert_allclose(
        outputs["features"], sequence[:, :4].mean(axis=1), atol=1e-5
    )
    found = encoder.preprocess(TEXTS, sequence_length=5)["text"]
    for name, ids in IDS.items():
        np.testing.assert_array_equal(found[name], ids)


def test_a_saved_encoder_needs_the_folder_no_more(folder, tmp_path, bert):
    place = copy(folder, tmp_path / "preset")
    encoder = text_encoder(str(place))
    encoder.save(tmp_path / "e.keras")
    for path in sorted(place.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    place.rmdir()
    loaded = keras.models.load_model(tmp_path / "e.keras")
    x = loaded.preprocess(TEXTS, sequence_length=5)
    np.testing.assert_array_equal(x["text"]["token_ids"], IDS["token_ids"])
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0)["tokens"],
        bert.predict(IDS, verbose=0)["sequence_output"],
        atol=1e-5,
    )


def test_a_folder_goes_before_a_name_and_may_start_at_home(
    folder, tmp_path, monkeypatch
):
    copy(folder, tmp_path / "bert_tiny_en_uncased")
    monkeypatch.chdir(tmp_path)
    assert text_encoder("bert_tiny_en_uncased").backbone.count_params() < 2000
    monkeypatch.setenv("HOME", str(tmp_path))
    assert text_encoder("~/bert_tiny_en_uncased").preprocessor is not None


def test_images_videos_and_sound(tmp_path):
    vit = hub_case.make("ViTBackbone", num_layers=1)
    vit.save_to_preset(tmp_path / "vit")
    converter = keras_hub.layers.ViTImageConverter(
        image_size=(8, 8), scale=2.0, offset=-1.0
    )
    converter.save_to_preset(tmp_path / "vit")
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3))
    image = image_encoder(tmp_path / "vit").preprocess(images)["image"]
    np.testing.assert_allclose(image, images * 2.0 - 1, atol=1e-4)
    videos = video_encoder(tmp_path / "vit").preprocess(images[:, None])
    np.testing.assert_allclose(videos["video"][:, 0], image, atol=1e-4)

    whisper = hub_case.make("WhisperBackbone", num_layers=1, num_mels=5)
    whisper.save_to_preset(tmp_path / "whisper")
    converter = keras_hub.layers.WhisperAudioConverter(
        num_mels=5, max_audio_length=1, stride=800
    )
    converter.save_to_preset(tmp_path / "whisper")
    sound = np.random.default_rng(0).normal(size=(2, 9000)).astype("float32")
    encoder = audio_encoder(tmp_path / "whisper")
    np.testing.assert_allclose(
        encoder.preprocess(sound)["audio"],
        to_numpy(converter(sound)),
        atol=1e-5,
    )
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = audio_encoder(tmp_path / "whisper").preprocess(sound)["audio"]
        image = image_encoder(tmp_path / "vit").preprocess(images)["image"]
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_allclose(half, to_numpy(converter(sound)), atol=1e-5)
    np.testing.assert_allclose(image, images * 2.0 - 1, atol=1e-4)
    # Without the file of a converter, images have a default, sound has none.
    (tmp_path / "vit" / "image_converter.json").unlink()
    (tmp_path / "whisper" / "audio_converter.json").unlink()
    image = image_encoder(tmp_path / "vit").preprocess(images)["image"]
    np.testing.assert_allclose(image, images / 255, atol=1e-5)
    with pytest.raises(ValueError, match="no audio_converter.json.*whisper"):
        audio_encoder(tmp_path / "whisper").preprocess(sound)


def test_a_backbone_alone(folder, tmp_path):
    files = ("tokenizer.json", "assets/tokenizer/vocabulary.txt")
    place = copy(folder, tmp_path / "p", without=files)
    encoder = text_encoder(place)
    assert encoder.predict({"text": IDS}, verbose=0)["features"].shape == (2, 8)
    with pytest.raises(ValueError, match="no tokenizer.json in the preset"):
        encoder.preprocess(TEXTS)
    tokenizer = keras_hub.models.BertTokenizer(WORDS)
    encoder = text_encoder(place, preprocessor=tokenizer)
    assert encoder.preprocess(["a"])["text"]["token_ids"][0, 1] == 5


@pytest.mark.parametrize(
    "layout, file",
    [
        ("folder", "config.json"),
        ("folder", "model.weights.h5"),
        ("folder", "assets/tokenizer/vocabulary.txt"),
        ("hugging_face", "config.json"),
        ("hugging_face", "model.safetensors"),
        ("hugging_face", "vocab.txt"),
        ("hugging_face", "tokenizer_config.json"),
    ],
)
def test_a_missing_file_is_named(layout, file, request, tmp_path):
    folder = request.getfixturevalue(layout)
    place = copy(folder, tmp_path / "p", without=[file])
    with pytest.raises(FileNotFoundError, match=f"{place}.*{file}"):
        text_encoder(place)


@pytest.mark.parametrize(
    "name, content, error, message",
    [
        ("config.json", "{", ValueError, "config.json' is no valid JSON"),
        ("config.json", "[]", ValueError, "must hold a JSON object"),
        ("config.json", '{"a": 1}', ValueError, "describes no model.*'a'"),
        ("model.weights.h5", "x", ValueError, "could not be opened.*Error"),
        ("tokenizer.json", "{", ValueError, "tokenizer of.*could not be"),
    ],
)
def test_an_unusable_file(folder, tmp_path, name, content, error, message):
    place = copy(folder, tmp_path / "p")
    (place / name).write_text(content)
    with pytest.raises(error, match=message):
        text_encoder(place)


def test_a_tokenizer_that_needs_tensorflow(folder, tmp_path, monkeypatch):
    place = copy(folder, tmp_path / "p")
    (place / "tokenizer.json").write_text("{")
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: find_spec(name) if name != "tensorflow" else None,
    )
    with pytest.raises(ValueError, match="need TensorFlow, which is not inst"):
        text_encoder(place)


def test_shards(hugging_face, tmp_path):
    place = copy(hugging_face, tmp_path / "p")
    tensors = safetensors.numpy.load_file(place / "model.safetensors")
    (place / "model.safetensors").unlink()
    names = {k: f"part-{i % 2}.safetensors" for i, k in enumerate(tensors)}
    index = json.dumps({"weight_map": names})
    (place / "model.safetensors.index.json").write_text(index)
    for shard in ("part-0.safetensors", "part-1.safetensors"):
        with pytest.raises(FileNotFoundError, match=f"misses.*{shard}"):
            text_encoder(place)
        part = {k: v for k, v in tensors.items() if names[k] == shard}
        safetensors.numpy.save_file(part, place / shard)
    np.testing.assert_allclose(
        text_encoder(place).predict({"text": IDS}, verbose=0)["features"],
        text_encoder(hugging_face).predict({"text": IDS}, verbose=0)[
            "features"
        ],
        atol=1e-6,
    )


@pytest.mark.parametrize("kind", ["whisper", "moonshine", "clip", "siglip"])
def test_what_keras_hub_cannot_convert(kind, hugging_face, tmp_path):
    place = copy(hugging_face, tmp_path / "p")
    (place / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(ValueError, match=f"'{kind}'.*Take the preset of keras"):
        audio_encoder(place)


def test_names_without_a_network(monkeypatch):
    def no_network(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    for variable in ("HTTPS_PROXY", "https_proxy", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    start = time.monotonic()
    for name, where in (
        ("bert_tiny_en_uncased", "kaggle://keras/bert/keras/bert_tiny_en"),
        ("hf://nobody/nothing", "https://huggingface.co"),
        ("kaggle://no/body/keras/nothing", "kaggle://no/body/keras/nothing"),
    ):
        with pytest.raises(ConnectionError) as error:
            text_encoder(name)
        for part in (name, "config.json", where, "save_to_preset(", "folder"):
            assert part in str(error.value)
    assert time.monotonic() - start < 10


def test_a_model_in_the_cache_of_hugging_face(
    hugging_face, bert, monkeypatch, tmp_path
):
    model = tmp_path / "models--some--bert"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("abc")
    (model / "snapshots").mkdir()
    copy(hugging_face, model / "snapshots" / "abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    # A port where nobody listens.
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    np.testing.assert_allclose(
        text_encoder("hf://some/bert").predict({"text": IDS}, verbose=0)[
            "tokens"
        ],
        bert.predict(IDS, verbose=0)["sequence_output"],
        atol=1e-5,
    )
    with pytest.raises(ConnectionError, match="at http://127.0.0.1:9, without"):
        text_encoder("hf://some/roberta")


def test_names_that_do_not_exist():
    with pytest.raises(FileNotFoundError, match="names: bert_tiny_en_uncased"):
        text_encoder("bert_tiny_en_uncase")
    with pytest.raises(FileNotFoundError, match="neither a folder '/no/where'"):
        text_encoder("/no/where")
    with pytest.raises(FileNotFoundError, match="written 'hf://owner/name'"):
        text_encoder(pathlib.Path("google") / "bert")
