import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from keras_xkd import losses
from keras_xkd.callbacks import StudentCheckpoint
from keras_xkd.distillers import ContrastivePretraining
from keras_xkd.layers import ProjectionHead
from keras_xkd.layers import ScaledGaussianNoise
from keras_xkd.layers import SpecAugment
from tests.distiller_case import make_data
from tests.distiller_case import moved_by
from tests.distiller_case import run_distiller_test
from tests.distiller_case import same
from tests.distiller_case import set_weights
from tests.distiller_case import snapshot
from tests.losses import reference
from tests.test_case import assert_golden
from tests.test_case import to_numpy

X = make_data(32, audio=4)[0]


@keras.saving.register_keras_serializable("tests")
class Plus(layers.Layer):
    """Adds 0 to one view, 1 to the next."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.turn = 0

    def call(self, inputs, training=False):
        self.turn = 1 - self.turn
        return inputs + (1 - self.turn if training else 0)


class Redraw(layers.Layer):
    """Keeps the first two features and draws the others anew."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(0)

    def call(self, inputs):
        drawn = keras.random.normal(ops.shape(inputs), seed=self.seed_generator)
        kept = ops.convert_to_tensor([1.0, 1.0, 0.0, 0.0])
        return inputs * kept + drawn * (1 - kept)


def encoder(*shape, modality="audio", width=5):
    inputs = keras.Input(shape or (4,), name=modality)
    return keras.Model(inputs, layers.Dense(width)(inputs))


def make(**kwargs):
    roles = {"encoder": encoder(), "projector": head()}
    return ContrastivePretraining(**{**roles, **kwargs})


def head():
    projector = ProjectionHead(3, hidden=4)
    projector.build((None, 5))
    return projector


def test_all_checks(tmp_path):
    distiller = run_distiller_test(
        make,
        lambda: {"optimizer": "adam"},
        X,
        None,
        ["contrast_loss", "loss"],
        tmp_path,
    )
    # The bare tensor of an encoder with one input will do.
    distiller.fit(X["audio"], verbose=0)
    np.testing.assert_array_equal(
        distiller.predict(X["audio"], verbose=0),
        distiller.predict(X, verbose=0),
    )


def test_two_views_among_all_views():
    distiller = make(augment=Plus())
    set_weights(distiller)
    distiller.compile("sgd", distillation_loss=losses.NTXent(0.5))
    logs = distiller.evaluate(X, batch_size=32, verbose=0, return_dict=True)

    def embed(view):
        rows = distiller.encoder.predict(view, verbose=0)
        return to_numpy(distiller.projector(rows))

    one, two = embed(X["audio"]), embed(X["audio"] + 1)
    expected = reference.nt_xent(one, two, 0.5).mean()
    np.testing.assert_allclose(logs["contrast_loss"], expected, rtol=1e-4)
    assert_golden("contrastive_pretraining.loss", logs["contrast_loss"])


def test_the_term_moves_encoder_and_projector():
    distiller = make()
    distiller.compile(keras.optimizers.Adam(0.01))
    assert moved_by(distiller, "contrast", X) == {"encoder", "projector"}


def test_learns_what_two_views_share():
    x = np.random.default_rng(0).normal(size=(256, 4)).astype("float32")
    keras.utils.set_random_seed(0)
    distiller = make(projector=None, augment=Redraw())
    distiller.compile(keras.optimizers.Adam(0.02))
    distiller.fit(x, batch_size=64, epochs=12, verbose=0)

    def embed(rows):
        features = distiller.encoder.predict(rows, verbose=0)
        return to_numpy(distiller.projector(features))

    def change(columns):
        other = x.copy()
        other[:, columns] = np.roll(x[:, columns], 1, axis=0)
        return np.mean(np.linalg.norm(embed(other) - embed(x), axis=1))

    assert change([0, 1]) > 4 * change([2, 3])


def test_dict_of_modalities_and_other_objectives():
    inputs = {m: keras.Input((4,), name=m) for m in ("audio", "image")}
    both = layers.Concatenate()(list(inputs.values()))
    distiller = make(
        encoder=keras.Model(inputs, layers.Dense(5)(both)),
        augment={"audio": ScaledGaussianNoise(0.1, seed=0)},
    )
    x = make_data(8, audio=4, image=4)[0]
    distiller.compile(
        "adam",
        distillation_loss={
            "nce": losses.InfoNCE(),
            "queued": losses.SimilarityDistribution(queue=8),
        },
        loss_weights={"queued": 0.5},
    )
    history = distiller.fit(x, verbose=0).history
    assert sorted(history) == ["loss", "nce_loss", "queued_loss"]
    total = history["nce_loss"][0] + 0.5 * history["queued_loss"][0]
    np.testing.assert_allclose(history["loss"], total, rtol=1e-5)


