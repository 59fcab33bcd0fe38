import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from keras_xkd.distillers import Distiller
from tests.distiller_case import classifier
from tests.distiller_case import make_data
from tests.distiller_case import run_distiller_test
from tests.distiller_case import same
from tests.distiller_case import set_weights
from tests.distiller_case import snapshot
from tests.distillers.two_players import TwoPlayers
from tests.distillers.two_players import make_two_players
from tests.distributed import problems
from tests.test_case import assert_golden
from tests.test_case import gradient
from tests.test_case import to_numpy

CE = "sparse_categorical_crossentropy"


def optimizers():
    return {
        "student": keras.optimizers.Adam(0.01),
        "critic": keras.optimizers.SGD(0.1),
    }


def test_all_checks_with_two_players(tmp_path):
    x, y = make_data(audio=4)
    run_distiller_test(
        make_two_players,
        lambda: dict(optimizer=optimizers(), loss=CE, metrics=["accuracy"]),
        x,
        y,
        [
            "accuracy",
            "critic_loss",
            "fool_loss",
            "loss",
            "mean_score",
            "task_loss",
        ],
        tmp_path,
    )


def test_two_players_are_the_same_on_every_backend():
    x, y = make_data(48, audio=4)
    distiller = make_two_players()
    set_weights(distiller, seed=2)
    distiller.compile(optimizers(), CE)
    history = distiller.fit(
        x, y, batch_size=16, epochs=3, shuffle=False, verbose=0
    ).history
    for name, values in history.items():
        assert_golden(f"two_players/{name}", values)
    weights = [w.ravel() for w in distiller.get_weights()]
    # Two backends within 5e-5 of these are within 1e-4 of each other.
    assert_golden(
        "two_players/weights", np.concatenate(weights), rtol=0, atol=5e-5
    )


def test_update_is_simultaneous_and_routed():
    """One step equals the gradients of each total, taken by themselves."""
    x, y = make_data(8, audio=4)
    distiller = make_two_players()
    set_weights(distiller, seed=4)
    student, critic = (
        [np.array(to_numpy(v.value)) for v in network.variables]
        for network in (distiller.student, distiller.critic)
    )

    def networks(s, c):
        audio = ops.convert_to_tensor(x["audio"])
        s, c = ([ops.convert_to_tensor(v) for v in values] for values in (s, c))
        h = ops.relu(ops.matmul(audio, s[0]) + s[1])
        logits = ops.matmul(h, s[2]) + s[3]
        h = ops.relu(ops.matmul(logits, c[0]) + c[1])
        return logits, (ops.matmul(h, c[2]) + c[3])[:, 0]

    def student_total(*s):
        logits, scores = networks(s, critic)
        picked = ops.take_along_axis(
            ops.log_softmax(logits), ops.convert_to_tensor(y[:, None]), axis=1
        )
        return ops.mean(-picked) + ops.mean(ops.softplus(-scores))

    def critic_total(*c):
        return ops.mean(ops.softplus(networks(student, c)[1]))

    expected = [
        v - 0.1 * g
        for v, g in zip(student, gradient(student_total, *student), strict=True)
    ] + [
        v - 0.1 * g
        for v, g in zip(critic, gradient(critic_total, *critic), strict=True)
    ]
    distiller.compile(keras.optimizers.SGD(0.1), CE)
    distiller.train_on_batch(x, y)
    got = distiller.student.get_weights() + distiller.critic.get_weights()
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_loss_is_the_first_players_weighted_total():
    x, y = make_data(audio=4)
    distiller = make_two_players()
    distiller.compile("sgd", CE, loss_weights={"task": 0.5, "fool": 0.25})
    logs = distiller.evaluate(x, y, verbose=0, return_dict=True)
    total = 0.5 * logs["task_loss"] + 0.25 * logs["fool_loss"]
    np.testing.assert_allclose(logs["loss"], total, rtol=1e-5)
    with pytest.raises(ValueError, match="'bogus'"):
        distiller.compile("sgd", CE, loss_weights={"bogus": 1.0})
        distiller.fit(x, y, verbose=0)


