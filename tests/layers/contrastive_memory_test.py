import keras
import numpy as np
import pytest
from keras import ops

from keras_xkd.layers import ContrastiveMemory
from keras_xkd.losses import ContrastiveRepresentation
from keras_xkd.losses import contrastive_representation
from tests.losses import reference
from tests.test_case import assert_golden
from tests.test_case import to_numpy

B, ROWS, DIM, TAU = 3, 7, 4, 0.5
RNG = np.random.default_rng(10)
TEACHER = RNG.normal(size=(B, 5)).astype("float32")
STUDENT = RNG.normal(size=(B, 2)).astype("float32")
IDS = np.array([4, 0, 6])


def memory(kind, **kwargs):
    kwargs = {"embedding_dim": DIM, "temperature": TAU, **kwargs}
    layer = ContrastiveMemory(**{kind: ROWS}, negatives=6, seed=1, **kwargs)
    layer.build((None, 5), (None, 2))
    # Known weights, the same on every backend.
    rng = np.random.default_rng(11)
    for weight in [*layer.trainable_variables, *rows_of(layer)]:
        weight.assign(rng.normal(size=weight.shape) * 0.5)
    return layer


def rows_of(layer):
    return [layer.teacher_memory, layer.student_memory]


def state(layer):
    return [to_numpy(w) for w in layer.non_trainable_variables]


def embeddings(layer):
    return [
        reference.unit(to_numpy(dense(x)).astype("float64"))
        for dense, x in (
            (layer.teacher_embedding, TEACHER),
            (layer.student_embedding, STUDENT),
        )
    ]


def both(kind):
    return {"sample_id": IDS} if kind == "samples" else {}


for_both = pytest.mark.parametrize("kind", ["samples", "queue"])


def test_function_is_the_fraction_of_the_paper():
    u, v = (reference.unit(RNG.normal(size=(B, DIM))) for _ in range(2))
    for shape in ((6, DIM), (B, 6, DIM)):
        noise = RNG.normal(size=shape) * 0.5
        values = contrastive_representation(u, v, noise, 9.0, 20, TAU)
        shared = np.broadcast_to(noise, (B, 6, DIM))
        expected = [
            reference.noise_contrast(u[i], v[i], shared[i], 9.0, 20, TAU)
            for i in range(B)
        ]
        np.testing.assert_allclose(to_numpy(values), expected, rtol=1e-4)


def test_queue_known_values_and_first_normalizer():
    layer = memory("queue")
    t, s = embeddings(layer)
    t_rows, s_rows = (to_numpy(w).astype("float64") for w in rows_of(layer))
    z, expected = [], np.zeros(B)
    for u, v, rows in ((s, t, t_rows), (t, s, s_rows)):
        pairs = [
            np.exp(u[i] @ x / TAU) for i in range(B) for x in (v[i], *rows)
        ]
        z.append(np.mean(pairs) * ROWS)
        expected += [
            reference.noise_contrast(u[i], v[i], rows, z[-1], ROWS, TAU)
            for i in range(B)
        ]
    # Before training too: with the batch's own normalizer, not kept.
    values = to_numpy(layer(TEACHER, STUDENT))
    np.testing.assert_allclose(values, expected, rtol=1e-4)
    assert np.all(to_numpy(layer.normalizer) == 0)
    values = to_numpy(layer(TEACHER, STUDENT, training=True))
    np.testing.assert_allclose(values, expected, rtol=1e-4)
    np.testing.assert_allclose(to_numpy(layer.normalizer), z, rtol=1e-4)
    assert_golden("layers.contrastive_memory.queue", values)
    # The second batch finds the normalizer, and keeps it.
    second = layer(-TEACHER, STUDENT, training=True)
    assert_golden("layers.contrastive_memory.queue.second", to_numpy(second))
    np.testing.assert_allclose(to_numpy(layer.normalizer), z, rtol=1e-4)


def test_bank_known_values(monkeypatch):
    drawn = RNG.integers(0, ROWS, (B, 6))
    monkeypatch.setattr(
        keras.random,
        "randint",
        lambda shape, low, high, seed: ops.convert_to_tensor(drawn, "int32"),
    )
    layer = memory("samples")
    layer.normalizer.assign([3.0, 5.0])
    t, s = embeddings(layer)
    t_rows, s_rows = (to_numpy(w).astype("float64") for w in rows_of(layer))
    expected = np.zeros(B)
    for u, rows, z in ((s, t_rows, 3.0), (t, s_rows, 5.0)):
        expected += [
            reference.noise_contrast(
                u[i], rows[IDS[i]], rows[drawn[i]], z, ROWS, TAU
            )
            for i in range(B)
        ]
    values = to_numpy(layer(TEACHER, STUDENT, IDS, training=True))
    np.testing.assert_allclose(values, expected, rtol=1e-4)
    assert_golden("layers.contrastive_memory.bank", values)


