import keras
import numpy as np
import pytest
from keras import layers

from keras_xkd import losses
from keras_xkd.distillers import CMCD
from keras_xkd.distillers import ContrastivePretraining
from keras_xkd.layers import ProjectionHead
from keras_xkd.layers import ScaledGaussianNoise
from keras_xkd.models import LinearProbe
from tests.distiller_case import make_data
from tests.distiller_case import moved_by
from tests.distiller_case import run_distiller_test
from tests.distiller_case import same
from tests.distiller_case import set_weights
from tests.distiller_case import snapshot
from tests.distiller_case import squares
from tests.losses import reference
from tests.test_case import assert_golden
from tests.test_case import to_numpy

WIDTHS = {"audio": 4, "image": 6}  # Target and source.
BOTH = {
    "cmd": losses.SimilarityDistribution(0.2, 0.5),
    "cmc": losses.CrossModalContrast(0.5),
}


def encoder(modality, width=5, **kwargs):
    inputs = keras.Input((WIDTHS[modality],), name=modality)
    x = layers.Dense(7, activation="relu")(inputs)
    x = layers.BatchNormalization()(x)
    return keras.Model(inputs, layers.Dense(width)(x), **kwargs)


def head(width=5, units=3):
    projector = ProjectionHead(units, hidden=4)
    projector.build((None, width))
    return projector


def make(**kwargs):
    roles = {
        "student": encoder("audio"),
        "teacher": encoder("image"),
        "teacher_projector": head(),
    }
    return CMCD(**{**roles, **kwargs})


def compiled(loss=None, seed=3, **kwargs):
    distiller = make(**kwargs)
    set_weights(distiller, seed)
    distiller.compile(keras.optimizers.Adam(0.01), distillation_loss=loss)
    return distiller


def test_all_checks(tmp_path):
    run_distiller_test(
        make,
        lambda: {"optimizer": "adam", "distillation_loss": BOTH},
        make_data(**WIDTHS)[0],
        None,
        ["cmc_loss", "cmd_loss", "loss"],
        tmp_path,
    )


def test_a_queue_is_saved_and_goes_on(tmp_path):
    x, _ = make_data(16, **WIDTHS)
    path = tmp_path / "cmcd.keras"
    one = compiled(losses.SimilarityDistribution(0.2, 0.5, queue=12))
    how = {"batch_size": 4, "shuffle": False, "verbose": 0}
    one.fit(x, **how)
    # The last 12 embeddings of the source, the oldest first.
    (queue,) = one.companions.values()
    np.testing.assert_allclose(
        to_numpy(queue.rows.value), to_numpy(one.source(x))[-12:], atol=1e-5
    )
    one.save(path)
    two = keras.models.load_model(path)
    for model in (one, two):
        model.fit(x, **how)
    for a, b in zip(one.variables, two.variables, strict=True):
        np.testing.assert_array_equal(to_numpy(a.value), to_numpy(b.value))


def embeddings(distiller, x):
    """Source and target by the networks themselves."""
    a = distiller.teacher.predict(x["image"], verbose=0)
    b = distiller.student.predict(x["audio"], verbose=0)
    return (
        to_numpy(distiller.teacher_projector(a)),
        to_numpy(distiller.projector(b)),
    )


def test_terms_are_those_of_explicit_loops():
    x, _ = make_data(12, **WIDTHS)
    distiller = compiled(BOTH)
    a, b = embeddings(distiller, x)
    np.testing.assert_allclose(to_numpy(distiller.source(x)), a, rtol=1e-4)
    np.testing.assert_allclose(to_numpy(distiller.target(x)), b, rtol=1e-4)
    logs = distiller.evaluate(x, batch_size=12, verbose=0, return_dict=True)
    cmd = reference.similarity_distribution(a, b, 0.2, 0.5).mean()
    cmc = reference.info_nce(a, b, 0.5).mean()
    np.testing.assert_allclose(logs["cmd_loss"], cmd, rtol=1e-4)
    np.testing.assert_allclose(logs["cmc_loss"], cmc, rtol=1e-4)
    np.testing.assert_allclose(logs["loss"], cmd + cmc, rtol=1e-4)
    assert_golden("cmcd.losses", [logs["cmd_loss"], logs["cmc_loss"]])


