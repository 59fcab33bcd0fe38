import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from keras_xkd import losses
from keras_xkd.distillers import CrossModalDistiller
from tests.distiller_case import classifier
from tests.distiller_case import make_data
from tests.distiller_case import run_distiller_test
from tests.distiller_case import same
from tests.distiller_case import set_weights
from tests.distiller_case import snapshot
from tests.test_case import assert_golden
from tests.test_case import to_numpy

# An objective on features alone leaves the head untrained, and says so.
UNUSED = pytest.mark.filterwarnings("ignore:No loss term depends on")

CE = "sparse_categorical_crossentropy"
LOGS = ["accuracy", "distillation_loss", "loss", "task_loss"]


def make(**kwargs):
    return CrossModalDistiller(
        student=classifier("audio", 4),
        teacher=classifier("image", 6, hidden=8, batch_norm=True),
        **kwargs,
    )


def test_all_checks(tmp_path):
    x, y = make_data()
    run_distiller_test(
        make,
        lambda: dict(optimizer="adam", loss=CE, metrics=["accuracy"]),
        x,
        y,
        LOGS,
        tmp_path,
    )


@pytest.mark.parametrize(
    "loss",
    [
        losses.SoftTargets(),
        losses.SoftTargets(kind="sigmoid"),
        losses.DecoupledSoftTargets(),
        losses.FeatureMatching(),
        losses.ContrastiveRepresentation(queue=16, negatives=8),
        losses.ContrastiveRepresentation(samples=32, negatives=8),
        losses.RelationalDistance(),
        losses.RelationalAngle(),
        losses.ProbabilisticTransfer(),
        losses.InfoNCE(),
        "mse",
        keras.losses.MeanAbsoluteError(),
    ],
    ids=lambda loss: getattr(loss, "name", loss),
)
def test_every_loss_trains_and_resumes(loss, tmp_path):
    x, y = make_data()
    x["sample_id"] = np.arange(len(y), dtype="int32")
    one = make()
    one.compile("adam", CE, distillation_loss=loss)
    first = one.fit(x, y, batch_size=8, shuffle=False, verbose=0).history
    assert np.all(np.isfinite(list(first.values())))
    path = str(tmp_path / "d.keras")
    one.save(path)
    two = keras.models.load_model(path)
    for model in (one, two):
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    for a, b in zip(one.variables, two.variables, strict=True):
        np.testing.assert_array_equal(to_numpy(a.value), to_numpy(b.value))


class Twin(keras.Model):
    """The same training, written with what stock Keras offers."""

    def __init__(self, student, teacher):
        super().__init__()
        self.student, self.teacher = student, teacher
        teacher.trainable = False
        self.built = True

    def call(self, x, training=None):
        return self.student(x["audio"], training=training)

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        kl = keras.losses.KLDivergence()
        teacher = ops.stop_gradient(self.teacher(x["image"], training=False))
        task = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        soft = kl(ops.softmax(teacher / 4.0), ops.softmax(y_pred / 4.0))
        return 0.1 * task(y, y_pred, sample_weight) + 0.9 * 16.0 * soft