def test_queue_is_first_in_first_out():
    layer = memory("queue")
    before = [to_numpy(w) for w in rows_of(layer)]
    for _ in range(2):
        layer(TEACHER, STUDENT, training=True)
    for old, new, rows in zip(before, rows_of(layer), embeddings(layer)):
        # Seven rows: the newest of the old ones, and the batch twice.
        expected = np.concatenate([old[6:], rows, rows])
        np.testing.assert_allclose(to_numpy(new), expected, rtol=1e-4)


@pytest.mark.parametrize("ids", [IDS, IDS[:, None], IDS.astype("float32")])
def test_bank_moves_the_rows_of_the_samples(ids):
    layer = memory("samples", momentum=0.25)
    before = [to_numpy(w) for w in rows_of(layer)]
    layer(TEACHER, STUDENT, ids, training=True)
    for old, new, rows in zip(before, rows_of(layer), embeddings(layer)):
        expected = old.astype("float64")
        expected[IDS] = reference.unit(0.25 * old[IDS] + 0.75 * rows)
        np.testing.assert_allclose(to_numpy(new), expected, rtol=1e-4)


@for_both
def test_nothing_moves_outside_training(kind):
    layer = memory(kind)
    before = state(layer)
    first = to_numpy(layer(TEACHER, STUDENT, **both(kind)))
    again = to_numpy(layer(TEACHER, STUDENT, **both(kind), training=False))
    np.testing.assert_array_equal(first, again)
    for old, new in zip(before, state(layer), strict=True):
        np.testing.assert_array_equal(old, new)
    layer(TEACHER, STUDENT, **both(kind), training=True)
    changed = [
        not np.array_equal(old, new) for old, new in zip(before, state(layer))
    ]
    # Two memories and the normalizer; the bank draws negatives as well.
    assert sum(changed) == (4 if kind == "samples" else 3)


def test_bank_draws_other_negatives_in_every_step():
    layer = memory("samples", momentum=0.0)
    layer.normalizer.assign([3.0, 5.0])
    rows = [to_numpy(w) for w in rows_of(layer)]
    values = []
    for _ in range(2):
        for weight, old in zip(rows_of(layer), rows):
            weight.assign(old)
        values.append(to_numpy(layer(TEACHER, STUDENT, IDS, training=True)))
    assert np.all(values[0] != values[1])


def test_rows_start_as_in_the_authors_code():
    layer = ContrastiveRepresentation(queue=2000).companion((8, 5), (8, 2))
    rows = to_numpy(layer.teacher_memory)
    assert rows.shape == (2000, 128)
    assert np.abs(rows).max() <= np.sqrt(3 / 128)
    np.testing.assert_allclose(np.sum(rows**2, axis=1).mean(), 1, atol=0.02)
    assert not np.array_equal(rows, to_numpy(layer.student_memory))


def test_normalizer_makes_random_pairs_unlikely():
    """Without it, h of a random pair is 0.7 and the loss 20 times as large."""
    layer = ContrastiveRepresentation(queue=2000).companion((64, 5), (64, 5))
    t, s = RNG.normal(size=(2, 64, 5))
    value = to_numpy(layer(t, s, training=True)).mean()
    assert 2 * np.log(2000) - 4 < value < 2 * np.log(2000) + 8


class Pair(keras.Model):
    """Two encoders and the memory between them, trained by `add_loss`."""

    def __init__(self, kind, **kwargs):
        super().__init__()
        self.kind = kind
        self.teacher = keras.layers.Dense(5)
        self.student = keras.layers.Dense(2)
        self.memory = ContrastiveMemory(
            **{kind: ROWS}, embedding_dim=DIM, negatives=6, seed=1, **kwargs
        )

    def call(self, x, training=False):
        t, s = self.teacher(x["rows"]), self.student(x["rows"])
        ids = {"sample_id": x["ids"]} if self.kind == "samples" else {}
        values = self.memory(t, s, **ids, training=training)
        self.add_loss(ops.mean(values))
        return s


def data():
    return {"rows": TEACHER, "ids": IDS}


@for_both
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_training_moves_rows_and_embeddings(kind, policy):
    keras.config.set_dtype_policy(policy)
    model = Pair(kind)
    model.compile(keras.optimizers.SGD(0.1), auto_scale_loss=False)
    model(data())
    assert {w.dtype for w in model.memory.weights} == {"float32"}
    before = [to_numpy(w) for w in model.memory.weights]
    history = model.fit(data(), epochs=2, batch_size=B, verbose=0).history
    assert np.all(np.isfinite(history["loss"]))
    after = [to_numpy(w) for w in model.memory.weights]
    # Kernels, biases, rows and normalizers: all of them.
    assert len(before) == 7
    assert all(not np.array_equal(a, b) for a, b in zip(before, after))
    assert np.all(to_numpy(model.memory.normalizer) > 0)


