import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from keras_xkd import losses
from keras_xkd import metrics
from keras_xkd.distillers import VideoAdviser
from keras_xkd.models import PromptedCLIP
from tests import hub_case
from tests.distiller_case import moved_by
from tests.distiller_case import run_distiller_test
from tests.distiller_case import same
from tests.distiller_case import set_weights
from tests.distiller_case import snapshot
from tests.layers.attention import softmax
from tests.test_case import assert_golden
from tests.test_case import to_numpy

VALUES = np.arange(-3, 4)
TERMS = ["step_one", "step_two", "task", "teacher_class", "teacher_score"]
LOGS = sorted(["loss", *(f"{term}_loss" for term in TERMS)])
RNG = np.random.default_rng(0)
X = {
    "text": RNG.normal(size=(16, 4)).astype("float32"),
    "video": RNG.normal(size=(16, 6)).astype("float32"),
}
Y = np.clip(2 * RNG.normal(size=16), -4, 4).astype("float32")
Y[:3] = [0.5, 1.5, -0.5]
FEW = np.where(np.arange(16) % 3 < 2, Y, np.nan).astype("float32")
LABELLED = ~np.isnan(FEW)


def make_student(units=1, shape="column", activation=None):
    text = keras.Input((4,), name="text")
    hidden = layers.Dense(5, activation="tanh")(text)
    score = layers.Dense(units, activation=activation)(hidden)
    if shape == "vector":
        score = score[:, 0]
    if shape == "dict":
        score = {"score": score, "logits": score - 1.0}
    return keras.Model(text, score, name="reader")


def make_teacher(units=1, activation=None):
    video = keras.Input((6,), name="video")
    hidden = layers.Dense(5, activation="tanh", name="hidden")(video)
    return keras.Model(
        video,
        {
            "logits": layers.Dense(7, name="classes")(hidden),
            "score": layers.Dense(units, activation, name="scores")(hidden),
        },
        name="watcher",
    )


def make(class_values=VALUES, student=None, units=1, compiled=(), **kwargs):
    if kwargs.get("stages") != "teacher" and student is None:
        student = make_student(units)
    distiller = VideoAdviser(
        student=student,
        teacher=make_teacher(units),
        class_values=class_values,
        **kwargs,
    )
    set_weights(distiller, 1, scale=0.8)
    distiller.compile(**{"optimizer": "adam", **dict(compiled)})
    return distiller


def terms_of(distiller, y=None, weight=None):
    """The terms, as they are before any weight: no compilation."""
    batch = [
        None if part is None else keras.tree.map_structure(ops.array, part)
        for part in (X, y, weight)
    ]
    terms = distiller.compute_losses(*batch, training=False)[1]
    return {name: float(to_numpy(value)) for name, value in terms.items()}


def scores_of(distiller):
    """What the networks say, in float64: logits, scores of both."""
    teacher = {
        name: to_numpy(v).astype("float64")
        for name, v in distiller.teacher(X["video"]).items()
    }
    student = to_numpy(distiller.student(X["text"])).astype("float64")
    return teacher["logits"], teacher["score"], student


def reference(distiller, y, weight, power=1):
    """The terms sample by sample: sums over those that have what it needs."""
    logits, teacher, student = scores_of(distiller)
    sums = dict.fromkeys(TERMS, 0.0)
    labelled = sum(not np.isnan(label) for label in y)
    for i, label in enumerate(y):
        p = softmax(logits[i])
        r_t, r_s = teacher[i, 0], student[i, 0]
        share = weight[i] / len(y)
        sums["step_one"] += share * abs(r_t - p @ VALUES) ** power
        sums["step_two"] += share * abs(r_s - r_t) ** power
        if not np.isnan(label):
            share = weight[i] / labelled
            bin = int(np.round(np.clip(label, -3, 3)))
            sums["teacher_class"] -= share * np.log(p[bin + 3])
            sums["teacher_score"] += share * abs(r_t - label)
            sums["task"] += share * abs(r_s - label)
    return sums


