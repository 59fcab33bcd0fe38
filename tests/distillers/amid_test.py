import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from keras_xkd import losses
from keras_xkd.distillers import AMID
from keras_xkd.models import LateFusion
from tests.distiller_case import classifier
from tests.distiller_case import make_data
from tests.distiller_case import moved_by
from tests.distiller_case import run_distiller_test
from tests.distiller_case import same
from tests.distiller_case import set_weights
from tests.distiller_case import snapshot
from tests.test_case import assert_golden
from tests.test_case import to_numpy

CE = "sparse_categorical_crossentropy"
LOGS = [
    "auxiliary_information",
    "auxiliary_nce_loss",
    "auxiliary_task_loss",
    "discriminator_loss",
    "entropy_loss",
    "loss",
    "student_information",
    "student_nce_loss",
    "task_loss",
    "teacher_task_loss",
]


def teacher_network(hidden=7):
    inputs = {n: keras.Input((w,), name=n) for n, w in WIDTHS.items()}
    x = layers.Concatenate()([inputs["audio"], inputs["image"]])
    x = layers.Dense(hidden, activation="tanh")(x)
    return keras.Model(inputs, layers.Dense(3)(x))


WIDTHS = {"audio": 4, "image": 6}


def make(**kwargs):
    return AMID(
        student=classifier("audio", 4, hidden=5),
        teacher=teacher_network(),
        auxiliary=classifier("image", 6, hidden=6),
        projection_dim=4,
        **kwargs,
    )


def adam():
    return {
        "student": keras.optimizers.Adam(0.01),
        "discriminator": keras.optimizers.Adam(0.01),
    }


def test_all_checks(tmp_path):
    x, y = make_data()
    distiller = run_distiller_test(
        make,
        lambda: dict(
            optimizer=adam(), loss=CE, metrics={"teacher": "accuracy"}
        ),
        x,
        y,
        [*LOGS, "teacher_accuracy"],
        tmp_path,
    )
    # The student alone can be evaluated.
    logs = distiller.evaluate({"audio": x["audio"]}, y, return_dict=True)
    assert "task_loss" in logs


def unit(x):
    return x / np.sqrt(np.sum(x**2, axis=-1, keepdims=True))


def cross_entropy(logits, y):
    logits = logits - np.log(np.sum(np.exp(logits), axis=1, keepdims=True))
    return -np.mean(logits[np.arange(len(y)), y])


def reference(distiller, x, y):
    """All terms with plain NumPy."""

    def dense(name, value):
        layer = distiller.projections[name].outer
        return unit(value @ weights(layer)[0] + weights(layer)[1])

    def weights(layer):
        return [np.array(to_numpy(v.value)) for v in layer.weights]

    def network(model, value, activation):
        first, second = [m for m in model.layers if m.weights]
        hidden = activation(value @ weights(first)[0] + weights(first)[1])
        return hidden, hidden @ weights(second)[0] + weights(second)[1]

    def relu(value):
        return np.maximum(value, 0)

    both = np.concatenate([x["audio"], x["image"]], axis=1)
    t, t_logits = network(distiller.teacher, both, np.tanh)
    s, s_logits = network(distiller.student, x["audio"], relu)
    a, a_logits = network(distiller.auxiliary, x["image"], relu)

    def nce(role, own):
        u, v = dense(f"teacher_of_{role}", t), dense(role, own)
        total = 0.0
        for i in range(len(y)):
            for p, q in ((v, u), (u, v)):
                scores = [np.dot(p[i], row) / 0.07 for row in q]
                total -= scores[i] - np.log(np.sum(np.exp(scores)))
        return total / (2 * len(y))

    target = unit(t)
    first, second = distiller.entropy.generator.layers
    guess = relu(s @ weights(first)[0] + weights(first)[1])
    guess = guess @ weights(second)[0] + weights(second)[1]
    terms = {
        "task": cross_entropy(s_logits, y),
        "teacher_task": cross_entropy(t_logits, y),
        "auxiliary_task": cross_entropy(a_logits, y),
        "student_nce": nce("student", s),
        "auxiliary_nce": nce("auxiliary", a),
    }
    if distiller.discriminator is None:
        return terms | {
            "entropy": np.mean(np.sum((target - guess) ** 2, axis=1))
        }

    def judge(pairs):
        d = distiller.discriminator
        for i in range(len(d.kernels)):
            kernel = np.array(to_numpy(d.kernels[i].value))
            right = np.array(to_numpy(d.directions[i].value))
            left = unit(right @ kernel.T)
            right = unit(left @ kernel)
            kernel = kernel / (left @ kernel @ right.T)
            pairs = np.where(pairs > 0, pairs, 0.2 * pairs) if i else pairs
            pairs = pairs @ kernel + np.array(to_numpy(d.biases[i].value))
        return pairs

    real = judge(np.concatenate([target, target], axis=1))
    made_up = judge(np.concatenate([target, guess], axis=1))
    return terms | {
        "entropy": np.mean(np.log1p(np.exp(-made_up))),
        "discriminator": np.mean(
            np.log1p(np.exp(-real)) + np.log1p(np.exp(made_up))
        ),
    }