@for_both
def test_all_rows_and_exponentials_are_float32(kind):
    layer = memory(kind, dtype="mixed_float16", temperature=0.02)
    big = [
        ops.convert_to_tensor(x * 2e4, "float16") for x in (TEACHER, STUDENT)
    ]
    values = layer(*big, **both(kind), training=True)
    assert keras.backend.standardize_dtype(values.dtype) == "float32"
    assert np.all(np.isfinite(to_numpy(values)))
    assert all(np.all(np.isfinite(weight)) for weight in state(layer))


@for_both
@pytest.mark.parametrize("ending", [".weights.h5", ".keras"])
def test_state_is_saved(kind, ending, tmp_path):
    def build():
        inputs = [keras.Input((5,)), keras.Input((2,))]
        ids = keras.Input((), dtype="int32")
        layer = ContrastiveMemory(
            **{kind: ROWS}, embedding_dim=DIM, negatives=6, seed=1
        )
        values = layer(*inputs, sample_id=ids)
        return keras.Model([*inputs, ids], values), layer

    model, layer = build()
    for _ in range(2):
        layer(TEACHER, STUDENT, IDS, training=True)
    path = tmp_path / f"model{ending}"
    if ending == ".keras":
        model.save(path)
        again = keras.saving.load_model(path)
    else:
        model.save_weights(path)
        again, _ = build()
        again.load_weights(path)
    other = again.layers[-1]
    assert isinstance(other, ContrastiveMemory)
    for old, new in zip(layer.variables, other.variables, strict=True):
        np.testing.assert_array_equal(to_numpy(old), to_numpy(new))
    # The next step is the same one, its random negatives included.
    np.testing.assert_allclose(
        to_numpy(layer(TEACHER, STUDENT, IDS, training=True)),
        to_numpy(other(TEACHER, STUDENT, IDS, training=True)),
        rtol=1e-6,
    )


@for_both
def test_config_round_trip(kind):
    layer = memory(kind, momentum=0.25)
    config = keras.saving.serialize_keras_object(layer)
    assert config["registered_name"] == "keras_xkd>ContrastiveMemory"
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == layer.get_config()
    shapes = [[w.shape for w in x.variables] for x in (layer, again)]
    assert shapes[0] == shapes[1]


@for_both
def test_companion_has_the_arguments_of_the_loss(kind):
    loss = ContrastiveRepresentation(0.1, 16, 0.9, negatives=5, **{kind: ROWS})
    layer = loss.companion((None, 5), (None, 2))
    assert layer.built
    assert layer.arguments.items() <= loss.get_config().items()
    assert layer(TEACHER, STUDENT, **both(kind)).shape == (B,)


def test_errors():
    with pytest.raises(ValueError, match="`samples`.*`queue`"):
        ContrastiveRepresentation().companion((8, 5), (8, 2))
    with pytest.raises(ValueError, match="not both"):
        ContrastiveRepresentation(samples=10, queue=10)
    with pytest.raises(ValueError, match=r"0\.02 or more"):
        ContrastiveMemory(queue=8, temperature=0.001)
    with pytest.raises(ValueError, match="momentum"):
        ContrastiveMemory(queue=8, momentum=1.0)
    with pytest.raises(ValueError, match="positive"):
        ContrastiveMemory(queue=0)
    with pytest.raises(ValueError, match="sample_id"):
        memory("samples")(TEACHER, STUDENT)
    with pytest.raises(ValueError, match="number of rows"):
        memory("queue")(np.ones((3, 5)), np.ones((4, 2)))


@pytest.mark.parametrize("kind", [{"samples": 9}, {"queue": 9}])
def test_absent_samples_are_neither_counted_nor_remembered(kind):
    rng = np.random.default_rng(3)
    teacher = rng.normal(size=(4, 3)).astype("float32")
    student = rng.normal(size=(4, 5)).astype("float32")
    ids = np.array([7, 2, 5, 0])
    mask = np.array([1, 0, 1, 0], "float32")
    whole, part = (
        ContrastiveMemory(negatives=6, embedding_dim=4, seed=1, **kind)
        for _ in range(2)
    )
    for layer in (whole, part):
        layer.build((None, 3), (None, 5))
    part.set_weights(whole.get_weights())
    before = whole.teacher_memory.numpy().copy()
    values = to_numpy(whole(teacher, student, ids, present=mask, training=True))
    assert np.all(values[mask == 0] == 0) and np.all(values[mask > 0] > 0)
    memory = whole.teacher_memory.numpy()
    if "queue" in kind:
        part(teacher[mask > 0], student[mask > 0], training=True)
        new = part.teacher_memory.numpy()
        np.testing.assert_allclose(memory, new, atol=1e-5)
        np.testing.assert_allclose(
            whole.normalizer.numpy(), part.normalizer.numpy(), rtol=1e-5
        )
    else:
        moved = np.abs(memory - before).sum(axis=1) > 0
        assert sorted(np.flatnonzero(moved)) == [5, 7]
    none = to_numpy(
        ContrastiveMemory(negatives=6, **kind)(
            teacher, student, ids, present=np.zeros(4, "float32"), training=True
        )
    )
    np.testing.assert_array_equal(none, 0)