def test_equals_a_twin_in_stock_keras():
    x, y = make_data(64)
    distiller = make()
    set_weights(distiller, seed=1)
    networks = [keras.models.clone_model(distiller.student)]
    networks.append(keras.models.clone_model(distiller.teacher))
    networks[0].set_weights(distiller.student.get_weights())
    networks[1].set_weights(distiller.teacher.get_weights())
    twin = Twin(*networks)
    twin.compile(keras.optimizers.Adam(0.01), loss=CE)
    distiller.compile(keras.optimizers.Adam(0.01), loss=CE)
    arguments = dict(batch_size=16, epochs=3, shuffle=False, verbose=0)
    theirs = twin.fit(x, y, **arguments).history["loss"]
    ours = distiller.fit(x, y, **arguments).history["loss"]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    for a, b in zip(
        distiller.student.get_weights(), twin.student.get_weights(), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_three_epochs_are_the_same_on_every_backend():
    x, y = make_data(48)
    distiller = make()
    set_weights(distiller, seed=2)
    distiller.compile(
        keras.optimizers.Adam(0.01),
        CE,
        distillation_loss={
            "kd": losses.SoftTargets(),
            "features": losses.FeatureMatching(),
        },
    )
    history = distiller.fit(
        x, y, batch_size=16, epochs=3, shuffle=False, verbose=0
    ).history
    for name, values in history.items():
        assert_golden(f"cross_modal/{name}", values)
    weights = [w.ravel() for w in distiller.student.get_weights()]
    # Two backends within 5e-5 of these are within 1e-4 of each other.
    tolerance = dict(rtol=0, atol=5e-5)
    assert_golden("cross_modal/weights", np.concatenate(weights), **tolerance)
    path = "cross_modal/projection"
    assert_golden(
        path, distiller.projections["teacher"]["features"].kernel, **tolerance
    )


def test_zero_when_student_is_teacher():
    student = classifier("audio", 4)
    teacher = keras.models.clone_model(student)
    teacher.set_weights(student.get_weights())
    distiller = CrossModalDistiller(student=student, teacher=teacher)
    distiller.compile(
        "sgd",
        distillation_loss={
            "kd": losses.SoftTargets(),
            "features": losses.FeatureMatching(),
        },
    )
    x, _ = make_data()
    logs = distiller.evaluate(x, verbose=0, return_dict=True)
    np.testing.assert_allclose(list(logs.values()), 0.0, atol=1e-6)


@UNUSED
def test_different_dtypes_and_inputs():
    text = keras.Input((7,), dtype="int32", name="text")
    h = layers.GlobalAveragePooling1D()(layers.Embedding(11, 6)(text))
    teacher = keras.Model(text, layers.Dense(3)(h))
    distiller = CrossModalDistiller(
        student=classifier("audio", 4), teacher=teacher
    )
    distiller.compile("adam", distillation_loss=losses.FeatureMatching())
    x, _ = make_data()
    x["text"] = np.random.default_rng(0).integers(0, 11, (32, 7), "int32")
    history = distiller.fit(x, verbose=0).history
    assert sorted(history) == ["distillation_loss", "loss"]


def test_several_teachers():
    x, y = make_data(audio=4, image=6, text=5)
    image, text = classifier("image", 6), classifier("text", 5)
    for seed, network in enumerate([image, text]):
        set_weights(network, seed)
    student = classifier("audio", 4)
    for teachers, names in [
        ([image, text], ["teacher_0", "teacher_1"]),
        ({"image": image, "text": text}, ["image", "text"]),
    ]:
        d = CrossModalDistiller(student=student, teacher=teachers)
        terms = [f"{name}_distillation" for name in names]
        d.compile(
            "sgd", CE, loss_weights={"task": 0, terms[0]: 0.25, terms[1]: 0.5}
        )
        logs = d.evaluate(x, y, verbose=0, return_dict=True)
        expected = 0.25 * logs[f"{terms[0]}_loss"]
        expected += 0.5 * logs[f"{terms[1]}_loss"]
        np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)
        before = [snapshot(image), snapshot(text)]
        d.fit(x, y, verbose=0)
        assert same(before[0], image) and same(before[1], text)
    defaults = CrossModalDistiller(student=student, teacher=[image, text])
    defaults.compile("sgd", CE)
    assert defaults.loss_weights == {
        "task": 0.1,
        "teacher_0_distillation": 0.45,
        "teacher_1_distillation": 0.45,
    }


@UNUSED
def test_projection_belongs_to_the_distiller_and_is_restored(tmp_path):
    distiller = make()
    projection = distiller.projections["teacher"]["features"]
    student = {id(v) for v in distiller.student.variables}
    assert not student & {id(v) for v in projection.variables}
    distiller.compile("adam", distillation_loss=losses.FeatureMatching())
    trained = {id(v) for v in distiller.trainable_variables}
    assert {id(v) for v in projection.variables} <= trained
    before = np.array(to_numpy(projection.kernel.value))
    x, _ = make_data()
    distiller.fit(x, verbose=0)
    kernel = np.array(to_numpy(projection.kernel.value))
    assert not np.array_equal(before, kernel)
    distiller.save(tmp_path / "d.keras")
    loaded = keras.models.load_model(tmp_path / "d.keras")
    restored = loaded.projections["teacher"]["features"].kernel
    np.testing.assert_array_equal(kernel, to_numpy(restored.value))
    # Where the objective does not read it, it is not trained.
    distiller.compile("adam")
    assert not trained - student & {
        id(v) for v in distiller.trainable_variables
    } or id(projection.kernel) not in {
        id(v) for v in distiller.trainable_variables
    }