def test_regularisers_go_to_their_owner():
    def regularised(modality, width, units):
        inputs = keras.Input((width,), name=modality)
        outputs = layers.Dense(
            units, kernel_regularizer=keras.regularizers.L2(0.1)
        )(inputs)
        return keras.Model(
            inputs, layers.ActivityRegularization(l2=0.01)(outputs)
        )

    distiller = TwoPlayers(
        student=regularised("audio", 4, 3), critic=regularised("logits", 3, 1)
    )
    distiller.compile("sgd", CE)
    x, y = make_data(16, audio=4)
    logs = distiller.evaluate(x, y, batch_size=16, verbose=0, return_dict=True)
    kernel = distiller.student.get_weights()[0]
    logits = distiller.student.predict(x["audio"], verbose=0)
    expected = logs["task_loss"] + logs["fool_loss"]
    expected += 0.1 * (kernel**2).sum() + 0.01 * (logits**2).sum() / 16
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)
    before = snapshot(distiller.critic)
    for term in ("task", "fool", "critic"):
        distiller.set_loss_weight(term, 0.0)
    distiller.train_on_batch(x, y)
    # Only the critic's own regularisers moved the critic.
    scores = distiller.critic
    assert not same(before, scores)


@keras.saving.register_keras_serializable(package="tests")
class Missing(TwoPlayers):
    def compute_losses(self, x, y, sample_weight, training):
        outputs, terms, extras = super().compute_losses(
            x, y, sample_weight, training
        )
        del terms["critic"]
        return outputs, terms, extras


def test_player_without_its_term_is_refused():
    student = classifier("audio", 4)
    critic = classifier("logits", 3, units=1)
    distiller = Missing(student=student, critic=critic)
    distiller.compile("sgd", CE)
    x, y = make_data(audio=4)
    state = snapshot(distiller)
    with pytest.raises(ValueError, match="'critic' minimises"):
        distiller.fit(x, y, verbose=0)
    assert same(state, distiller)


class Share(TwoPlayers):
    def player_layers(self, player):
        return [self.student] if player == "student" else [self.student]


class Orphan(TwoPlayers):
    def player_layers(self, player):
        return [self.student] if player == "student" else []


class Nobody(TwoPlayers):
    players = {"student": None, "nobody": ("critic",)}


def test_ownership_is_checked_at_compile():
    for method, message in [
        (Share, "owned by"),
        (Orphan, "No player owns"),
        (Nobody, "'nobody' has no layer.*role of its name"),
    ]:
        distiller = method(
            student=classifier("audio", 4),
            critic=classifier("logits", 3, units=1),
        )
        with pytest.raises(ValueError, match=message):
            distiller.compile("sgd", CE)


class Careless(Distiller):
    """Trains its teacher; or logs what is the name of a loss."""

    logs = {"loss": 1.0, "task_loss": 1.0, "scale": 1.0}

    def compute_losses(self, x, y, sample_weight, training):
        run = self.ask if self.logs else self.run
        run("teacher", x, *([] if self.logs else [training]))
        student = self.run("student", x, training)
        terms = self.task_terms(y, student, sample_weight)
        return {"student": student}, terms, self.logs


def test_careless_methods_are_refused():
    distiller = Careless(
        student=classifier("audio", 4), teacher=classifier("image", 4)
    )
    distiller.compile("sgd", CE)
    x, y = make_data(audio=4, image=4)
    state = snapshot(distiller)
    with pytest.raises(ValueError, match="logs \\['loss', 'task_loss'\\]"):
        distiller.fit(x, y, verbose=0)
    distiller.logs = {}
    distiller.compile("sgd", CE)
    with pytest.raises(ValueError, match="'teacher' is frozen.*`ask`"):
        distiller.fit(x, y, verbose=0)
    assert same(state, distiller)
    distiller.compute_losses(x, y, None, training=False)