def test_all_checks(tmp_path):
    run_distiller_test(
        lambda: VideoAdviser(
            student=make_student(), teacher=make_teacher(), class_values=VALUES
        ),
        lambda: dict(optimizer="adam", metrics=["mae"]),
        X,
        FEW,
        [*LOGS, "mae"],
        tmp_path,
        student_modality="text",
    )


@pytest.mark.parametrize("y", [Y, FEW], ids=["all", "few"])
@pytest.mark.parametrize("weight", [None, np.linspace(0, 2, 16, dtype="f4")])
def test_terms(y, weight):
    distiller = make()
    found = terms_of(distiller, y, weight=weight)
    ones = np.ones(16) if weight is None else weight
    expected = reference(distiller, y, ones)
    assert found == pytest.approx(expected, rel=1e-4)
    # Weights of the batch do not matter; those of the labels may be columns.
    columns = terms_of(distiller, y[:, None], weight=weight)
    assert columns == pytest.approx(found, rel=1e-5)


@pytest.mark.parametrize("distance", ["mse", keras.losses.MeanSquaredError()])
def test_other_distances(distance):
    distiller = make(compiled={"distillation_loss": distance, "loss": "mse"})
    found = terms_of(distiller, Y)
    expected = reference(distiller, Y, np.ones(16), power=2)
    _, teacher, student = scores_of(distiller)
    expected["task"] = np.mean((student[:, 0] - Y) ** 2)
    expected["teacher_score"] = np.mean((teacher[:, 0] - Y) ** 2)
    assert found == pytest.approx(expected, rel=1e-4)
    mixed = make(compiled={"distillation_loss": {"step_two": "mse"}})
    found = terms_of(mixed, Y)
    assert found["step_two"] == pytest.approx(expected["step_two"], rel=1e-4)
    absolute = reference(mixed, Y, np.ones(16))
    assert found["step_one"] == pytest.approx(absolute["step_one"], rel=1e-4)


def test_shapes_of_scores_do_not_broadcast():
    found = []
    for shape in ("column", "vector", "dict"):
        distiller = make(student=make_student(shape=shape))
        found.append(terms_of(distiller, Y))
    assert found[0] == found[1] == found[2]


def test_routing():
    distiller = make()
    teacher = distiller.teacher
    parts = {n: teacher.get_layer(n) for n in ("hidden", "classes", "scores")}
    parts["student"] = distiller.student
    expected = {
        "teacher_class": {"hidden", "classes"},
        "teacher_score": {"hidden", "scores"},
        "step_one": {"hidden", "scores"},  # Through r_T alone: not E.
        "step_two": {"student"},
        "task": {"student"},
    }
    for term, moved in expected.items():
        assert moved_by(distiller, term, X, FEW, parts=parts) == moved, term


def test_unlabelled_samples():
    """They leave the terms and the metrics, as if they were not there."""
    distiller = make(compiled={"metrics": ["mae"], "weighted_metrics": ["mse"]})
    weight = np.linspace(0, 2, 16).astype("float32")
    arguments = dict(batch_size=16, verbose=0, return_dict=True)
    logs = distiller.evaluate(X, FEW, sample_weight=weight, **arguments)
    student = scores_of(distiller)[2][:, 0]
    errors = np.abs(student - Y)[LABELLED]
    assert logs["mae"] == pytest.approx(errors.mean(), rel=1e-4)
    share = weight[LABELLED] / weight[LABELLED].sum()
    assert logs["mse"] == pytest.approx(share @ errors**2, rel=1e-4)
    nobody = terms_of(distiller, np.full(16, np.nan, "float32"))
    for term in ("task", "teacher_score", "teacher_class"):
        assert nobody[term] == 0
    assert sorted(terms_of(distiller)) == ["step_one", "step_two"]