@UNUSED
def test_given_projection(tmp_path):
    distiller = make(projections={"features": layers.Dense(8, use_bias=False)})
    distiller.compile("adam", distillation_loss=losses.FeatureMatching())
    x, _ = make_data()
    distiller.fit(x, verbose=0)
    distiller.save(tmp_path / "d.keras")
    loaded = keras.models.load_model(tmp_path / "d.keras")
    assert not loaded.projections["teacher"]["features"].use_bias
    with pytest.raises(ValueError, match="projections"):
        plain = make(projections=None)
        plain.compile("adam", distillation_loss=losses.FeatureMatching())
    with pytest.raises(ValueError, match="nobody"):
        make(projections={"nobody": {"features": layers.Dense(8)}})


def test_features_cost_no_second_forward():
    calls = []

    class Counted(layers.Dense):
        def call(self, x):
            calls.append(1)
            return super().call(x)

    inputs = keras.Input((4,), name="audio")
    outputs = layers.Dense(3)(Counted(5, activation="relu")(inputs))
    distiller = CrossModalDistiller(
        student=keras.Model(inputs, outputs), teacher=classifier("image", 6)
    )
    distiller.compile(
        "sgd",
        CE,
        distillation_loss={
            "kd": losses.SoftTargets(),
            "features": losses.FeatureMatching(),
        },
        run_eagerly=True,
    )
    x, y = make_data(8)
    distiller.fit(x, y, batch_size=8, verbose=0)
    calls.clear()
    distiller.train_on_batch(x, y)
    assert len(calls) == 1


@UNUSED
def test_student_is_the_users_object():
    student = classifier("audio", 4)
    distiller = CrossModalDistiller(
        student=student, teacher=classifier("image", 6, hidden=9)
    )
    distiller.compile("adam", distillation_loss=losses.FeatureMatching())
    assert distiller.student is student
    x, _ = make_data()
    distiller.fit(x, verbose=0)
    assert student.predict(x["audio"], verbose=0).shape == (32, 3)


def test_weights_given_by_name_override_defaults():
    d = make()
    d.compile("sgd", CE, loss_weights={"distillation": 0.5})
    assert d.loss_weights == {"task": 0.1, "distillation": 0.5}


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(loss_weights={"kd": 1.0}), "'distillation', 'task'"),
        (dict(loss_weights=[1.0]), "must be a dict"),
        (dict(loss_weights={"task": "much"}), "must be a number"),
        (dict(optimizer={"critic": "sgd"}), "student"),
        (dict(optimizer=None), "must be a name"),
        (
            dict(
                distillation_loss=losses.ContrastiveRepresentation(queue=16),
                loss_weights={"kd": 1.0},
            ),
            "'distillation', 'task'",
        ),
        (dict(distillation_loss={"task": losses.SoftTargets()}), "'task'"),
        (dict(distillation_loss=losses.SoftTargets(output="tokens")), "tokens"),
        (dict(metrics={"critic": ["accuracy"]}), "critic"),
        (dict(on_nonfinite="stop"), "on_nonfinite"),
        (
            dict(loss=keras.losses.SparseCategoricalCrossentropy()),
            "from_logits=True",
        ),
        (dict(loss={"a": "mse"}), "distillation_loss"),
        (dict(loss="crossentropy"), "Say which"),
        (dict(distillation_loss=[losses.SoftTargets()]), "need names"),
        (dict(distillation_loss=losses.SoftTargets), r"pass `SoftTargets\(\)`"),
        (dict(metrics=[keras.metrics.AUC()]), r"AUC\(from_logits=True\)"),
    ],
)
def test_compile_refuses(arguments, message):
    distiller = make()
    distiller.compile("adam", CE)
    state = snapshot(distiller)
    with pytest.raises(ValueError, match=message):
        distiller.compile(**arguments)
    # It still trains as it was compiled before.
    assert same(state, distiller)
    assert not distiller.companions
    x, y = make_data()
    history = distiller.fit(x, y, verbose=0).history
    assert sorted(history) == ["distillation_loss", "loss", "task_loss"]


