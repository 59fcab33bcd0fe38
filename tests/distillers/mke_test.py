import types

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from keras_xkd import losses
from keras_xkd.distillers import MKE
from keras_xkd.layers import ModalityDropout
from keras_xkd.layers import ScaledGaussianNoise
from keras_xkd.utils.perturbing import Perturbing
from tests.distiller_case import classifier
from tests.distiller_case import make_data
from tests.distiller_case import moved_by
from tests.distiller_case import run_distiller_test
from tests.distiller_case import same
from tests.distiller_case import set_weights
from tests.distiller_case import snapshot
from tests.test_case import assert_golden
from tests.test_case import to_numpy

LOGS = ["agreement", "loss", "pseudo_label_loss"]


def multimodal(units=3, batch_norm=False):
    """A student that reads audio and image."""
    audio = keras.Input((4,), name="audio")
    image = keras.Input((6,), name="image")
    h = layers.Concatenate()([audio, image])
    h = layers.Dense(5, activation="relu")(h)
    if batch_norm:
        h = layers.BatchNormalization()(h)
    outputs = layers.Dense(units)(h)
    return keras.Model({"audio": audio, "image": image}, outputs)


def make(units=3, seed=1, compiled=None, batch_norm=False, **kwargs):
    distiller = MKE(
        student=multimodal(units, batch_norm),
        teacher=classifier("image", 6, units=units, batch_norm=True),
        **kwargs,
    )
    set_weights(distiller, seed)
    if compiled is not None:
        distiller.compile(**({"optimizer": "adam"} | compiled))
    return distiller


@keras.saving.register_keras_serializable(package="tests")
def shift(value):
    return value + 0.5


def test_all_checks(tmp_path):
    x, _ = make_data()
    distiller = run_distiller_test(
        lambda: make(
            perturbation=[
                {"audio": layers.GaussianNoise(0.5), "image": shift},
                ScaledGaussianNoise(seed=3),
                ModalityDropout(0.3, seed=4),
            ]
        ),
        lambda: dict(optimizer="adam", metrics=["accuracy"]),
        x,
        None,
        LOGS,
        tmp_path,
    )
    assert not {id(v) for v in distiller.perturb.layers} & {
        id(v) for v in distiller.trainable_variables
    }


def softmax(z):
    p = np.exp(z - z.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def reference_step(weights, images, audio, y, rate, soft=False):
    """One step of gradient descent of the student, by hand."""
    kernel, bias, head, head_bias = (w.astype("float64") for w in weights)
    inputs = np.concatenate([audio, images], axis=1)
    hidden = inputs @ kernel + bias
    active = np.maximum(hidden, 0)
    p = softmax(active @ head + head_bias)
    labels = y if soft else np.eye(3)[y]
    loss = -(labels * np.log(p)).sum(1).mean()
    error = (p - labels) / len(y)
    back = error @ head.T * (hidden > 0)
    gradients = [
        inputs.T @ back,
        back.sum(0),
        active.T @ error,
        error.sum(0),
    ]
    new = [
        w - rate * g
        for w, g in zip((kernel, bias, head, head_bias), gradients, strict=True)
    ]
    return loss, p.argmax(1), new


@pytest.mark.parametrize("labels", ["hard", "soft"])
def test_a_step_equals_numpy(labels):
    x, _ = make_data(8)
    distiller = make(
        perturbation={"image": shift},
        labels=labels,
        compiled=dict(optimizer=keras.optimizers.SGD(0.1)),
    )
    frozen = snapshot(distiller.teacher)
    teacher = distiller.teacher.predict(x["image"], verbose=0)
    y = softmax(teacher) if labels == "soft" else teacher.argmax(1)
    loss, predicted, expected = reference_step(
        distiller.student.get_weights(),
        x["image"] + 0.5,
        x["audio"],
        y,
        0.1,
        labels == "soft",
    )
    logs = distiller.train_on_batch(x, return_dict=True)
    assert sorted(logs) == LOGS
    np.testing.assert_allclose(logs["pseudo_label_loss"], loss, rtol=1e-5)
    np.testing.assert_allclose(
        logs["agreement"], (predicted == teacher.argmax(1)).mean(), rtol=1e-6
    )
    found = distiller.student.get_weights()
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)
    assert same(frozen, distiller.teacher)
    if labels == "hard":
        assert_golden("mke/step", logs["loss"])
    else:
        assert_golden("mke/soft_step", logs["loss"])