def test_weighted_sum():
    x, _ = make_data(8, **WIDTHS)
    distiller = make()
    weights = {"cmd": 0.25, "cmc": 2.0}
    distiller.compile("sgd", distillation_loss=BOTH, loss_weights=weights)
    logs = distiller.evaluate(x, verbose=0, return_dict=True)
    total = sum(w * logs[f"{term}_loss"] for term, w in weights.items())
    np.testing.assert_allclose(logs["loss"], total, rtol=1e-5)


def test_each_term_moves_the_target_and_its_projector_alone():
    x, _ = make_data(8, **WIDTHS)
    queued = losses.SimilarityDistribution(queue=8)
    distiller = compiled({**BOTH, "queued": queued})
    for term in ("cmd", "cmc", "queued"):
        assert moved_by(distiller, term, x) == {"student", "projector"}
    source = [*distiller.teacher.variables]
    source += distiller.teacher_projector.variables
    trained = {id(v) for v in distiller.trainable_variables}
    assert not trained & {id(v) for v in source}


def test_the_source_stays_bit_for_bit():
    # Batch normalisation, which would move in training mode, included.
    x, _ = make_data(16, **WIDTHS)
    distiller = compiled()
    frozen = (distiller.teacher, distiller.teacher_projector)
    before = [snapshot(network) for network in frozen]
    student = snapshot(distiller.student)
    distiller.fit(x, epochs=2, batch_size=8, verbose=0)
    assert all(map(same, before, frozen))
    assert not same(student, distiller.student)
    assert all(network.trainable for network in frozen)


def test_without_teacher_projector():
    distiller = make(teacher_projector=None, teacher=encoder("image", width=9))
    assert distiller.projector.units == 9
    set_weights(distiller)
    x, _ = make_data(8, **WIDTHS)
    distiller.compile("sgd")
    logs = distiller.evaluate(x, verbose=0, return_dict=True)
    a = distiller.teacher.predict(x["image"], verbose=0)
    b = to_numpy(distiller.target(x))
    expected = reference.info_nce(a, b, 0.07).mean()
    np.testing.assert_allclose(logs["distillation_loss"], expected, rtol=1e-4)


def test_own_projector():
    projector = keras.Sequential([layers.Dense(3)])
    distiller = make(projector=projector)
    assert distiller.projector is projector
    assert projector.built
    narrow = make(projector=ProjectionHead(2))
    for loss in (None, losses.SimilarityDistribution(queue=8)):
        with pytest.raises(
            ValueError, match="`projector` .* 2 of the student, 3"
        ):
            narrow.compile("sgd", distillation_loss=loss)


def test_absent_pairs_leave_the_losses():
    x, _ = make_data(8, **WIDTHS)
    distiller = compiled(BOTH)
    kept = np.array([0, 2, 3, 5])
    present = {m: np.ones(8, "float32") for m in WIDTHS}
    present["audio"][[1, 4]] = 0
    present["image"][[6, 7]] = 0
    holes = {m: x[m].copy() for m in x}
    holes["audio"][[1, 4]] = np.nan
    holes["image"][[6, 7]] = np.nan
    masked = distiller.evaluate(
        {**holes, "present": present}, verbose=0, return_dict=True
    )
    alone = distiller.evaluate(
        {m: x[m][kept] for m in x}, verbose=0, return_dict=True
    )
    for name in alone:
        np.testing.assert_allclose(masked[name], alone[name], rtol=1e-4)