def test_a_bare_tensor_is_the_students():
    distiller = CrossModalDistiller(
        student=classifier("audio", 4), teacher=classifier("image", 4)
    )
    distiller.compile("adam", CE)
    x, y = make_data(8, audio=4)
    with pytest.raises(ValueError, match="'image' is missing"):
        distiller.fit(x["audio"], y, verbose=0)
    args = dict(verbose=0, return_dict=True)
    found = distiller.evaluate(x["audio"], y, **args)
    assert found == distiller.evaluate(x, y, **args)


def test_logits_of_other_classes_are_refused():
    distiller = CrossModalDistiller(
        student=classifier("audio", 4), teacher=classifier("image", 6, units=4)
    )
    with pytest.raises(ValueError, match="same classes"):
        distiller.compile("adam")
    distiller.compile("adam", distillation_loss=losses.FeatureMatching())


@pytest.mark.parametrize("end", ["softmax", "sigmoid"])
@pytest.mark.parametrize("how", ["dense", "layer", "operation"])
def test_probabilities_are_refused(end, how):
    inputs = keras.Input((4,), name="audio")
    if how == "dense":
        outputs = layers.Dense(3, activation=end)(inputs)
    elif how == "layer":
        outputs = layers.Activation(end)(layers.Dense(3)(inputs))
    else:
        outputs = getattr(ops, end)(layers.Dense(3)(inputs))
    ended = keras.Model(inputs, outputs)
    for roles in (
        dict(student=ended, teacher=classifier("image", 6)),
        dict(student=classifier("image", 6), teacher=ended),
    ):
        distiller = CrossModalDistiller(**roles)
        with pytest.raises(ValueError, match=f"{end}"):
            distiller.compile("adam", CE)


def test_string_loss_reads_logits():
    inputs = keras.Input((3,), name="audio")
    student = keras.Model(inputs, layers.Identity()(inputs))
    distiller = CrossModalDistiller(
        student=student, teacher=classifier("image", 6)
    )
    logits = np.array([[8.0, 5.0, 1.0]], "float32")
    expected = np.log(np.exp(logits).sum()) - 8.0
    for loss, y in [
        (CE, [0]),
        ("SparseCategoricalCrossentropy", [0]),
        (keras.losses.sparse_categorical_crossentropy, [0]),
        ("categorical_crossentropy", [[1.0, 0.0, 0.0]]),
    ]:
        distiller.compile("sgd", loss)
        logs = distiller.evaluate(
            {"audio": logits}, np.array(y), verbose=0, return_dict=True
        )
        np.testing.assert_allclose(logs["task_loss"], expected, rtol=1e-4)


@UNUSED
def test_labels_missing_where_a_loss_needs_them():
    distiller = make()
    distiller.compile("adam", distillation_loss=losses.DecoupledSoftTargets())
    x, y = make_data()
    state = snapshot(distiller)
    with pytest.raises(ValueError, match="DecoupledSoftTargets needs labels"):
        distiller.fit(x, verbose=0)
    assert same(state, distiller)
    distiller.fit(x, y, verbose=0)


@pytest.mark.parametrize(
    "reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight", None]
)
def test_weights_and_absent_samples_count_once(reduction):
    x, y = make_data(8)
    present = np.array([1, 1, 1, 0, 1, 0, 1, 1], "float32")
    weight = np.linspace(0.5, 3.0, 8).astype("float32")
    distiller = make()
    task = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction=reduction
    )
    kd = losses.SoftTargets(temperature=1.0, reduction=reduction)
    distiller.compile("sgd", task, kd, run_eagerly=True)

    def log_softmax(network, key):
        z = to_numpy(network(x[key]))
        return z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True))

    own = log_softmax(distiller.student, "audio")
    other = log_softmax(distiller.teacher, "image")
    gap = np.sum(np.exp(other) * (other - own), axis=-1)
    entropy = -own[np.arange(8), y]
    sums = {
        "task_loss": (np.sum(weight * entropy), 8, np.sum(weight)),
        "distillation_loss": (
            np.sum(weight * present * gap),
            np.sum(present),
            np.sum(weight * present),
        ),
    }
    logs = distiller.evaluate(
        dict(x, present={"image": present}),
        y,
        sample_weight=weight,
        batch_size=8,
        return_dict=True,
        verbose=0,
    )
    for name, (total, samples, weights) in sums.items():
        size = {"sum": 1, "mean_with_sample_weight": weights}
        expected = total / size.get(reduction, samples)
        np.testing.assert_allclose(logs[name], expected, rtol=1e-4)


