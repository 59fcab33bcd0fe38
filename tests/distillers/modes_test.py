"""Every way in which a Keras user may feed, compile and run a distiller."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from keras_xkd import losses
from keras_xkd.callbacks import LossWeightSchedule
from keras_xkd.callbacks import StudentCheckpoint
from keras_xkd.distillers import CrossModalDistiller
from tests.distiller_case import classifier
from tests.distiller_case import make_data
from tests.distiller_case import same
from tests.distiller_case import set_weights
from tests.distiller_case import snapshot
from tests.test_case import to_numpy

BACKEND = keras.backend.backend()
CE = "sparse_categorical_crossentropy"
LOGS = ["distillation_loss", "loss", "task_loss"]


def make(seed=1, student=None, teacher=None, **arguments):
    distiller = CrossModalDistiller(
        student=student or classifier("audio", 4),
        teacher=teacher or classifier("image", 6, batch_norm=True),
    )
    set_weights(distiller, seed)
    arguments = dict(optimizer="adam", loss=CE) | arguments
    distiller.compile(**arguments)
    return distiller


def batches(x, y, size=8):
    for i in range(0, len(y), size):
        yield {k: v[i : i + size] for k, v in x.items()}, y[i : i + size]


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.batches = list(batches(x, y))

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def as_tf_data(x, y):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((x, y)).batch(8)


def as_data_loader(x, y):
    import torch

    samples = [({k: v[i] for k, v in x.items()}, y[i]) for i in range(len(y))]
    return torch.utils.data.DataLoader(samples, batch_size=8)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize(
    "source", ["tf.data", "DataLoader", "PyDataset", "generator"]
)
def test_sources_equal_arrays(source):
    x, y = make_data(24)
    distiller = make()
    expected = distiller.fit(
        x, y, batch_size=8, shuffle=False, verbose=0, validation_data=(x, y)
    ).history
    data = {
        "tf.data": lambda: as_tf_data(x, y),
        "DataLoader": lambda: as_data_loader(x, y),
        "PyDataset": lambda: Batches(x, y),
        "generator": lambda: batches(x, y),
    }[source]
    distiller = make()
    history = distiller.fit(
        data(), shuffle=False, verbose=0, validation_data=data()
    ).history
    assert sorted(history) == sorted(LOGS + [f"val_{name}" for name in LOGS])
    for name, values in expected.items():
        np.testing.assert_allclose(
            history[name], values, rtol=1e-4, err_msg=name
        )


def test_labels_may_come_and_go():
    x, y = make_data()
    distiller = make(metrics=["accuracy"])
    unlabelled = sorted(distiller.fit(x, verbose=0).history)
    assert unlabelled == ["distillation_loss", "loss"]
    labelled = distiller.fit(x, y, verbose=0, validation_data=(x,)).history
    assert sorted(labelled) == sorted(
        ["accuracy", *LOGS, "val_distillation_loss", "val_loss"]
    )
    assert sorted(distiller.fit(x, verbose=0).history) == unlabelled


def test_metrics_that_wait_for_data():
    """F1Score makes its variables late, here in the second trace."""
    x, y = make_data()
    one_hot = np.eye(3, dtype="float32")[y]
    distiller = make(
        loss="categorical_crossentropy",
        metrics=[keras.metrics.F1Score(average="macro", name="f1")],
    )
    assert "f1" not in distiller.fit(x, verbose=0).history
    assert "f1" in distiller.fit(x, one_hot, verbose=0).history
    logs = distiller.evaluate(x, one_hot, verbose=0, return_dict=True)
    expected = keras.metrics.F1Score(average="macro")
    expected.update_state(one_hot, distiller.predict(x, verbose=0))
    np.testing.assert_allclose(
        logs["f1"], to_numpy(expected.result()), rtol=1e-5
    )


def expected_task_loss(distiller, x, y, weight):
    logits = distiller.predict(x, verbose=0)
    picked = logits[np.arange(len(y)), y]
    values = np.log(np.exp(logits).sum(-1)) - picked
    return (values * weight).mean()


def test_sample_weight_weights_every_term():
    x, y = make_data(16)
    weight = np.linspace(0, 2, 16).astype("float32")
    distiller = make()
    arguments = dict(verbose=0, return_dict=True, batch_size=16)
    logs = distiller.evaluate(x, y, sample_weight=weight, **arguments)
    np.testing.assert_allclose(
        logs["task_loss"], expected_task_loss(distiller, x, y, weight), 1e-5
    )
    single = [
        distiller.evaluate(
            {k: v[i : i + 1] for k, v in x.items()}, y[i : i + 1], **arguments
        )["distillation_loss"]
        for i in range(16)
    ]
    np.testing.assert_allclose(
        logs["distillation_loss"], np.mean(single * weight), rtol=1e-4
    )
    # In training as well: samples of weight zero do not count.
    weight = (np.arange(16) < 8).astype("float32") * 2
    half = {k: v[:8] for k, v in x.items()}
    one, two = make(optimizer="sgd"), make(optimizer="sgd")
    one.train_on_batch(x, y, sample_weight=weight)
    two.train_on_batch(half, y[:8])
    for a, b in zip(
        one.student.get_weights(), two.student.get_weights(), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_class_weight_is_honoured():
    x, y = make_data(16)
    class_weight = {0: 1.0, 1: 2.0, 2: 0.5}
    weight = np.vectorize(class_weight.get)(y).astype("float32")
    one, two = make(), make()
    one.fit(x, y, class_weight=class_weight, shuffle=False, verbose=0)
    two.fit(x, y, sample_weight=weight, shuffle=False, verbose=0)
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    state = snapshot(one)
    with pytest.raises(ValueError, match="class_weight"):
        one.fit(x, class_weight=class_weight, verbose=0)
    assert same(state, one)


def test_validation_split_and_batch_methods():
    x, y = make_data()
    distiller = make(metrics=["accuracy"])
    history = distiller.fit(x, y, validation_split=0.25, verbose=0).history
    assert "val_accuracy" in history
    names = sorted(["accuracy", *LOGS])
    train = distiller.train_on_batch(x, y, return_dict=True)
    test = distiller.test_on_batch(x, y, return_dict=True)
    assert sorted(train) == sorted(test) == names
    assert len(distiller.train_on_batch(x, y)) == 4
    predictions = distiller.predict_on_batch(x)
    np.testing.assert_allclose(
        predictions, distiller.predict(x, verbose=0), rtol=1e-5
    )


@pytest.mark.parametrize(
    "arguments",
    [
        dict(run_eagerly=True),
        pytest.param(
            dict(jit_compile=True),
            # PyTorch's compiler warns about its own parts.
            marks=pytest.mark.filterwarnings("ignore"),
        ),
        dict(jit_compile=False),
        dict(steps_per_execution=2),
        dict(optimizer=keras.optimizers.Adam(gradient_accumulation_steps=2)),
        dict(optimizer=keras.optimizers.Adam(use_ema=True, ema_momentum=0.9)),
        dict(
            optimizer=keras.optimizers.SGD(
                keras.optimizers.schedules.CosineDecay(0.1, 10)
            )
        ),
        dict(optimizer=keras.optimizers.Adam(clipnorm=0.1)),
        dict(on_nonfinite="raise"),
    ],
    ids=[
        "eager",
        "jit",
        "no_jit",
        "steps_per_execution",
        "accumulation",
        "averages",
        "schedule",
        "clipnorm",
        "on_nonfinite",
    ],
)
def test_compile_modes(arguments):
    if BACKEND == "torch" and "steps_per_execution" in arguments:
        x, y = make_data(64)
        with pytest.raises(ValueError, match="steps_per_execution"):
            make(**arguments).fit(x, y, verbose=0)
        return
    x, y = make_data(32)
    if "optimizer" in arguments:
        config = arguments["optimizer"].get_config()
        arguments = {
            "optimizer": type(arguments["optimizer"]).from_config(config)
        }
    distiller = make(**arguments)
    before = snapshot(distiller.student)
    history = distiller.fit(x, y, batch_size=8, epochs=2, verbose=0).history
    assert sorted(history) == LOGS
    assert np.all(np.isfinite(list(history.values())))
    assert not same(before, distiller.student)


def test_eager_and_compiled_agree():
    x, y = make_data(32)
    results = []
    for eagerly in (True, False):
        distiller = make(run_eagerly=eagerly)
        distiller.fit(x, y, batch_size=8, shuffle=False, verbose=0)
        results.append(distiller.student.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    x, y = make_data(32)
    keras.config.set_dtype_policy(policy)
    distiller = make(
        distillation_loss={
            "kd": losses.SoftTargets(),
            "features": losses.FeatureMatching(),
        }
    )
    scaled = isinstance(
        distiller.optimizer, keras.optimizers.LossScaleOptimizer
    )
    assert scaled == (policy == "mixed_float16")
    before = snapshot(distiller.student)
    history = distiller.fit(x, y, batch_size=8, epochs=3, verbose=0).history
    assert np.all(np.isfinite(list(history.values())))
    assert not same(before, distiller.student)
    assert {v.dtype for v in distiller.trainable_variables} == {"float32"}


def test_callbacks_of_keras(tmp_path):
    x, y = make_data(32)
    distiller = make(metrics=["accuracy"])
    history = distiller.fit(
        x,
        y,
        epochs=3,
        validation_data=(x, y),
        verbose=0,
        callbacks=[
            keras.callbacks.EarlyStopping(
                "val_loss", patience=5, restore_best_weights=True
            ),
            keras.callbacks.EarlyStopping("val_accuracy", patience=5),
            keras.callbacks.ReduceLROnPlateau("val_task_loss", patience=1),
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
            keras.callbacks.ModelCheckpoint(
                tmp_path / "best.keras", monitor="val_accuracy"
            ),
            keras.callbacks.ModelCheckpoint(
                tmp_path / "w.weights.h5", save_weights_only=True
            ),
            keras.callbacks.TerminateOnNaN(),
        ],
    ).history
    assert "learning_rate" in history
    assert "val_accuracy" in (tmp_path / "log.csv").read_text()
    loaded = keras.models.load_model(tmp_path / "best.keras")
    assert loaded.predict(x, verbose=0).shape == (32, 3)
    fresh = make(seed=9)
    fresh.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_allclose(
        fresh.student.get_weights()[0],
        loaded.student.get_weights()[0],
        atol=1e-6,
    )


def test_student_checkpoint(tmp_path):
    x, y = make_data(32)
    distiller = make(metrics=["accuracy"])
    path = tmp_path / "student.keras"
    distiller.fit(
        x,
        y,
        epochs=2,
        validation_data=(x, y),
        verbose=0,
        callbacks=[StudentCheckpoint(path, monitor="val_loss")],
    )
    student = keras.models.load_model(path)
    np.testing.assert_allclose(
        student.predict(x["audio"], verbose=0),
        distiller.predict(x, verbose=0),
        rtol=1e-5,
    )
    names = {layer.name for layer in student.layers}
    assert not any("batch_normalization" in name for name in names)
    best = tmp_path / "best.weights.h5"
    distiller.fit(
        x,
        y,
        verbose=0,
        callbacks=[
            StudentCheckpoint(best, save_weights_only=True, save_freq=1)
        ],
    )
    student.load_weights(best)
    np.testing.assert_array_equal(
        student.get_weights()[0], distiller.student.get_weights()[0]
    )


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.Adam(0.01),
        lambda: {"student": keras.optimizers.Adam(0.01)},
        lambda: keras.optimizers.Adam(0.01, use_ema=True),
        lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=3),
    ],
    ids=["adam", "dict", "ema", "accumulation"],
)
def test_resume_equals_an_uninterrupted_run(optimizer, tmp_path):
    x, y = make_data(32)
    arguments = dict(batch_size=8, shuffle=False, verbose=0)

    def new(seed=1):
        keras.utils.set_random_seed(seed)
        return make(
            optimizer=optimizer(),
            distillation_loss=losses.FeatureMatching(),
            student=classifier("audio", 4, dropout=0.3),
            teacher=classifier("image", 6, hidden=8),
        )

    whole = new()
    whole.fit(x, y, epochs=4, **arguments)

    class Crash(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise RuntimeError("crash")

    backup = tmp_path / "backup"
    first = new()
    with pytest.raises(RuntimeError, match="crash"):
        first.fit(
            x,
            y,
            epochs=4,
            callbacks=[keras.callbacks.BackupAndRestore(backup), Crash()],
            **arguments,
        )
    second = new(seed=2)
    set_weights(second, seed=99)
    second.fit(
        x,
        y,
        epochs=4,
        callbacks=[keras.callbacks.BackupAndRestore(backup)],
        **arguments,
    )
    for a, b in zip(whole.variables, second.variables, strict=True):
        np.testing.assert_array_equal(to_numpy(a.value), to_numpy(b.value))


def test_teacher_keeps_its_flags_and_runs_in_inference():
    inputs = keras.Input((6,), name="image")
    h = layers.BatchNormalization()(inputs)
    h = layers.Dropout(0.5)(layers.Dense(8)(h))
    teacher = keras.Model(inputs, layers.Dense(3)(h))
    distiller = make(teacher=teacher)
    before = snapshot(teacher)
    x, y = make_data(32)
    distiller.fit(x, y, verbose=0)
    distiller.fit(x, y, verbose=0)
    assert same(before, teacher)
    assert all(layer.trainable for layer in teacher.layers)
    assert len(teacher.trainable_variables) == 6
    asked = distiller.ask(
        "teacher", {"image": ops.convert_to_tensor(x["image"])}
    )
    np.testing.assert_allclose(
        to_numpy(asked["logits"]),
        teacher.predict(x["image"], verbose=0),
        rtol=1e-4,
        atol=1e-6,
    )


def test_random_state_of_the_teacher_stays():
    """Recurrent dropout draws in inference too, on two backends."""
    inputs = keras.Input((5, 2), name="image")
    h = layers.LSTM(3, dropout=0.5, recurrent_dropout=0.5)(inputs)
    teacher = keras.Model(inputs, layers.Dense(3)(h))
    distiller = CrossModalDistiller(
        student=classifier("audio", 4), teacher=teacher
    )
    distiller.compile("adam", CE)
    before = [np.array(to_numpy(v.value)) for v in teacher.variables]
    x, y = make_data(8)
    x["image"] = np.ones((8, 5, 2), "float32")
    distiller.fit(x, y, validation_data=(x, y), verbose=0)
    for old, variable in zip(before, teacher.variables, strict=True):
        np.testing.assert_array_equal(old, to_numpy(variable.value))


def test_nonfinite_loss_stops_before_any_weight_changes():
    x, y = make_data(16)
    distiller = make(
        on_nonfinite="raise",
        student=classifier("audio", 4, batch_norm=True),
    )
    weight = np.ones(16, "float32")
    distiller.fit(x, y, sample_weight=weight, verbose=0)
    weight[3] = np.inf
    state = snapshot(distiller)
    iterations = int(to_numpy(distiller.optimizer.iterations.value))
    with pytest.raises(ValueError, match="task_loss"):
        distiller.fit(x, y, sample_weight=weight, verbose=0)
    assert same(state, distiller)
    with pytest.raises(ValueError, match="task_loss"):
        distiller.train_on_batch(x, y, sample_weight=weight)
    assert same(state, distiller)
    assert iterations == int(to_numpy(distiller.optimizer.iterations.value))
    distiller.fit(x, y, verbose=0)
    assert not same(state, distiller)


@pytest.mark.parametrize("kind", ["arrays", "tf.data", "PyDataset"])
def test_empty_data_is_refused(kind):
    x, y = make_data(8)
    none = {k: v[:0] for k, v in x.items()}
    data = {
        "arrays": lambda: (none, y[:0]),
        "tf.data": lambda: (as_tf_data(none, y[:0]),),
        "PyDataset": lambda: (Batches(none, y[:0]),),
    }[kind]
    distiller = make()
    for method in (distiller.fit, distiller.evaluate):
        with pytest.raises(ValueError, match="empty"):
            method(*data(), verbose=0)
    distiller.fit(x, y, verbose=0)


def test_batch_sizes_must_agree():
    x, y = make_data(8)

    def wrong():
        yield {**x, "image": x["image"][:5]}, y

    distiller = make()
    state = snapshot(distiller)
    with pytest.raises(ValueError, match="same number of samples"):
        distiller.fit(wrong(), shuffle=False, verbose=0)
    assert same(state, distiller)
    distiller.fit(x, y, verbose=0)


def test_warm_up_of_a_term():
    x, y = make_data()
    distiller = make(distillation_loss=losses.DecoupledSoftTargets())
    history = distiller.fit(
        x,
        y,
        epochs=4,
        verbose=0,
        callbacks=[LossWeightSchedule.linear_warm_up("distillation", 1.0, 2)],
    ).history
    assert history["distillation_loss_weight"] == [0.5, 1.0, 1.0, 1.0]
    expected = [
        0.1 * task + weight * kd
        for task, kd, weight in zip(
            history["task_loss"],
            history["distillation_loss"],
            history["distillation_loss_weight"],
            strict=True,
        )
    ]
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-4)


def test_loss_weights_are_saved(tmp_path):
    distiller = make()
    distiller.set_loss_weight("task", 0.7)
    distiller.save(tmp_path / "d.keras")
    loaded = keras.models.load_model(tmp_path / "d.keras")
    assert loaded.loss_weights == {"task": 0.7, "distillation": 0.9}
    # Weights alone can be loaded without having compiled.
    distiller.save_weights(tmp_path / "d.weights.h5")
    bare = CrossModalDistiller(
        student=classifier("audio", 4),
        teacher=classifier("image", 6, batch_norm=True),
    )
    bare.load_weights(tmp_path / "d.weights.h5")
    assert same(snapshot(distiller.student), bare.student)


def test_masked_text_student():
    inputs = keras.Input((5,), dtype="int32", name="text")
    h = layers.Embedding(9, 4, mask_zero=True)(inputs)
    h = layers.LSTM(5)(h)
    student = keras.Model(inputs, layers.Dense(3)(h))
    distiller = CrossModalDistiller(
        student=student, teacher=classifier("image", 6)
    )
    distiller.compile("adam", CE)
    x, y = make_data()
    x["text"] = np.random.default_rng(0).integers(0, 9, (32, 5), "int32")
    history = distiller.fit(x, y, verbose=0).history
    assert sorted(history) == LOGS


def test_subclassed_networks():
    @keras.saving.register_keras_serializable(package="tests")
    class Net(keras.Model):
        modalities = ("audio",)

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.hidden = layers.Dense(5, activation="relu")
            self.head = layers.Dense(3)

        def call(self, x):
            features = self.hidden(x["audio"])
            return {"logits": self.head(features), "features": features}

    x, y = make_data()
    student = Net()
    student({"audio": x["audio"]})
    distiller = CrossModalDistiller(
        student=student, teacher=classifier("image", 6)
    )
    distiller.compile(
        "adam",
        CE,
        distillation_loss=losses.FeatureMatching(),
        metrics=["accuracy"],
    )
    distiller.fit(x, y, verbose=0)
    assert distiller.predict(x, verbose=0)["logits"].shape == (32, 3)