def test_validation_has_real_labels():
    x, y = make_data()
    distiller = make(
        perturbation=ScaledGaussianNoise(5.0),
        compiled=dict(
            metrics={"student": ["accuracy"], "teacher": ["accuracy"]}
        ),
    )
    history = distiller.fit(x, validation_data=(x, y), verbose=0).history
    own = ["loss", "student_accuracy", "task_loss", "teacher_accuracy"]
    assert sorted(history) == LOGS + [f"val_{name}" for name in own]
    logs = distiller.evaluate(x, y, verbose=0, return_dict=True)
    assert sorted(logs) == own
    for role in ("student", "teacher"):
        network = getattr(distiller, role)
        inputs = x if role == "student" else x["image"]
        right = network.predict(inputs, verbose=0).argmax(1) == y
        np.testing.assert_allclose(
            logs[f"{role}_accuracy"], right.mean(), rtol=1e-6
        )
    # Without labels, the teacher's: on clean inputs, as in prediction.
    logs = distiller.evaluate(x, verbose=0, return_dict=True)
    assert sorted(logs) == LOGS
    predicted = distiller.predict(x, verbose=0).argmax(1)
    teacher = distiller.teacher.predict(x["image"], verbose=0).argmax(1)
    np.testing.assert_allclose(
        logs["agreement"], (predicted == teacher).mean(), rtol=1e-6
    )


def test_a_student_of_clean_inputs_copies_its_teacher():
    x, _ = make_data(64)
    found = []
    for noise in (None, {"image": ScaledGaussianNoise(20.0, seed=1)}):
        adam = keras.optimizers.Adam(0.05)
        distiller = make(perturbation=noise, compiled=dict(optimizer=adam))
        set_weights(distiller.teacher, seed=6, scale=1.0)  # All classes.
        steps = ((x,) for _ in range(60))
        distiller.fit(steps, steps_per_epoch=60, shuffle=False, verbose=0)
        logs = distiller.evaluate(x, verbose=0, return_dict=True)
        found.append(float(logs["agreement"]))
    assert found[0] > 0.98 and found[1] < 0.9


def test_perturbation_changes_with_every_step_and_goes_on_after_loading(
    tmp_path,
):
    x, _ = make_data(8)
    drawn = []

    def spy(value):
        keep = keras.ops.convert_to_numpy
        drawn.append(keep(ops.stop_gradient(value)))
        return value

    noise = ScaledGaussianNoise(seed=2)
    distiller = make(
        perturbation={"audio": noise},
        compiled=dict(run_eagerly=True),
    )
    distiller.perturb.steps.append((("audio",), spy))
    for _ in range(2):
        distiller.train_on_batch(x)
    drawn = drawn[-2:]
    assert not np.allclose(drawn[0], drawn[1])
    distiller.perturb.steps.pop()
    path = tmp_path / "mke.keras"
    distiller.save(path)
    loaded = keras.models.load_model(path)
    state = loaded.perturbation["audio"].seed_generator.state
    assert noise is not loaded.perturbation["audio"]
    np.testing.assert_array_equal(
        to_numpy(state), to_numpy(noise.seed_generator.state)
    )


def test_each_term_trains_the_student_alone():
    x, _ = make_data(8)
    distiller = make(
        perturbation=ScaledGaussianNoise(seed=1),
        compiled=dict(distillation_loss=losses.SoftTargets()),
    )
    assert distiller.loss_weights == {
        "pseudo_label": 1.0,
        "consistency": 1.0,
        "task": 1.0,
    }
    for term in ("pseudo_label", "consistency"):
        assert moved_by(distiller, term, x) == {"student"}
    assert moved_by(distiller, "task", x) == set()


def test_consistency_compares_with_the_student_on_clean_inputs():
    x, _ = make_data(8)
    distiller = make(
        batch_norm=True,
        perturbation={"image": shift},
        compiled=dict(
            distillation_loss={
                "gap": losses.Matching("mse", output="logits"),
                "inner": losses.FeatureMatching(),
            },
        ),
    )
    inner = keras.Model(
        distiller.student.input, distiller.student.layers[-1].input
    )
    moved = {**x, "image": x["image"] + 0.5}
    models = {"gap": distiller.student, "inner": inner}
    expected = {n: m.predict(x, verbose=0) for n, m in models.items()}
    for name, model in models.items():
        # The perturbed run normalises by the batch, the clean one does not.
        perturbed = to_numpy(model(moved, training=True))
        expected[name] = np.square(expected[name] - perturbed).mean()
    set_weights(distiller, 1)  # Moving statistics as before.
    logs = distiller.train_on_batch(x, return_dict=True)
    for name, value in expected.items():
        np.testing.assert_allclose(logs[f"{name}_loss"], value, rtol=1e-4)
    total = sum(logs[f"{n}_loss"] for n in (*models, "pseudo_label"))
    np.testing.assert_allclose(logs["loss"], total, rtol=1e-5)