def test_masks_of_any_dtype():
    distiller = Careless(
        student=classifier("audio", 4), teacher=classifier("image", 4)
    )
    distiller.compile("sgd", CE)
    x, y = make_data(8, audio=4)
    mask = np.arange(8) < 3
    own = distiller.run("student", x, training=False)
    rest = {"logits": own["logits"][:3]}
    expected = distiller.task_terms(y[:3], rest, None)["task"]
    for kind in ("bool", "int32", "float32"):
        given = mask.astype(kind)
        found = distiller.task_terms(y, own, None, mask=given)["task"]
        np.testing.assert_allclose(to_numpy(found), to_numpy(expected), 1e-5)


def test_metrics_leave_out_samples_without_a_label():
    class SomeLabels(Distiller):
        def labels(self, y):
            return ops.maximum(y, 0), y >= 0

        def compute_losses(self, x, y, sample_weight, training):
            student = self.run("student", x, training)
            terms = self.task_terms(y, student, sample_weight)
            return {"student": student}, terms, {}

    distiller = SomeLabels(student=classifier("audio", 4))
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, ignore_class=-1
    )
    distiller.compile("sgd", loss, metrics=["accuracy"])
    x, y = make_data(8, audio=4)
    labelled = np.array([0, 1, 2, 5, 6])
    some = np.full_like(y, -1)
    some[labelled] = y[labelled]
    found = distiller.evaluate(x, some, verbose=0, return_dict=True)
    best = distiller.predict(x, verbose=0).argmax(axis=-1)
    right = np.mean(best[labelled] == y[labelled])
    np.testing.assert_allclose(found["accuracy"], right, 1e-6)


def test_variable_shared_by_teacher_and_student_is_refused():
    from keras_xkd.distillers import CrossModalDistiller

    shared = layers.Dense(5)
    networks = []
    for modality in ("audio", "image"):
        inputs = keras.Input((4,), name=modality)
        networks.append(keras.Model(inputs, layers.Dense(3)(shared(inputs))))
    distiller = CrossModalDistiller(student=networks[0], teacher=networks[1])
    with pytest.raises(ValueError, match="frozen role 'teacher'"):
        distiller.compile("adam", CE)
    shared.trainable = False
    with pytest.raises(ValueError, match="frozen role 'teacher'"):
        distiller.compile("adam", CE)


def test_shared_layers_train_but_are_not_saved(tmp_path):
    class Auxiliary(Distiller):
        frozen = ()

        def compute_losses(self, x, y, sample_weight, training):
            outputs = {r: self.run(r, x, training) for r in self.named}
            terms = self.task_terms(y, outputs["student"], sample_weight)
            terms |= self.task_terms(
                y, outputs["auxiliary"], sample_weight, name="auxiliary"
            )
            return outputs, terms, {}

    shared = layers.Dense(5)
    networks = []
    for modality in ("audio", "image"):
        inputs = keras.Input((4,), name=modality)
        networks.append(keras.Model(inputs, layers.Dense(3)(shared(inputs))))
    distiller = Auxiliary(student=networks[0], auxiliary=networks[1])
    x, y = make_data(audio=4, image=4)
    # A method can be tried before `compile`: there is no loss of the task.
    assert distiller.compute_losses(x, y, None, training=False)[1] == {}
    distiller.compile("adam", CE)
    distiller.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match="'student' and 'auxiliary' share"):
        distiller.save(tmp_path / "d.keras")
    distiller.student.save(tmp_path / "student.keras")


class Pair(Distiller):
    """Its main role has two networks; each takes `x` as it comes."""

    def compute_losses(self, x, y, sample_weight, training):
        outputs, terms = {}, {}
        for name in ("student_0", "student_1"):
            outputs[name] = self.run(name, x, training)
            terms |= self.task_terms(y, outputs[name], sample_weight, name)
        return outputs, terms, {}


def test_the_main_role_may_be_a_list():
    pair = Pair(student=[classifier("audio", 4), classifier("audio", 4)])
    pair.compile("sgd", CE, run_eagerly=True)
    x, y = make_data(8, audio=4)
    for data in (x, x["audio"]):
        logs = pair.fit(data, y, verbose=0).history
        assert sorted(logs) == ["loss", "student_0_loss", "student_1_loss"]