def test_absent_modalities_leave_their_terms():
    """Whatever stands in their place, NaN included."""
    present = {
        "text": (np.arange(16) >= 2).astype("float32"),
        "video": (np.arange(16) < 12).astype("float32"),
    }
    x = {name: np.array(value) for name, value in X.items()}
    for name, mask in present.items():
        x[name][mask == 0] = np.nan
    names = {"student": "mae", "teacher": "mae"}
    distiller = make(compiled={"metrics": names})
    logs = distiller.evaluate(
        x | {"present": present},
        FEW,
        batch_size=16,
        verbose=0,
        return_dict=True,
    )
    logits, teacher, student = (v[:, 0] for v in scores_of(distiller))
    both = np.abs(student - teacher)[2:12]
    assert logs["step_two_loss"] == pytest.approx(both.mean(), rel=1e-4)
    own = np.nanmean(np.abs(student - FEW)[2:])
    seen = np.nanmean(np.abs(teacher - FEW)[:12])
    for name, value in [
        ("task_loss", own),
        ("student_mae", own),
        ("teacher_score_loss", seen),
        ("teacher_mae", seen),
    ]:
        assert logs[name] == pytest.approx(value, rel=1e-4), name


# Without labels nothing trains the classes, which is said.
@pytest.mark.filterwarnings("ignore:No loss term depends on")
def test_fit_with_and_without_labels():
    distiller = make()
    unlabelled = distiller.fit(X, verbose=0).history
    assert sorted(unlabelled) == ["loss", "step_one_loss", "step_two_loss"]
    before = snapshot(distiller.teacher)
    assert sorted(distiller.fit(X, FEW, verbose=0).history) == LOGS
    assert not same(before, distiller.teacher)
    text = {"text": X["text"]}
    logs = distiller.evaluate(text, Y, verbose=0, return_dict=True)
    assert sorted(logs) == ["loss", "task_loss"]
    assert distiller.predict(text, verbose=0).shape == (16, 1)


def test_two_stages():
    first = make(stages="teacher", compiled={"metrics": ["mae"]})
    teacher = first.teacher
    history = first.fit({"video": X["video"]}, FEW, verbose=0).history
    own = ["step_one_loss", "teacher_class_loss", "teacher_score_loss"]
    assert sorted(history) == sorted(["loss", "mae", *own])
    predicted = first.predict({"video": X["video"]}, verbose=0)
    assert sorted(predicted) == ["logits", "score"]

    second = VideoAdviser(
        student=make_student(),
        teacher=teacher,
        stages="student",
        class_values=VALUES,
    )
    second.compile("adam")
    before = snapshot(teacher)
    history = second.fit(X, FEW, verbose=0, epochs=2).history
    assert sorted(history) == ["loss", "step_two_loss", "task_loss"]
    assert same(before, teacher)
    clone = VideoAdviser.from_config(second.get_config())
    assert clone.stages == "student" and clone.frozen == ("teacher",)


def test_a_student_waits_while_the_teacher_trains():
    distiller = make(stages="teacher", student=make_student())
    before = snapshot(distiller.student)
    distiller.fit(X, FEW, verbose=0)
    assert same(before, distiller.student)


def test_one_optimizer_each():
    optimizer = {
        "student": keras.optimizers.SGD(0.1),
        "teacher": keras.optimizers.SGD(0.0),
    }
    distiller = make(compiled={"optimizer": optimizer})
    before = [snapshot(n) for n in (distiller.student, distiller.teacher)]
    distiller.train_on_batch(X, Y)
    assert not same(before[0], distiller.student)
    assert same(before[1], distiller.teacher)


def test_three_epochs_are_the_same_on_every_backend():
    distiller = make(compiled={"optimizer": keras.optimizers.Adam(0.01)})
    history = distiller.fit(
        X, FEW, batch_size=8, epochs=3, shuffle=False, verbose=0
    ).history
    for name, values in history.items():
        assert_golden(f"video_adviser/{name}", values)