def test_multi_label():
    x, _ = make_data(8)
    y = np.random.default_rng(0).integers(0, 2, (8, 3)).astype("float32")
    for labels in ("hard", "soft"):
        distiller = make(
            perturbation={"image": shift},
            labels=labels,
            compiled=dict(loss="binary_crossentropy", metrics=["accuracy"]),
        )
        teacher = distiller.teacher.predict(x["image"], verbose=0)
        moved = {**x, "image": x["image"] + 0.5}
        logits = distiller.student.predict(moved, verbose=0)
        p = 1 / (1 + np.exp(-logits))
        t = 1 / (1 + np.exp(-teacher)) if labels == "soft" else teacher > 0
        expected = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
        logs = distiller.train_on_batch(x, return_dict=True)
        np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)
        np.testing.assert_allclose(
            logs["agreement"], ((logits > 0) == (teacher > 0)).mean(), rtol=1e-6
        )
    logs = distiller.evaluate(x, y, verbose=0, return_dict=True)
    assert sorted(logs) == ["accuracy", "loss", "task_loss"]


def test_one_hot_pseudo_labels_equal_class_numbers():
    x, _ = make_data(8)
    names = ("sparse_categorical_crossentropy", "categorical_crossentropy")
    logs = [
        make(compiled=dict(loss=name)).train_on_batch(x, return_dict=True)
        for name in names
    ]
    for name in LOGS:
        np.testing.assert_allclose(logs[0][name], logs[1][name], rtol=1e-6)


def test_absent_samples():
    x, y = make_data(16)
    mask = (np.arange(16) < 10).astype("float32")
    part = {k: v[:10] for k, v in x.items()}
    weights = []
    for data in (
        {
            "audio": x["audio"],
            "image": np.where(mask[:, None] > 0, x["image"], np.nan),
            "present": {"image": mask},
        },
        part,
    ):
        distiller = make(
            perturbation={"image": shift},
            compiled=dict(optimizer="sgd", distillation_loss="mse"),
        )
        logs = distiller.train_on_batch(data, return_dict=True)
        weights.append((distiller.student.get_weights(), logs))
    for one, two in zip(weights[0][0], weights[1][0], strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)
    for name in [*LOGS, "consistency_loss"]:
        np.testing.assert_allclose(
            weights[0][1][name], weights[1][1][name], rtol=1e-5
        )


def test_modality_dropout_sees_what_is_absent():
    """Audio is always dropped, but where the image is absent anyway."""
    x, _ = make_data(8)
    mask = (np.arange(8) < 5).astype("float32")
    x["present"] = {"image": mask, "audio": np.ones(8, "float32")}
    distiller = make(compiled={})
    without = {**x, "audio": np.zeros_like(x["audio"])}
    expected = distiller.evaluate(without, verbose=0, return_dict=True)
    dropped = make(
        perturbation=ModalityDropout({"audio": 1.0}), compiled={}
    ).train_on_batch(x, return_dict=True)
    for name in LOGS:
        np.testing.assert_allclose(dropped[name], expected[name], rtol=1e-5)
    kept, _, _ = distiller.perturb(x, None, {}, distiller.plan)
    assert kept is x  # There is nothing to do.
    seen, _, _ = make(perturbation=ModalityDropout({"audio": 1.0})).perturb(
        x, np.zeros(8), {}, distiller.plan
    )
    audio = to_numpy(seen["audio"])
    np.testing.assert_array_equal(audio[:5], 0)
    np.testing.assert_array_equal(audio[5:], x["audio"][5:])
    np.testing.assert_array_equal(to_numpy(seen["present"]["audio"]), 1 - mask)


def segmenter(names, seed, classes=3, filters=2):
    """A network for images of 6 x 6 pixels, where each pixel has a class."""
    inputs = {name: keras.Input((6, 6, 2), name=name) for name in names}
    h = list(inputs.values())
    h = layers.Concatenate()(h) if h[1:] else h[0]
    h = layers.Conv2D(filters, 3, padding="same", activation="tanh")(h)
    model = keras.Model(inputs, layers.Conv2D(classes, 1)(h))
    set_weights(model, seed, scale=1.0)
    return model


def scenes(samples=4):
    rng = np.random.default_rng(0)
    shape = (samples, 6, 6, 2)
    return {
        name: rng.normal(size=shape).astype("float32")
        for name in ("depth", "image")
    }