def test_absent_samples_leave_the_loss():
    distiller = make(augment=Plus())
    distiller.compile("sgd")
    x, present = X["audio"][:6].copy(), np.array([1, 1, 0, 1, 0, 1])
    alone = distiller.evaluate(
        {"audio": x[present == 1]}, verbose=0, return_dict=True
    )
    x[present == 0] = np.nan
    masked = distiller.evaluate(
        {"audio": x, "present": {"audio": present}},
        verbose=0,
        return_dict=True,
    )
    np.testing.assert_allclose(masked["loss"], alone["loss"], rtol=1e-4)


def test_dense_features_are_averaged():
    image = keras.Input((6, 6, 1), name="image")
    dense = keras.Model(image, {"features": layers.Conv2D(5, 3)(image)})
    distiller = make(encoder=dense, augment=Plus())
    set_weights(distiller)
    distiller.compile("sgd", distillation_loss=losses.NTXent(0.5))
    x = np.random.default_rng(0).normal(size=(4, 6, 6, 1)).astype("float32")
    logs = distiller.evaluate(x, verbose=0, return_dict=True)
    views = [dense.predict(v, verbose=0)["features"] for v in (x, x + 1)]
    rows = [to_numpy(distiller.projector(v.mean((1, 2)))) for v in views]
    expected = reference.nt_xent(*rows, 0.5).mean()
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-4)


def test_padded_tokens_do_not_count():
    tokens = keras.Input((3,), dtype="int32", name="text")
    embedded = layers.Embedding(9, 5, mask_zero=True)(tokens)
    model = keras.Model(tokens, embedded)
    distiller = make(encoder=model, augment={})
    set_weights(distiller)
    distiller.compile("sgd", distillation_loss=losses.NTXent(0.5))
    long = np.array([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
    logs = distiller.evaluate(long, verbose=0, return_dict=True)
    table = to_numpy(model.layers[1].weights[0])
    rows = np.stack([table[[t for t in row if t]].mean(0) for row in long])
    rows = to_numpy(distiller.projector(rows))
    expected = reference.nt_xent(rows, rows, 0.5).mean()
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((4,), ScaledGaussianNoise),
        ((8, 4), SpecAugment),
        ((8, 8, 3), layers.Pipeline),
    ],
)
def test_default_augmentation(shape, expected):
    model = make(encoder=encoder(*shape))
    assert type(model.augment["audio"]) is expected
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    one, two = np.split(to_numpy(model._views({"audio": x})["audio"]), 2)
    assert one.shape == x.shape
    assert not np.array_equal(one, x)
    assert not np.array_equal(one, two)


def test_default_projector():
    model = make(projector=None)
    assert (model.projector.units, model.projector.hidden) == (128, 5)


def test_checkpoint_of_the_encoder(tmp_path):
    distiller = make()
    distiller.compile("sgd")
    path = tmp_path / "encoder.keras"
    distiller.fit(X, verbose=0, callbacks=[StudentCheckpoint(path)])
    loaded = keras.models.load_model(path)
    assert same(snapshot(distiller.encoder), loaded)


def test_errors():
    distiller = make()
    distiller.compile("sgd")
    state = snapshot(distiller)
    y = np.zeros(32)
    for call in (distiller.fit, distiller.evaluate):
        with pytest.raises(ValueError, match="Pretraining learns without labe"):
            call(X, y, verbose=0)
    assert same(state, distiller)
    with pytest.raises(ValueError, match="`loss` has nothing to compare"):
        distiller.compile("sgd", "mse")
    with pytest.raises(ValueError, match="names the modalities \\['video'\\]"):
        make(augment={"video": Plus()})
    with pytest.raises(ValueError, match="Received for 'audio': 'flip'"):
        make(augment="flip")
    with pytest.raises(ValueError, match="needs a `encoder`. Received"):
        make(encoder=None)
    text = keras.Input((3,), dtype="int32", name="text")
    tokens = keras.Model(text, layers.Embedding(9, 5)(text))
    with pytest.raises(ValueError, match="no default augmentation for 'text'"):
        make(encoder=tokens)


def test_batch_of_one():
    distiller = make()
    distiller.compile("sgd")
    one = {"audio": X["audio"][:1]}
    with pytest.raises(ValueError, match="Pretraining tells every sample"):
        distiller.train_on_batch(one)
    np.testing.assert_allclose(distiller.evaluate(one, verbose=0), 0, atol=1e-6)
    # A last batch of one does no harm.
    distiller.fit({"audio": X["audio"][:5]}, batch_size=4, verbose=0)
