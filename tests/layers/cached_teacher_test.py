import keras
import numpy as np
import pytest
from keras import layers

from keras_xkd.data import cache_teacher
from keras_xkd.distillers import MKE
from keras_xkd.distillers import UMT
from keras_xkd.distillers import CrossModalDistiller
from keras_xkd.layers import CachedTeacher
from keras_xkd.losses import FeatureMatching
from keras_xkd.models import LateFusion
from keras_xkd.utils import top_logits
from tests.distiller_case import classifier
from tests.distiller_case import make_data
from tests.distiller_case import set_weights
from tests.distiller_case import snapshot
from tests.test_case import to_numpy

LOGITS = {"logits": {"shape": [3]}}


def softmax(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def stored(role="teacher", samples=4, **columns):
    rng = np.random.default_rng(0)
    return {
        "teacher_outputs": {
            role: {
                name: rng.normal(size=(samples, *shape)).astype("float32")
                for name, shape in columns.items()
            }
        }
    }


def test_reads_its_role_and_nothing_else():
    x = stored("audio", logits=(3,), features=(5,))
    x["teacher_outputs"]["video"] = {"logits": np.zeros((4, 3))}
    x["image"] = np.zeros((4, 2))
    logits = x["teacher_outputs"]["audio"]["logits"]
    teacher = CachedTeacher(LOGITS, role="audio", bare=True)
    assert not teacher.weights
    np.testing.assert_array_equal(to_numpy(teacher(x)), logits)
    named = CachedTeacher(LOGITS, role="audio")
    np.testing.assert_array_equal(to_numpy(named(x)["logits"]), logits)
    with pytest.raises(ValueError, match="needs .*'nobody'.* is missing"):
        CachedTeacher(LOGITS, role="nobody")(x)
    with pytest.raises(ValueError, match="'teacher_outputs' is missing"):
        named({"image": x["image"]})


def test_whatever_is_stored_comes_as_float32():
    outputs = {
        "logits": {"shape": [3], "dtype": "float16"},
        "top": {"shape": [], "dtype": "int32"},
    }
    keras.config.set_dtype_policy("mixed_float16")
    x = stored(logits=(3,))["teacher_outputs"]["teacher"]
    x = {"logits": x["logits"].astype("float16"), "top": np.arange(4)}
    found = CachedTeacher(outputs)({"teacher_outputs": {"teacher": x}})
    kinds = {
        n: keras.backend.standardize_dtype(v.dtype) for n, v in found.items()
    }
    assert kinds == {"logits": "float32", "top": "int32"}
    logits = x["logits"].astype("float32")
    np.testing.assert_array_equal(to_numpy(found["logits"]), logits)


@pytest.mark.parametrize("shape", [(6,), (2, 6)])
@pytest.mark.parametrize("k", [1, 4, 6])
def test_largest_logits(shape, k):
    rng = np.random.default_rng(k)
    logits = (3 * rng.normal(size=(5, *shape))).astype("float32")
    logits[0] = 0.0  # A tie.
    parts = top_logits.largest(logits, k)
    assert parts["indices"].shape == (5, *shape[:-1], k)
    x = {f"logits_{name}": value for name, value in parts.items()}
    teacher = CachedTeacher({"logits": {"shape": shape, "top_k": k}}, bare=True)
    found = to_numpy(teacher({"teacher_outputs": {"teacher": x}}))
    assert tuple(teacher.output.shape) == (None, *shape)
    if k == 6:
        np.testing.assert_array_equal(found, logits)
    # Plain loops: those kept as they are, the others as evenly as can be.
    for row, one in zip(
        found.reshape(-1, 6), logits.reshape(-1, 6), strict=True
    ):
        kept = sorted(range(6), key=lambda c: -one[c])[:k]
        expected = softmax(one)
        rest = [c for c in range(6) if c not in kept]
        expected[rest] = expected[rest].mean() if rest else 0
        np.testing.assert_allclose(softmax(row), expected, rtol=1e-5)
        np.testing.assert_array_equal(row[kept], one[kept])


def test_checks_of_the_live_teacher(tmp_path):
    x, y = make_data(6)
    student = classifier("audio", 4)
    inputs = keras.Input((6,), name="image")
    probable = layers.Dense(3, activation="softmax")(inputs)
    for network, match in {
        "squashed": (keras.Model(inputs, probable), "ends in a softmax"),
        "other": (classifier("image", 6, units=4), "of width 3 .* width 4"),
        "tokens": (
            keras.Model(inputs, {"tokens": probable}),
            "'logits' .* are",
        ),
    }.values():
        folder = tmp_path / match[:6]
        cache_teacher(network, (x, y), folder, verbose=0)
        for teacher in (network, CachedTeacher.from_cache(folder)):
            distiller = CrossModalDistiller(student=student, teacher=teacher)
            with pytest.raises(ValueError, match=match):
                distiller.compile("sgd")


def test_projections_are_those_of_the_live_teacher(tmp_path):
    x, y = make_data(6)
    network = classifier("image", 6, hidden=7)
    cache_teacher(network, (x, y), tmp_path, verbose=0)
    shapes = []
    for teacher in (network, CachedTeacher.from_cache(tmp_path)):
        distiller = CrossModalDistiller(
            student=classifier("audio", 4), teacher=teacher
        )
        distiller.compile("sgd", distillation_loss=FeatureMatching())
        (projection,) = distiller.projections["teacher"].values()
        shapes.append((projection.name, tuple(projection.kernel.shape)))
    assert shapes == [("teacher_features_projection", (5, 7))] * 2


def test_save_and_load(tmp_path):
    x, y = make_data(8)
    network = classifier("image", 6)
    x, y = cache_teacher(network, (x, y), tmp_path, top_k=2, verbose=0)
    teacher = CachedTeacher.from_cache(tmp_path)
    config = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(teacher)
    ).get_config()
    assert config == teacher.get_config()
    distiller = CrossModalDistiller(
        student=classifier("audio", 4), teacher=teacher
    )
    distiller.compile("sgd", "sparse_categorical_crossentropy")
    before = distiller.evaluate(x, y, verbose=0, return_dict=True)
    assert sorted(before) == ["distillation_loss", "loss", "task_loss"]
    distiller.save(tmp_path / "distiller.keras")
    loaded = keras.saving.load_model(tmp_path / "distiller.keras")
    after = loaded.evaluate(x, y, verbose=0, return_dict=True)
    np.testing.assert_allclose(
        list(after.values()), list(before.values()), rtol=1e-6
    )
    # A test set for the student alone.
    alone = loaded.evaluate(
        {"audio": x["audio"]}, y, verbose=0, return_dict=True
    )
    assert sorted(alone) == ["loss", "task_loss"]