def test_roles_are_checked():
    student = classifier("audio", 4)
    with pytest.raises(ValueError, match="needs a `student`"):
        Distiller(teacher=student)
    with pytest.raises(ValueError, match="Keras layer or model"):
        Distiller(student="audio")
    with pytest.raises(ValueError, match="not built"):
        Distiller(student=keras.Sequential([layers.Dense(3)]))
    with pytest.raises(ValueError, match="'student' and 'teacher' are the sam"):
        Distiller(student=student, teacher=student)
    with pytest.raises(ValueError, match="no network 'pupil'.*'student'"):
        Distiller(student=student).run("pupil", {}, training=False)
    with pytest.raises(NotImplementedError, match="compute_losses"):
        bare = Distiller(student=student)
        bare.compile("sgd", CE)
        x, y = make_data(audio=4)
        bare.fit(x, y, verbose=0)


def test_nothing_to_train_or_evaluate_is_refused():
    distiller = make_two_players()
    distiller.compile("sgd", CE, distillation_loss=None)
    x, y = make_data(audio=4)

    class Plain(Distiller):
        def compute_losses(self, x, y, sample_weight, training):
            student = self.run("student", x, training)
            terms = self.task_terms(y, student, sample_weight)
            return {"student": student}, terms, {}

    plain = Plain(student=classifier("audio", 4))
    plain.compile("sgd", CE, metrics=["accuracy"])
    with pytest.raises(ValueError, match="no loss term to train"):
        plain.fit(x, verbose=0)
    with pytest.raises(ValueError, match="nothing to evaluate"):
        plain.evaluate(x, verbose=0)
    plain.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match="distillation_loss"):
        plain.compile("sgd", CE, distillation_loss="mse")


def test_metrics_by_role_and_unlabelled_logs():
    from keras_xkd.distillers import CrossModalDistiller

    x, y = make_data()
    distiller = CrossModalDistiller(
        student=classifier("audio", 4), teacher=classifier("image", 6)
    )
    distiller.compile(
        "adam",
        CE,
        metrics={"student": ["accuracy"], "teacher": ["accuracy"]},
        weighted_metrics={"teacher": [keras.metrics.F1Score(name="f1")]},
    )
    one_hot = np.eye(3, dtype="float32")[y]
    distiller.compile(
        "adam",
        "categorical_crossentropy",
        metrics={"student": ["accuracy"], "teacher": ["accuracy"]},
        weighted_metrics={"teacher": [keras.metrics.F1Score(name="f1")]},
    )
    history = distiller.fit(x, one_hot, verbose=0).history
    assert sorted(history) == [
        "distillation_loss",
        "loss",
        "student_accuracy",
        "task_loss",
        "teacher_accuracy",
        "teacher_f1",
    ]
    # Metrics that nothing updated are left out, not reported as zero.
    history = distiller.fit(x, verbose=0).history
    assert sorted(history) == ["distillation_loss", "loss"]
    # The teacher's modality is absent from a test set for the student.
    logs = distiller.evaluate(
        {"audio": x["audio"]}, one_hot, verbose=0, return_dict=True
    )
    assert sorted(logs) == ["loss", "student_accuracy", "task_loss"]
    predicted = distiller.predict(x, verbose=0).argmax(-1)
    np.testing.assert_allclose(
        logs["student_accuracy"], (predicted == y).mean(), rtol=1e-6
    )


def test_binary_accuracy_reads_logits():
    class Plain(Distiller):
        def compute_losses(self, x, y, sample_weight, training):
            student = self.run("student", x, training)
            terms = self.task_terms(y, student, sample_weight)
            return {"student": student}, terms, {}

    inputs = keras.Input((1,), name="audio")
    plain = Plain(student=keras.Model(inputs, layers.Identity()(inputs)))
    plain.compile(
        "sgd", "binary_crossentropy", metrics=["accuracy", "binary_accuracy"]
    )
    logits = np.array([[-2.0], [0.2], [0.7], [-0.1]], "float32")
    y = np.array([0, 1, 1, 1])
    logs = plain.evaluate({"audio": logits}, y, verbose=0, return_dict=True)
    assert logs["accuracy"] == logs["binary_accuracy"] == 0.75
    signs = np.where(y, 1, -1)
    expected = np.log1p(np.exp(-signs * logits[:, 0])).mean()
    np.testing.assert_allclose(logs["task_loss"], expected, rtol=1e-5)