@pytest.mark.parametrize("entropy", ["adversarial", "gaussian"])
def test_terms_against_numpy(entropy):
    x, y = make_data(8)
    distiller = make(entropy=entropy)
    set_weights(distiller, seed=5)
    distiller.compile("sgd", CE)
    expected = reference(distiller, x, y)
    found = distiller.evaluate(x, y, verbose=0, return_dict=True)
    for name, value in expected.items():
        np.testing.assert_allclose(
            found[f"{name}_loss"], value, rtol=2e-5, err_msg=name
        )
        assert_golden(f"AMID/{entropy}/{name}", found[f"{name}_loss"])
    for role in ("student", "auxiliary"):
        bound = np.log(8) - expected[f"{role}_nce"]
        np.testing.assert_allclose(
            found[f"{role}_information"], bound, rtol=1e-4
        )
    weights = {"entropy": 0.1, "student_nce": 0.8, "auxiliary_nce": 0.8}
    total = sum(
        weights.get(name, 1.0) * value
        for name, value in expected.items()
        if name != "discriminator"
    )
    np.testing.assert_allclose(found["loss"], total, rtol=2e-5)


HEADS = {
    role: {f"{role}_projection", f"teacher_of_{role}_projection"}
    for role in ("student", "auxiliary")
}


def test_each_term_moves_exactly_its_networks():
    x, y = make_data(8)
    distiller = make()
    distiller.compile(adam(), CE)
    routes = {
        "task": {"student"},
        "teacher_task": {"teacher"},
        "auxiliary_task": {"auxiliary"},
        # The teacher is not held fixed: it could not become weak otherwise.
        "student_nce": {"student", "teacher", *HEADS["student"]},
        "auxiliary_nce": {"auxiliary", "teacher", *HEADS["auxiliary"]},
        "entropy": {"student", "conditional_entropy"},
        "discriminator": {"discriminator"},
    }
    for term, networks in routes.items():
        assert moved_by(distiller, term, x, y) == networks, term


@pytest.mark.parametrize("entropy", ["adversarial", "gaussian"])
def test_the_entropy_may_move_the_teacher(entropy):
    x, y = make_data(8)
    distiller = make(entropy=entropy, entropy_moves_teacher=True)
    distiller.compile("adam", CE)
    expected = {"student", "teacher", "conditional_entropy"}
    assert moved_by(distiller, "entropy", x, y) == expected


def test_without_entropy_there_is_one_player():
    x, y = make_data(8)
    distiller = make(entropy=None)
    assert distiller.players == {"student": None}
    distiller.compile({"student": keras.optimizers.Adam()}, CE)
    history = distiller.fit(x, y, verbose=0).history
    assert not {"entropy_loss", "discriminator_loss"} & set(history)
    clone = AMID.from_config(distiller.get_config())
    assert clone.entropy.kind is None and clone.discriminator is None


