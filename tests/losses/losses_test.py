"""What every distillation loss has to fulfil."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_xkd import losses
from tests.losses import reference
from tests.test_case import assert_golden
from tests.test_case import gradient
from tests.test_case import to_numpy

B, D = 5, 4
RNG = np.random.default_rng(0)
TEACHER = RNG.normal(size=(B, D)).astype("float32")
STUDENT = RNG.normal(size=(B, D)).astype("float32")
LABELS = np.array([3, 0, 1, 1, 2])
# Z is a constant for the gradient, so the reference gets that of the data.
Z = reference.normalizer(
    reference.unit(STUDENT), reference.unit(TEACHER), B, 0.5
)

# name: loss, reference(teacher, student), further arguments of `call`.
CASES = {
    "soft_targets": (losses.SoftTargets(), reference.soft_targets, {}),
    "soft_labels": (
        losses.SoftTargets(2.0, kind="sigmoid"),
        lambda t, s: reference.soft_labels(t, s, 2.0),
        {},
    ),
    "decoupled_soft_targets": (
        losses.DecoupledSoftTargets(0.5, 3.0, 2.0),
        lambda t, s: reference.decoupled(t, s, LABELS, 0.5, 3.0, 2.0),
        {"labels": LABELS},
    ),
    "feature_matching": (
        losses.FeatureMatching(),
        lambda t, s: np.array([np.mean((b - a) ** 2) for a, b in zip(t, s)]),
        {},
    ),
    "matching": (
        losses.Matching("mean_absolute_error"),
        lambda t, s: np.array([np.mean(abs(b - a)) for a, b in zip(t, s)]),
        {},
    ),
    "info_nce": (
        losses.InfoNCE(0.2),
        lambda t, s: reference.info_nce(t, s, 0.2),
        {},
    ),
    "info_nce_one_way": (
        losses.InfoNCE(0.5, symmetric=False),
        lambda t, s: reference.info_nce(t, s, 0.5, symmetric=False),
        {},
    ),
    "nt_xent": (
        losses.NTXent(0.5),
        lambda t, s: reference.nt_xent(t, s, 0.5),
        {},
    ),
    "cross_modal_contrast": (
        losses.CrossModalContrast(0.2),
        lambda t, s: reference.info_nce(t, s, 0.2),
        {},
    ),
    "similarity_distribution": (
        losses.SimilarityDistribution(0.2, 0.5),
        lambda t, s: reference.similarity_distribution(t, s, 0.2, 0.5),
        {},
    ),
    "relational_distance": (
        losses.RelationalDistance(),
        reference.relational_distance,
        {},
    ),
    "relational_angle": (
        losses.RelationalAngle(),
        reference.relational_angle,
        {},
    ),
    "probabilistic_transfer": (
        losses.ProbabilisticTransfer(),
        reference.probabilistic_transfer,
        {},
    ),
    "contrastive_representation": (
        losses.ContrastiveRepresentation(0.5),
        lambda t, s: reference.contrastive_representation(t, s, 0.5, Z),
        {},
    ),
}
MASKED = [name for name, case in CASES.items() if "mask" in case[0].needs]
WITHOUT_CONTEXT = [name for name, case in CASES.items() if not case[2]]
# These tell samples apart, which takes more than an equal student.
CONTRASTS = (
    "info_nce",
    "nt_xent",
    "cross_modal_contrast",
    "similarity_distribution",
    "contrastive_representation",
)
ZERO_IF_EQUAL = [name for name in CASES if not name.startswith(CONTRASTS)]
# These have no gradient into the teacher.
FIXED_TEACHER = ("cross_modal_contrast", "similarity_distribution")
for_all = pytest.mark.parametrize("name", CASES)


@for_all
def test_value_is_that_of_explicit_loops(name):
    loss, expected, context = CASES[name]
    values = to_numpy(loss.call(TEACHER, STUDENT, **context))
    assert values.shape == (B,)
    np.testing.assert_allclose(
        values, expected(TEACHER, STUDENT), rtol=2e-5, atol=2e-6
    )
    assert_golden(f"losses.{name}.value", values)


@for_all
def test_gradient_is_that_of_finite_differences(name):
    loss, expected, context = CASES[name]
    by_teacher, by_student = gradient(
        lambda t, s: ops.sum(loss.call(t, s, **context)), TEACHER, STUDENT
    )
    t, s = TEACHER.astype("float64"), STUDENT.astype("float64")
    tolerance = {"rtol": 1e-3, "atol": 1e-4}
    np.testing.assert_allclose(
        by_student,
        reference.numeric_gradient(lambda x: expected(t, x).sum(), s),
        **tolerance,
    )
    if name in FIXED_TEACHER:
        assert np.all(by_teacher == 0)
    else:
        np.testing.assert_allclose(
            by_teacher,
            reference.numeric_gradient(lambda x: expected(x, s).sum(), t),
            **tolerance,
        )
    assert_golden(f"losses.{name}.gradient", by_student, atol=1e-5)


@pytest.mark.parametrize("name", ZERO_IF_EQUAL)
def test_zero_when_student_equals_teacher(name):
    loss, _, context = CASES[name]
    by_teacher, by_student = gradient(
        lambda t, s: ops.sum(loss.call(t, s, **context)), TEACHER, TEACHER
    )
    assert np.all(to_numpy(loss.call(TEACHER, TEACHER, **context)) == 0)
    np.testing.assert_allclose(by_teacher + by_student, 0, atol=1e-6)


@for_all
def test_float16_is_computed_in_float32(name):
    loss, expected, context = CASES[name]
    t, s = (ops.convert_to_tensor(x, "float16") for x in (TEACHER, STUDENT))
    values = loss.call(t, s, **context)
    assert keras.backend.standardize_dtype(values.dtype) == "float32"
    exact = expected(to_numpy(t).astype("d"), to_numpy(s).astype("d"))
    np.testing.assert_allclose(to_numpy(values), exact, rtol=1e-3)


@for_all
def test_finite_at_the_end_of_float16(name):
    loss, _, context = CASES[name]
    t, s = np.full((B, D), -6e4), np.full((B, D), -6e4)
    t[:, 0], s[:, 1], s[1:3, 2] = 6e4, 6e4, 6e4
    half = [ops.convert_to_tensor(x, "float16") for x in (t, s)]
    assert np.all(np.isfinite(to_numpy(loss.call(*half, **context))))
    grads = gradient(lambda t, s: ops.sum(loss.call(t, s, **context)), t, s)
    assert np.all(np.isfinite(grads))


@for_all
def test_equal_and_zero_rows_have_finite_gradients(name):
    loss, _, context = CASES[name]
    t, s = TEACHER.copy(), STUDENT.copy()
    t[:2], s[1:3] = t[0], 0
    grads = gradient(lambda t, s: ops.sum(loss.call(t, s, **context)), t, s)
    assert np.all(np.isfinite(grads))
    assert np.all(np.isfinite(to_numpy(loss.call(t, s, **context))))


@pytest.mark.parametrize("name", MASKED)
def test_mask_gives_the_loss_of_the_other_samples(name):
    loss = CASES[name][0]
    mask = np.array([1, 0, 1, 1, 0])
    kept = mask == 1
    t, s = TEACHER.copy(), STUDENT.copy()
    t[1], s[4] = np.nan, 1e4  # Whatever stands there does not count.
    values = to_numpy(loss.call(t, s, mask=mask))
    expected = to_numpy(loss.call(t[kept], s[kept]))
    np.testing.assert_allclose(values[kept], expected, rtol=1e-5)
    assert np.all(values[~kept] == 0)

    def total(t, s):
        return ops.sum(loss.call(t, s, mask=mask))

    by_teacher, by_student = gradient(total, t, s)
    sub = gradient(lambda t, s: ops.sum(loss.call(t, s)), t[kept], s[kept])
    np.testing.assert_allclose(by_teacher[kept], sub[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(by_student[kept], sub[1], rtol=1e-4, atol=1e-5)
    assert np.all(by_teacher[~kept] == 0)
    assert np.all(by_student[~kept] == 0)


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize("count", [0, 1])
def test_mask_of_nobody_or_one(name, count):
    loss = CASES[name][0]
    mask = np.arange(B) < count
    values = to_numpy(loss.call(TEACHER, STUDENT, mask=mask[:, None]))
    np.testing.assert_allclose(values, 0, atol=1e-6)
    grads = gradient(
        lambda t, s: ops.sum(loss.call(t, s, mask=mask)), TEACHER, STUDENT
    )
    assert np.all(np.isfinite(grads))


@for_all
def test_reduction_and_sample_weight(name):
    loss, expected, context = CASES[name]
    rows = expected(TEACHER, STUDENT)
    weight = np.array([1.0, 0.0, 2.0, 0.5, 1.0], "float32")

    def result(reduction, sample_weight=None):
        other = type(loss).from_config(
            {**loss.get_config(), "reduction": reduction}
        )
        return to_numpy(other(TEACHER, STUDENT, sample_weight, **context))

    kind = {"rtol": 1e-4}
    np.testing.assert_allclose(result("none"), rows, **kind)
    np.testing.assert_allclose(result("sum"), rows.sum(), **kind)
    np.testing.assert_allclose(
        result("sum_over_batch_size"), rows.mean(), **kind
    )
    np.testing.assert_allclose(
        result("sum_over_batch_size", weight), (rows * weight).mean(), **kind
    )


@for_all
def test_config_round_trip(name):
    loss, _, context = CASES[name]
    config = keras.saving.serialize_keras_object(loss)
    assert config["registered_name"].startswith("keras_xkd>")
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(loss)
    assert keras.saving.serialize_keras_object(again) == config
    np.testing.assert_array_equal(
        to_numpy(again(TEACHER, STUDENT, **context)),
        to_numpy(loss(TEACHER, STUDENT, **context)),
    )


@for_all
def test_output_can_be_overridden(name):
    loss, _, _ = CASES[name]
    config = {**loss.get_config(), "output": "tokens"}
    assert type(loss).from_config(config).output == "tokens"


@for_all
@pytest.mark.parametrize(
    "shapes", [((5, 4), (3, 4)), ((5, 4), (5, 2, 4)), ((5, 4, 4), (5, 4))]
)
def test_wrong_shapes_are_named(name, shapes):
    loss, _, context = CASES[name]
    with pytest.raises(ValueError) as error:
        loss.call(np.ones(shapes[0]), np.ones(shapes[1]), **context)
    assert all(str(shape) in str(error.value) for shape in shapes)


@for_all
def test_width_matters_where_declared(name):
    loss, _, context = CASES[name]
    wide = np.concatenate([STUDENT, STUDENT], axis=1)
    if loss.same_width:
        with pytest.raises(ValueError, match="same|different") as error:
            loss.call(TEACHER, wide, **context)
        assert "(5, 4)" in str(error.value)
        assert "(5, 8)" in str(error.value)
    else:
        values = to_numpy(loss.call(TEACHER, wide, **context))
        # Doubled features: the same angles, and distances up to scale.
        np.testing.assert_allclose(
            values, to_numpy(loss.call(TEACHER, STUDENT, **context)), rtol=1e-4
        )


def linear(width, **kwargs):
    return keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(width, **kwargs)]
    )


@pytest.mark.parametrize("name", WITHOUT_CONTEXT)
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_in_compile(name, policy):
    loss, _, _ = CASES[name]
    keras.config.set_dtype_policy(policy)
    tolerance = 1e-4 if policy == "float32" else 0.05
    model = linear(D)
    # Loss scaling would skip a first step that overflows in float16.
    model.compile(keras.optimizers.SGD(0.01), loss, auto_scale_loss=False)
    x = RNG.normal(size=(B, 3)).astype("float32")
    before = to_numpy(loss(TEACHER, model.predict(x, verbose=0)))
    old = to_numpy(model.weights[0])
    history = model.fit(x, TEACHER, batch_size=B, verbose=0).history
    np.testing.assert_allclose(history["loss"], before, rtol=tolerance)
    assert not np.array_equal(to_numpy(model.weights[0]), old)


@pytest.mark.parametrize("name", WITHOUT_CONTEXT)
def test_in_keras_distillation(name):
    loss, _, _ = CASES[name]
    teacher, student = linear(D, name="out"), linear(D, name="out")
    distiller = keras.distillation.Distiller(
        teacher,
        student,
        keras.distillation.FeatureDistillation(loss=loss),
        student_loss_weight=0.0,
    )
    distiller.compile(keras.optimizers.SGD(0.01), loss="mse")
    x = RNG.normal(size=(B, 3)).astype("float32")
    expected = loss(teacher(x), student(x))
    logs = distiller.fit(x, np.zeros((B, D)), batch_size=B, verbose=0).history
    np.testing.assert_allclose(
        logs["distillation_loss"], to_numpy(expected), rtol=1e-4
    )


class Compare(keras.layers.Layer):
    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def call(self, teacher, student, labels):
        context = {"labels": labels} if "labels" in self.loss.needs else {}
        return self.loss.call(teacher, student, **context)


@for_all
def test_batch_of_unknown_size(name):
    loss, expected, _ = CASES[name]
    inputs = [keras.Input((D,)), keras.Input((D,)), keras.Input((), dtype=int)]
    values = Compare(loss)(*inputs)
    assert values.shape == (None,)
    predicted = keras.Model(inputs, values).predict(
        [TEACHER, STUDENT, LABELS], verbose=0
    )
    np.testing.assert_allclose(
        predicted, expected(TEACHER, STUDENT), rtol=1e-4, atol=1e-6
    )