@UNUSED
def test_absent_samples_leave_the_losses():
    x, y = make_data(16)
    mask = (np.arange(16) < 10).astype("float32")
    broken = dict(x, image=np.where(mask[:, None] > 0, x["image"], np.nan))
    broken["present"] = {"image": mask}
    part = {k: v[:10] for k, v in x.items()}
    for loss in (
        losses.SoftTargets(),
        losses.InfoNCE(),
        losses.RelationalDistance(),
        losses.RelationalAngle(),
        losses.ProbabilisticTransfer(),
    ):
        distiller = make(projections="auto")
        set_weights(distiller, seed=5)
        distiller.compile("sgd", CE, distillation_loss=loss)
        args = dict(verbose=0, return_dict=True, batch_size=16)
        all_logs = distiller.evaluate(broken, y, **args)
        expected = distiller.evaluate(part, y[:10], **args)
        np.testing.assert_allclose(
            all_logs["distillation_loss"],
            expected["distillation_loss"],
            rtol=1e-4,
            err_msg=loss.name,
        )
        broken["present"] = {"image": np.zeros(16, "float32")}
        none = distiller.evaluate(broken, y, **args)
        np.testing.assert_allclose(none["distillation_loss"], 0.0, atol=1e-7)
        before = snapshot(distiller.student)
        distiller.fit(broken, batch_size=16, verbose=0)
        assert same(before, distiller.student)
        broken["present"] = {"image": mask}


def test_untrained_variables_are_named_once():
    x, _ = make_data()
    distiller = make()
    distiller.compile("adam", distillation_loss=losses.FeatureMatching())
    with pytest.warns(UserWarning, match="head/kernel") as caught:
        distiller.fit(x, epochs=2, verbose=0)
        distiller.fit(x, verbose=0)
    assert len([w for w in caught if "No loss term" in str(w.message)]) == 1
    before = snapshot(distiller.student)
    distiller.compile(
        keras.optimizers.AdamW(weight_decay=0.1),
        distillation_loss=losses.FeatureMatching(),
    )
    with pytest.warns(UserWarning, match="head/kernel"):
        distiller.fit(x, verbose=0)
    # Weight decay moves an unused head on every backend alike.
    assert not np.array_equal(before[2], snapshot(distiller.student)[2])


def test_outputs_without_names_are_refused():
    inputs = keras.Input((6,), name="image")
    listed = keras.Model(inputs, [layers.Dense(3)(inputs), inputs])
    distiller = CrossModalDistiller(
        student=classifier("audio", 4), teacher=listed, projections=None
    )
    with pytest.raises(ValueError, match="2 tensors without names"):
        distiller.compile("adam", CE)


def test_padded_tokens_do_not_count():
    # Inside a step that the backend traces, too.
    text = keras.Input((3,), dtype="int32", name="text")
    embedding = layers.Embedding(9, 4, mask_zero=True)
    student = keras.Model(text, {"tokens": embedding(text)})
    image = keras.Input((3, 4), name="image")
    teacher = keras.Model(image, {"tokens": layers.Identity()(image)})
    distiller = CrossModalDistiller(student=student, teacher=teacher)
    distiller.compile(
        "sgd",
        distillation_loss=losses.FeatureMatching(output="tokens"),
        loss_weights={"distillation": 1.0},
    )
    tokens = np.array([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
    image = np.random.default_rng(0).normal(size=(3, 3, 4)).astype("float32")
    gaps = to_numpy(embedding.weights[0])[tokens] - image
    rows = [np.mean(g[t > 0] ** 2) for g, t in zip(gaps, tokens)]
    expected = np.mean(rows)
    logs = distiller.evaluate(
        {"text": tokens, "image": image}, verbose=0, return_dict=True
    )
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)