def test_dense_features_are_averaged():
    image = keras.Input((6, 6, 1), name="image")
    dense = keras.Model(image, layers.Conv2D(5, 3)(image))
    distiller = make(teacher=dense, teacher_projector=None)
    x = {
        "image": np.random.default_rng(0).normal(size=(4, 6, 6, 1)),
        "audio": np.zeros((4, 4)),
    }
    expected = dense.predict(x["image"], verbose=0).mean((1, 2))
    np.testing.assert_allclose(
        to_numpy(distiller.source(x)), expected, rtol=1e-4, atol=1e-6
    )


def test_errors():
    x, y = make_data(8, **WIDTHS)
    distiller = compiled()
    state = snapshot(distiller)
    with pytest.raises(ValueError, match="CMCD learns without labels"):
        distiller.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match="'image' is missing"):
        distiller.fit({"audio": x["audio"]}, verbose=0)
    with pytest.raises(ValueError, match="nothing to evaluate"):
        distiller.evaluate({"audio": x["audio"]}, verbose=0)
    assert same(state, distiller)
    distiller.compile("sgd", metrics=["accuracy"])
    with pytest.raises(ValueError, match=r"the metrics \['accuracy'\]"):
        distiller.fit(x, verbose=0)
    with pytest.raises(ValueError, match="`loss` has nothing to compare"):
        distiller.compile("sgd", "sparse_categorical_crossentropy")
    for loss in (losses.SoftTargets(), losses.InfoNCE(output="tokens")):
        with pytest.raises(ValueError, match="Expected a loss of 'features'"):
            distiller.compile("sgd", distillation_loss=loss)
    two = keras.Input((4,), name="audio")
    heads = keras.Model(two, {"a": layers.Dense(2)(two), "b": two})
    with pytest.raises(ValueError, match="width of the features.*not known"):
        make(student=heads)
    with pytest.raises(ValueError, match="returns \\['a', 'b'\\]"):
        make(student=heads, projector=head()).target({"audio": x["audio"]})


def test_batch_of_one():
    x, _ = make_data(1, **WIDTHS)
    distiller = compiled(BOTH)
    with pytest.raises(ValueError, match="CMCD tells every sample.*batch of 1"):
        distiller.train_on_batch(x)
    # Nothing to tell it from: CMD of one key and CMC of one pair are 0.
    logs = distiller.evaluate(x, verbose=0, return_dict=True)
    np.testing.assert_allclose(list(logs.values()), 0, atol=1e-6)


def test_three_stages_for_segmentation():
    # Bright squares: the photo has two channels of them, the depth map one,
    # with noise.
    rng = np.random.default_rng(0)
    masks = squares(rng, 48)
    noise = rng.normal(size=(2, *masks.shape, 2)).astype("float32")
    x = {
        "photo": masks[..., None] + 0.1 * noise[0],
        "depth": masks[..., None] + 0.3 * noise[1, ..., :1],
    }

    def dense_encoder(modality):
        inputs = keras.Input(x[modality].shape[1:], name=modality)
        features = layers.Conv2D(6, 2, strides=2, activation="relu")(inputs)
        return keras.Model(inputs, {"features": features})

    keras.utils.set_random_seed(0)
    how = {"batch_size": 24, "verbose": 0}
    first = ContrastivePretraining(
        encoder=dense_encoder("photo"), augment=ScaledGaussianNoise(0.3)
    )
    first.compile("adam")
    first.fit({"photo": x["photo"]}, **how)
    second = CMCD(
        student=dense_encoder("depth"),
        teacher=first.encoder,
        teacher_projector=first.projector,
    )
    second.compile("adam")
    second.fit(x, **how)
    third = LinearProbe(second.student, 2, output_size=(8, 8))
    third.compile(keras.optimizers.Adam(0.1), "sparse_categorical_crossentropy")
    before = snapshot(second.student)
    third.fit(x["depth"], masks, epochs=15, **how)
    logits = third.predict(x["depth"], verbose=0)
    assert logits.shape == (48, 8, 8, 2)
    assert np.mean(logits.argmax(-1) == masks) > 0.85
    assert same(before, second.student)