def test_categories():
    labels = np.where(np.arange(16) % 4, np.arange(16) % 7, -1)
    distiller = make(None, units=7)
    found = terms_of(distiller, labels)
    logits, teacher, student = scores_of(distiller)

    def divergence(target, value):
        return np.mean(
            [
                p @ (np.log(p) - np.log(q))
                for p, q in zip(map(softmax, target), map(softmax, value))
            ]
        )

    def entropy(value):
        return np.mean(
            [-np.log(softmax(v)[k]) for v, k in zip(value, labels) if k >= 0]
        )

    assert found == pytest.approx(
        {
            "step_one": divergence(logits, teacher),
            "step_two": divergence(teacher, student),
            "task": entropy(student),
            "teacher_class": entropy(logits),
            "teacher_score": entropy(teacher),
        },
        rel=1e-3,
    )
    shares = [np.stack(list(map(softmax, v))) for v in (student, teacher)]
    assert 0 < metrics.retrieval_map(*shares, labels) <= 1


@pytest.mark.slow
def test_clip_and_roberta():
    teacher = PromptedCLIP(hub_case.clip(), hub_case.PROMPTS, num_heads=2)
    distiller = VideoAdviser(
        student=hub_case.roberta_student(), teacher=teacher
    )
    distiller.compile("adam")
    x = {
        "text": {
            "token_ids": RNG.integers(1, 20, (4, 5)),
            "padding_mask": np.ones((4, 5), "int32"),
        },
        "video": RNG.normal(size=(4, 3, *hub_case.IMAGE)).astype("float32"),
    }
    y = np.array([0.4, np.nan, -2.0, np.nan], "float32")
    vision = {"image_tower", "temporal_pooling", "prompt_decoder"}
    parts = {n: getattr(teacher, n) for n in [*sorted(vision), "head"]}
    prompts = to_numpy(teacher.prompts)
    expected = {"teacher_class": vision, "step_one": vision | {"head"}}
    for term, moved in expected.items():
        assert moved_by(distiller, term, x, y, parts=parts) == moved, term
    logs = distiller.train_on_batch(x, y, return_dict=True)
    assert sorted(logs) == LOGS and np.all(np.isfinite(list(logs.values())))
    np.testing.assert_array_equal(to_numpy(teacher.prompts), prompts)
    assert distiller.predict({"text": x["text"]}, verbose=0).shape == (4, 1)


@pytest.mark.parametrize("role", ["student", "teacher"])
def test_scores_of_categories_are_logits(role):
    ends = {"student": None, "teacher": None, role: "softmax"}
    distiller = VideoAdviser(
        student=make_student(7, activation=ends["student"]),
        teacher=make_teacher(7, activation=ends["teacher"]),
        class_values=None,
    )
    with pytest.raises(ValueError, match="ends in a softmax"):
        distiller.compile("sgd")
    number = VideoAdviser(  # Of a number it is nobody's business.
        student=make_student(activation="sigmoid"),
        teacher=make_teacher(activation="sigmoid"),
        class_values=VALUES,
    )
    number.compile("sgd")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"stages": "first"}, "one of .*'joint'.* Received: stages='first'"),
        ({"class_values": "teacher"}, "'watcher' stand for"),
        (
            {"compiled": {"distillation_loss": {"step": "mse"}}},
            r"keys \['step'",
        ),
        (
            {"compiled": {"distillation_loss": losses.DecoupledSoftTargets()}},
            "without labels",
        ),
        (
            {
                "compiled": {
                    "distillation_loss": losses.ContrastiveRepresentation(
                        queue=8
                    )
                }
            },
            "ContrastiveRepresentation",
        ),
        ({"compiled": {"loss_weights": {"step": 1}}}, "step_one"),
        ({"stages": "joint", "student": None, "teacher": 1}, "multiple values"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make(**arguments)


@pytest.mark.parametrize(
    "arguments, y, message",
    [
        ({"class_values": range(3)}, Y, r"class values \[0.0, 1.0, 2.0\]"),
        ({"student": make_student(units=2)}, Y, r"student .* \(16, 2\)"),
        ({"units": 7}, Y, r"the student must have the shape `\(batch, 1\)`"),
        ({}, np.zeros((16, 2), "f4"), "one label for each sample"),
    ],
)
def test_bad_data_moves_nothing(arguments, y, message):
    distiller = make(**arguments)
    before = snapshot(distiller)
    with pytest.raises(ValueError, match=message):
        distiller.fit(X, y, batch_size=16, verbose=0)
    assert same(before, distiller)