def test_weights_of_unknown_terms_can_be_scheduled():
    from keras_xkd.callbacks import LossWeightSchedule

    x, y = make_data(audio=4)
    distiller = make_two_players()
    distiller.compile("sgd", CE)
    schedule = LossWeightSchedule("fool", lambda epoch: 0.5 * epoch)
    history = distiller.fit(
        x, y, epochs=3, verbose=0, callbacks=[schedule]
    ).history
    assert history["fool_loss_weight"] == [0.0, 0.5, 1.0]
    np.testing.assert_allclose(
        history["loss"][0], history["task_loss"][0], rtol=1e-6
    )
    total = history["task_loss"][2] + history["fool_loss"][2]
    np.testing.assert_allclose(history["loss"][2], total, rtol=1e-6)
    wrong = LossWeightSchedule("bogus", lambda epoch: 0.0)
    with pytest.raises(ValueError, match="'bogus'"):
        distiller.fit(x, y, verbose=0, callbacks=[wrong])
    with pytest.raises(ValueError, match="function"):
        LossWeightSchedule("task", 0.5)


def test_loss_may_be_a_lambda():
    x, y = make_data(audio=4)
    distiller = make_two_players()
    distiller.compile(
        "sgd", lambda y, p: ops.mean(ops.square(p), axis=-1), run_eagerly=True
    )
    logs = distiller.train_on_batch(x, y, return_dict=True)
    assert logs["task_loss"] > 0


def test_weights_of_absent_terms_are_no_error():
    x, y = make_data(audio=4)
    distiller = make_two_players()
    distiller.compile("sgd", CE, loss_weights={"task": 0.5, "fool": 0.1})
    # Without labels there is no term `task`.
    history = distiller.fit(x, verbose=0).history
    assert sorted(history) == ["critic_loss", "fool_loss", "loss", "mean_score"]
    distiller.evaluate(x, y, verbose=0)
    distiller.fit(x, y, verbose=0)
    assert distiller.loss_weights["task"] == 0.5


class Lazy(TwoPlayers):
    def compute_losses(self, x, y, sample_weight, training):
        if not hasattr(self, "late"):
            self.late = layers.Dense(2)
            self.late(np.ones((1, 3), "float32"))
        return super().compute_losses(x, y, sample_weight, training)


def test_layers_made_in_a_step_are_refused():
    x, y = make_data(audio=4)
    distiller = Lazy(
        student=classifier("audio", 4),
        critic=classifier("logits", 3, units=1),
    )
    distiller.compile("sgd", CE)
    with pytest.raises(ValueError, match="after `compile`|non-first call"):
        distiller.fit(x, y, verbose=0)


def test_two_fits_with_averaged_weights():
    x, y = make_data(audio=4)
    distiller = make_two_players()
    distiller.compile(
        {
            "student": keras.optimizers.Adam(0.01, use_ema=True),
            "critic": keras.optimizers.SGD(0.1, use_ema=True),
        },
        CE,
    )
    for _ in range(2):
        history = distiller.fit(x, y, epochs=2, verbose=0).history
        assert np.all(np.isfinite(history["loss"]))


def test_the_loss_comes_first():
    """As with every Keras model, where results are a list."""
    distiller = problems.make("kd")
    x, y, weight = problems.batches("kd")[0]
    how = {"sample_weight": weight, "verbose": 0}
    named = distiller.evaluate(x, y, return_dict=True, **how)
    assert set(named) > {"loss", "accuracy", "task_loss"}
    listed = distiller.evaluate(x, y, **how)
    assert listed[0] == named["loss"]
    assert sorted(listed) == sorted(named.values())
    assert distiller.metrics_names[0] == "loss"