@pytest.mark.parametrize("memory", [{"queue": 32}, {"samples": 16}])
def test_memory_in_place_of_the_batch(memory, tmp_path):
    x, y = make_data(16)
    x["sample_id"] = np.arange(16, dtype="int32")
    distiller = make()
    distiller.compile(
        "adam",
        CE,
        distillation_loss=losses.ContrastiveRepresentation(
            **memory, negatives=16
        ),
    )
    memories = distiller.companions
    assert set(memories) == {"student_nce", "auxiliary_nce"}
    batch = {name: value[:8] for name, value in x.items()}
    moved = moved_by(distiller, "student_nce", batch, y[:8])
    assert moved == {"student", "teacher", memories["student_nce"].name}
    history = distiller.fit(x, y, batch_size=8, verbose=0).history
    assert np.all(np.isfinite(list(history.values())))
    # Of another estimator no bound is known; the heads have nothing to do.
    assert not [name for name in history if name.endswith("_information")]
    idle = {layer.name for layer in distiller.idle_layers()}
    assert idle == HEADS["student"] | HEADS["auxiliary"]
    path = str(tmp_path / "amid.keras")
    distiller.save(path)
    loaded = keras.models.load_model(path)
    for model in (distiller, loaded):
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    for a, b in zip(distiller.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(to_numpy(a.value), to_numpy(b.value))


@pytest.mark.filterwarnings("ignore:No loss term depends on")  # The heads.
def test_an_estimator_for_each_pair():
    x, y = make_data(8)
    distiller = make()
    distiller.compile(
        "adam",
        distillation_loss={
            "student_nce": losses.InfoNCE(temperature=0.5),
            "auxiliary_nce": losses.RelationalDistance(),
        },
    )
    history = distiller.fit(x, verbose=0).history  # Also without labels.
    assert "student_information" in history
    assert "auxiliary_information" not in history


def test_absent_samples_leave_every_term():
    x, y = make_data(8)
    distiller = make()
    set_weights(distiller)
    metrics = {role: [CE] for role in ("student", "teacher")}
    distiller.compile("sgd", CE, metrics=metrics)
    rows = np.array([1, 1, 1, 1, 1, 0, 1, 0], "float32")
    kept = {k: v[rows > 0] for k, v in x.items()}
    arguments = dict(verbose=0, return_dict=True)
    expected = distiller.evaluate(kept, y[rows > 0], **arguments)
    expected.pop("loss")

    def broken(name):
        values = x[name].copy()
        values[rows == 0] = np.nan
        return {**x, name: values, "present": {name: rows}}

    found = distiller.evaluate(broken("image"), y, **arguments)
    of_student = {"task_loss", f"student_{CE}"}
    for name, value in expected.items():
        close = np.isclose(found[name], value, rtol=1e-5)
        # The student has all of its samples.
        assert close != (name in of_student), name

    alone = broken("audio")
    del alone["image"]
    found = distiller.evaluate(alone, y, **arguments)
    for name in of_student:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5)


def test_sample_weights():
    x, y = make_data(8)
    distiller = make()
    set_weights(distiller)
    distiller.compile("sgd", CE)
    plain = distiller.evaluate(x, y, verbose=0, return_dict=True)
    double = distiller.evaluate(
        x, y, sample_weight=np.full(8, 2.0), verbose=0, return_dict=True
    )
    for name, value in plain.items():
        factor = 1 if name.endswith("_information") else 2
        np.testing.assert_allclose(double[name], factor * value, rtol=1e-5)


class Tokens(keras.Model):
    """A subclassed network, whose graph nobody knows."""

    modalities = ("audio",)

    def __init__(self):
        super().__init__()
        self.hidden, self.head = layers.Dense(5), layers.Dense(3)

    def call(self, x, training=None):
        features = ops.relu(self.hidden(x["audio"]))
        return {"features": features, "logits": self.head(features)}