def pixelwise(logits, labels):
    """Cross-entropy of every pixel, averaged."""
    p = softmax(logits)
    if labels.ndim == 3:
        labels = np.eye(3)[labels]
    return -(labels * np.log(p)).sum(-1).mean()


FLIP = [slice(None), slice(None), slice(None, None, -1)]


@pytest.mark.parametrize("labels", ["hard", "soft"])
def test_segmentation_flips_pseudo_labels_with_all_images(labels):
    x = scenes()
    distiller = MKE(
        student=segmenter(["depth", "image"], 1),
        teacher=segmenter(["image"], 2),
        perturbation=layers.RandomFlip("horizontal", seed=5),
        labels=labels,
    )
    distiller.compile("sgd", distillation_loss=losses.Matching("mse", "logits"))
    teacher = distiller.teacher.predict({"image": x["image"]}, verbose=0)
    y = softmax(teacher) if labels == "soft" else teacher.argmax(-1)
    clean = distiller.student.predict(x, verbose=0)
    # Which samples are flipped is found by trying all.
    candidates = {}
    for code in range(2 ** len(y)):
        flipped = [bool(code >> i & 1) for i in range(len(y))]
        choose = np.reshape(flipped, (-1, 1, 1, 1))
        data = {k: np.where(choose, v[tuple(FLIP)], v) for k, v in x.items()}
        mask = choose if y.ndim == 4 else choose[..., 0]
        labels_moved = np.where(mask, y[tuple(FLIP)], y)
        logits = distiller.student.predict(data, verbose=0)
        candidates[code] = (
            pixelwise(logits, labels_moved),
            np.square(
                logits - np.where(choose, clean[tuple(FLIP)], clean)
            ).mean(),
        )
    logs = distiller.train_on_batch(x, return_dict=True)
    found = [
        code
        for code, (loss, gap) in candidates.items()
        if np.isclose(loss, logs["pseudo_label_loss"], rtol=1e-5)
        and np.isclose(gap, logs["consistency_loss"], rtol=1e-4)
    ]
    assert len(found) == 1 and found[0] not in (0, 15), found


def test_colours_leave_pseudo_labels_and_may_be_of_one_modality():
    x = scenes()
    distiller = MKE(
        student=segmenter(["depth", "image"], 1),
        teacher=segmenter(["image"], 2),
        perturbation={
            "image": layers.Pipeline(
                [layers.RandomBrightness(1.0, (0, 1)), layers.GaussianNoise(1)]
            )
        },
    )
    distiller.compile("sgd")
    distiller.fit(x, epochs=2, verbose=0)
    wrong = MKE(
        student=distiller.student,
        teacher=distiller.teacher,
        perturbation={"image": layers.RandomFlip("horizontal")},
    )
    wrong.compile("sgd")
    with pytest.raises(ValueError, match=r"moves \['image'\].*not \['depth'\]"):
        wrong.fit(x, verbose=0)


def test_whole_numbers_are_not_cut_off():
    """Bytes made brighter than 255, or between two numbers, stay so."""
    x = {"image": np.full((2, 6, 6, 2), 250, "uint8")}
    student = segmenter(["image"], 1)
    brighter = layers.RandomBrightness((0.1, 0.1), value_range=(0, 1000))
    distiller = MKE(
        student=student, teacher=segmenter(["image"], 2), perturbation=brighter
    )
    distiller.compile("sgd")
    y = ops.zeros((2, 6, 6), "int32")
    found, _, _ = distiller.perturb(x, y, {}, distiller.plan)
    np.testing.assert_allclose(to_numpy(found["image"]), 350)


def test_layers_for_rgb_alone():
    x = {n: np.full((2, 4, 4, 3), 9, "uint8") for n in ("depth", "image")}
    student = layers.Layer()
    student.modalities = ("depth", "image")
    y = ops.zeros((2,), "int32")
    plan = types.SimpleNamespace(kind="sparse", pairs={})
    hue = layers.RandomHue(0.5, value_range=(0, 255))
    with pytest.raises(
        ValueError, match="'random_hue' .*'depth', 'image'.*RGB"
    ):
        Perturbing(hue, student)(x, y, {}, plan)
    apart = Perturbing(dict.fromkeys(x, hue), student)
    found, _, _ = apart(x, y, {}, plan)
    np.testing.assert_allclose(to_numpy(found["depth"]), 9, atol=0.1)