def test_other_methods(tmp_path):
    x, y = make_data(8)
    teachers = {
        "audio": classifier("audio", 4),
        "image": classifier("image", 6),
    }
    for seed, network in enumerate(teachers.values()):
        set_weights(network, seed)
    cached = cache_teacher(teachers, x, tmp_path, verbose=0)
    stands = {n: CachedTeacher.from_cache(tmp_path, n) for n in teachers}

    def umt(teachers, x):
        encoders = {}
        for name, width in {"audio": 4, "image": 6}.items():
            inputs = keras.Input((width,), name=name)
            encoders[name] = keras.Model(inputs, layers.Dense(5)(inputs))
        distiller = UMT(student=LateFusion(encoders, 3), teachers=teachers)
        distiller.compile(
            keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy"
        )
        return distiller, (x, y)

    def mke(teachers, x):
        inputs = keras.Input((4,), name="audio")
        student = keras.Model(inputs, layers.Dense(3)(inputs))
        distiller = MKE(student=student, teacher=teachers["image"])
        distiller.compile(keras.optimizers.SGD(0.1))
        return distiller, (x,)

    for method in (umt, mke):
        logs, weights = [], []
        for networks, batch in ((teachers, x), (stands, cached)):
            distiller, arguments = method(networks, batch)
            set_weights(distiller.student, 7)
            logs.append(distiller.train_on_batch(*arguments, return_dict=True))
            weights.append(snapshot(distiller.student))
        assert sorted(logs[0]) == sorted(logs[1])
        for name, value in logs[0].items():
            np.testing.assert_allclose(logs[1][name], value, rtol=1e-5)
        for one, other in zip(*weights, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_wrong_outputs():
    for outputs, bare in (({}, False), ({"logits": 3}, False), (
        {"features": {"shape": [3]}}, True,
    )):  # fmt: skip
        with pytest.raises(ValueError, match="`outputs` must be a dict"):
            CachedTeacher(outputs, bare=bare)