def test_subclassed_networks():
    x, y = make_data(8)
    student = Tokens()
    student({"audio": x["audio"]})
    distiller = AMID(
        student=student,
        teacher=teacher_network(),
        auxiliary=classifier("image", 6),
    )
    distiller.compile("adam", CE)
    history = distiller.fit(x, y, verbose=0).history
    assert np.all(np.isfinite(list(history.values())))


def test_the_bound_of_a_batch():
    # Equal features of teacher and student: as much as a batch can tell.
    x, y = make_data(4)
    distiller = make()
    distiller.compile(
        "adam", CE, distillation_loss=losses.InfoNCE(temperature=0.001)
    )
    for head in HEADS["student"]:
        layer = distiller.projections[head.removesuffix("_projection")].outer
        layer.kernel.assign(np.eye(*layer.kernel.shape))
    logs = distiller.evaluate(x, y, verbose=0, return_dict=True)
    assert logs["student_information"] <= np.log(4) + 1e-6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(entropy="gauss"), "'adversarial', 'gaussian' or None"),
        (
            dict(entropy="gaussian", discriminator=layers.Dense(1)),
            "belongs to entropy='adversarial'",
        ),
        (dict(discriminator=layers.Dense(2)), "one logit for each pair"),
        (dict(discriminator="x"), "must be a Keras layer.*discriminator='x'"),
        (
            dict(discriminator=layers.Dense(1, activation="sigmoid")),
            "ends in a sigmoid",
        ),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


@pytest.mark.parametrize("wrong", [None, "x", [], layers.Dense(3)])
def test_roles_that_are_no_network(wrong):
    network = classifier("audio", 4)
    with pytest.raises(ValueError, match="`auxiliary` must be one built"):
        AMID(student=network, teacher=network, auxiliary=wrong)


def test_the_teacher_reads_everything():
    student, auxiliary = classifier("audio", 4), classifier("image", 6)
    with pytest.raises(
        ValueError, match=r"reads \['image'\], and not \['audio"
    ):
        AMID(
            student=student,
            teacher=classifier("image", 6),
            auxiliary=auxiliary,
        )


def test_a_network_without_features():
    inputs = keras.Input((4,), name="audio")
    network = keras.Model(inputs, layers.Conv1D(3, 2)(inputs[:, :, None]))
    with pytest.raises(ValueError, match="cannot be found"):
        AMID(student=network, teacher=network, auxiliary=network)
    student, auxiliary = classifier("audio", 4), classifier("image", 6)
    encoders = {"audio": classifier("audio", 4), "image": auxiliary}
    fused = LateFusion(encoders, 3, name="fused")
    with pytest.raises(
        ValueError, match="'features' of 'fused'.*return a dict"
    ):
        AMID(student=student, teacher=fused, auxiliary=auxiliary)


def test_compile_refuses():
    distiller = make()
    with pytest.raises(ValueError, match="one loss, or a dict with the keys"):
        distiller.compile("adam", CE, distillation_loss={"nce": "mse"})
    with pytest.raises(ValueError, match="one for every player"):
        distiller.compile({"student": "adam"}, CE)
    with pytest.raises(ValueError, match=r"names the roles \['discriminator'"):
        distiller.compile("adam", CE, metrics={"discriminator": ["accuracy"]})
    for loss in (losses.CrossModalContrast(), losses.SimilarityDistribution()):
        with pytest.raises(ValueError, match="no gradient into it"):
            distiller.compile("adam", CE, distillation_loss=loss)


def test_batches_of_one():
    x, y = make_data(5)
    distiller = make()
    distiller.compile("adam", CE)
    before = snapshot(distiller)
    with pytest.raises(ValueError, match="a batch needs two or more"):
        distiller.fit(x, y, batch_size=1, verbose=0)
    assert same(before, distiller)
    # The last batch has one sample, which contrasts with nothing.
    history = distiller.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    assert np.all(np.isfinite(list(history.history.values())))