def test_segmentation_honours_presence_and_sample_weight():
    x = scenes()
    distiller = MKE(
        student=segmenter(["depth", "image"], 1),
        teacher=segmenter(["image"], 2),
    )
    distiller.compile("sgd")
    part = {name: value[:3] for name, value in x.items()}
    expected = distiller.evaluate(part, verbose=0, return_dict=True)
    weight = np.array([1, 1, 1, 0], "float32") * 4 / 3
    masked = {**x, "present": {"depth": np.array([1, 1, 1, 0], "float32")}}
    found = [
        distiller.evaluate(masked, verbose=0, return_dict=True),
        distiller.test_on_batch(x, sample_weight=weight, return_dict=True),
    ]
    for logs in found:
        np.testing.assert_allclose(logs["loss"], expected["loss"], rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(loss="mse"), "must be a cross-entropy"),
        (dict(loss="categorical_hinge"), "of logits.*: categorical_hinge"),
        (dict(loss=lambda t, p: p), "must be a cross-entropy"),
        (dict(distillation_loss={"pseudo_label": "mse"}), "another name"),
        (dict(distillation_loss=[losses.SoftTargets()]), "need names"),
        (dict(loss_weights={"gamma": 1.0}), "'pseudo_label', 'task'"),
    ],
)
def test_compile_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(compiled=arguments)


def test_soft_labels_refuse_what_cannot_be_soft():
    sparse = keras.losses.SparseCategoricalCrossentropy
    with pytest.raises(ValueError, match="no class numbers"):
        make(
            labels="soft",
            compiled=dict(loss=sparse(from_logits=True, ignore_class=0)),
        )


def test_roles_that_are_no_network():
    network = classifier("image", 6)
    for wrong in (None, "x", {"image": network}):
        with pytest.raises(ValueError, match="`teacher` must be one built"):
            MKE(student=multimodal(), teacher=wrong)


def test_the_classes_must_agree():
    teacher = classifier("image", 6, units=4)
    with pytest.raises(ValueError, match="teacher's classes"):
        MKE(student=multimodal(), teacher=teacher).compile("sgd")
    with pytest.raises(ValueError, match="binary_crossentropy"):
        make(units=1, compiled={})
    make(units=1, compiled=dict(loss="binary_crossentropy"))


@pytest.mark.parametrize(
    ("perturbation", "message"),
    [
        ({"text": shift}, r"names the modalities \['text'\]"),
        (0.5, "must be a layer .*, a callable"),
        ({"image": [shift]}, "must be a layer .*, a callable"),
        (ScaledGaussianNoise, "not its class"),
        (layers.MixUp(), "mixes samples"),
        (layers.Pipeline([layers.CutMix()]), "mixes samples"),
        ({"image": ModalityDropout()}, "looks at all modalities"),
    ],
)
def test_wrong_perturbations(perturbation, message):
    with pytest.raises(ValueError, match=message):
        make(perturbation=perturbation)


def test_wrong_data():
    with pytest.raises(ValueError, match="'hard' or 'soft'"):
        make(labels="firm")
    x, y = make_data(8)
    distiller = make(perturbation=ScaledGaussianNoise(), compiled={})
    state = snapshot(distiller)
    with pytest.raises(ValueError, match="`fit` takes no labels"):
        distiller.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match="'image' is missing"):
        distiller.fit({"audio": x["audio"]}, verbose=0)
    with pytest.raises(ValueError, match="'audio' is missing"):
        distiller.fit({"image": x["image"]}, verbose=0)
    other = MKE(student=classifier("audio", 4), teacher=distiller.teacher)
    other.compile("sgd")
    with pytest.raises(ValueError, match="nothing to evaluate"):
        other.evaluate({"audio": x["audio"]}, verbose=0)
    flips = make(perturbation=layers.RandomFlip(), compiled={})
    with pytest.raises(ValueError, match="perturbs images"):
        flips.fit(x, verbose=0)
    assert same(state, distiller)
    distiller.fit(x, verbose=0)


def test_pseudo_labels_that_cannot_move_along():
    x = scenes()
    image = keras.Input((6, 6, 2), name="image")
    coarse = keras.Model(image, layers.Conv2D(3, 2, strides=2)(image))
    distiller = MKE(
        student=keras.models.clone_model(coarse),
        teacher=coarse,
        perturbation=layers.RandomFlip(),
    )
    distiller.compile("sgd")
    with pytest.raises(ValueError, match=r"another size: \(3, 3\)"):
        distiller.fit(x, verbose=0)
    mixing = MKE(
        student=segmenter(["image"], 1),
        teacher=segmenter(["image"], 2),
        perturbation=layers.AugMix((0, 1)),
    )
    mixing.compile("sgd")
    with pytest.raises(ValueError, match="AugMix"):
        mixing.fit(x, verbose=0)
